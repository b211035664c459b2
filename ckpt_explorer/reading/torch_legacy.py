"""torch.save's legacy format: five pickles in a row, then each storage as its element count and its bytes.

Source: `torch/serialization.py`, `_legacy_save` and `_legacy_load`: magic number, protocol version, system
information, the object itself, the list of storage keys.
"""

from __future__ import annotations

import struct
from typing import Any

from ckpt_explorer.checkpoint import ITEM_BYTES, Storage
from ckpt_explorer.reading.claims import unknown_storage
from ckpt_explorer.reading.pickled import PickledFile, cut_short, walk
from ckpt_explorer.reading.source import Source
from ckpt_explorer.reading.torch_objects import StorageClaim, storage_claim
from ckpt_explorer.reading.zip_directory import damaged
from ckpt_explorer.text import bytes_as_text, visible

PROTOCOL_VERSION = 1001


def read_torch_legacy(source: Source) -> PickledFile:
    """Describe a legacy file: walks its pickles and the counts between its storages, and reads no storage.

    Raises:
        CorruptCheckpoint: cut short, or what it says of its storages does not fit the bytes.
    """
    data, position = source.data, 0
    _, _, position = walk(source, data, position)
    version, _, position = walk(source, data, position)
    if version != PROTOCOL_VERSION:
        raise damaged(
            source,
            f"it says to be version {visible(str(version)[:20])} of the legacy format, and there is only {PROTOCOL_VERSION}",
        )
    system, _, position = walk(source, data, position)
    claims: dict[str, StorageClaim] = {}

    def noted(identity: Any) -> StorageClaim:
        """The claim, after a note of its dtype: that gives the bytes of an element when the storages follow."""
        claim = storage_claim(identity)
        first = claims.setdefault(claim.key, claim)
        if first.dtype != claim.dtype:
            raise damaged(
                source, f"storage {visible(claim.key)!r} is {first.dtype} in one place and {claim.dtype} in another"
            )
        return claim

    root, names, position = walk(source, data, position, noted)
    keys, _, position = walk(source, data, position)
    places = _storage_places(source, keys, claims, position)
    big_endian = isinstance(system, dict) and system.get("little_endian") is False

    def storage(claim: StorageClaim) -> Storage:
        place = places.get(claim.key)
        if place is None:
            raise unknown_storage(source, claim.key)
        start, size = place
        return Storage(claim.key, size, lambda: data[start : start + size], big_endian)

    return PickledFile(root, names, storage, "torch.save before PyTorch 1.6 (legacy)")


def _storage_places(
    source: Source, keys: Any, claims: dict[str, StorageClaim], position: int
) -> dict[str, tuple[int, int]]:
    """Where each storage's bytes lie, as (start, size), from the counts in front of them."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise damaged(source, "its list of storages is none")
    places: dict[str, tuple[int, int]] = {}
    for index, key in enumerate(keys):
        claim = claims.get(key)
        if claim is None or key in places:
            raise damaged(
                source,
                f"its list of storages names {visible(key)!r}, which no tensor uses"
                if claim is None
                else f"it lists storage {visible(key)!r} twice",
            )
        if position + 8 > source.size:
            raise cut_short(source, f"{len(keys) - index:,} of {len(keys):,} storages are missing")
        count = struct.unpack_from("<q", source.data, position)[0]
        position += 8
        size = count * ITEM_BYTES[claim.dtype]
        if count < 0 or count != claim.elements:
            raise damaged(
                source,
                f"storage {visible(key)!r} has {count:,} elements in one place and {claim.elements:,} in another",
            )
        if position + size > source.size:
            raise cut_short(
                source,
                f"storage {visible(key)!r} should have {bytes_as_text(size)}, and {bytes_as_text(source.size - position)} are left ({len(keys) - index:,} of {len(keys):,} storages are missing)",
            )
        places[key] = (position, size)
        position += size
    return places
