"""torch.save's legacy format: five pickles in a row, then each storage as its element count and its bytes.

Source: `torch/serialization.py`, `_legacy_save` and `_legacy_load`: magic number, protocol version, system
information, the object itself, the list of storage keys.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import partial
from typing import Any

from ckpt_explorer.checkpoint import Span, Storage
from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.reading.pickles.claims import unknown_storage
from ckpt_explorer.reading.pickles.described import Call, Global, PersistentLoad
from ckpt_explorer.reading.pickles.pickled import PickledFile, walk_at
from ckpt_explorer.reading.pickles.torch_objects import StorageClaim, Storages, storage_claim
from ckpt_explorer.reading.refusals import cut_short, damaged
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.storages import FileStorage, MadeStorage
from ckpt_explorer.text import bytes_as_text, visible

PROTOCOL_VERSION = 1001
_COUNT = struct.Struct("<q")
"""In front of each storage: how many elements it has."""


def read_torch_legacy(source: Source, salvage: bool = False) -> PickledFile:
    """Describe a legacy file: walks its pickles and the counts between its storages, and reads no storage.

    With `salvage`, a file that breaks off in its storages is described with those that are whole.

    Raises:
        CorruptCheckpoint: cut short, or what it says of its storages does not fit the bytes.
    """
    position = 0
    names: dict[str, Global] = {}

    def next_pickle(persistent_load: PersistentLoad = storage_claim) -> Any:
        nonlocal position
        walked = walk_at(source, position, persistent_load)
        position = walked.position
        names.update(walked.globals)
        return walked.root

    next_pickle()
    version = next_pickle()
    if version != PROTOCOL_VERSION:
        raise damaged(source, f"it is of another version of the legacy format than {PROTOCOL_VERSION}")
    system = next_pickle()
    storages = Storages()
    noted_claims: dict[str, StorageClaim] = {}

    def noted(identity: Any) -> StorageClaim | Call:
        """The claim, after a note of its dtype: that gives the bytes of an element when the storages follow."""
        claim = storages(identity)
        if not isinstance(claim, StorageClaim):
            return claim
        first = noted_claims.setdefault(claim.key, claim)
        if first.dtype != claim.dtype and _size(first) != _size(claim):  # (one without bytes may have several types)
            raise damaged(
                source, f"storage {visible(claim.key)!r} is {first.dtype} in one place and {claim.dtype} in another"
            )
        return claim

    root = next_pickle(noted)
    keys = next_pickle()
    places = _storage_places(source, keys, noted_claims, position, salvage)
    big_endian = isinstance(system, dict) and system.get("little_endian") is False

    def find_storages(claims: Sequence[StorageClaim]) -> Sequence[Storage]:
        missing = next((claim for claim in claims if claim.key not in places), None)
        if missing is not None:
            raise unknown_storage(source, missing.key)
        parts = [(claim.key, *places[claim.key]) for claim in claims]
        if source.step is None:
            return [FileStorage(key, source, start, start + size, big_endian) for key, start, size in parts]
        return [
            MadeStorage(
                key,
                size,
                partial(_counted, source, key, start, size),
                big_endian,
                Span(source, start - _COUNT.size, start + size),
            )
            for key, start, size in parts
        ]

    here = frozenset(places) if len(places) < len(keys) else None
    writer = "torch.save before PyTorch 1.6 (legacy)"
    return PickledFile(root, names, find_storages, writer, here=here, devices=tuple(storages.devices))


def _size(claim: StorageClaim) -> int:
    """Bytes that a storage should have."""
    return claim.elements * ITEM_BYTES[claim.dtype]


def _counted(source: Source, key: str, start: int, size: int) -> memoryview:
    """A storage's bytes, where its count was not looked at when the file was opened."""
    counted = source.view(start - _COUNT.size, start + size)
    (count,) = _COUNT.unpack_from(counted)
    if count < 0 or (count == 0) != (size == 0) or (count and size % count):
        raise damaged(source, f"storage {visible(key)!r} has {count:,} elements, which its tensors do not expect")
    return counted[_COUNT.size :]


def _storage_places(
    source: Source, keys: Any, claims: dict[str, StorageClaim], position: int, salvage: bool
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
            if salvage:
                break
            raise cut_short(source, f"{len(keys) - index:,} of {len(keys):,} storages are missing")
        # Behind a network, one small request a storage would take minutes: its count is checked when it is read.
        local = source.step is None
        count = _COUNT.unpack(source.view(position, position + 8))[0] if local else claim.elements
        position += 8
        size = _size(claim)
        if count < 0 or count != claim.elements:
            raise damaged(
                source,
                f"storage {visible(key)!r} has {count:,} elements in one place and {claim.elements:,} in another",
            )
        if position + size > source.size:
            if salvage:
                break
            raise cut_short(
                source,
                f"storage {visible(key)!r} should have {bytes_as_text(size)}, and {bytes_as_text(source.size - position)} are left ({len(keys) - index:,} of {len(keys):,} storages are missing)",
            )
        places[key] = (position, size)
        position += size
    return places
