"""From claims to facts: a tensor of the file is listed only after its storage exists and holds every element of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import repeat
from operator import add, attrgetter, le, mul

from ckpt_explorer.checkpoint import Composed, Storage, TensorInfo
from ckpt_explorer.dtypes import ITEM_BYTES, PACKED
from ckpt_explorer.errors import CorruptCheckpoint
from ckpt_explorer.reading.pickles.torch_objects import (
    MAX_DIMENSIONS,
    AnyTensorClaim,
    ComposedClaim,
    StorageClaim,
    TensorClaim,
)
from ckpt_explorer.reading.refusals import damaged
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.storages import MadeStorage
from ckpt_explorer.text import bytes_as_text, shape_as_text, visible

MAX_ELEMENTS = 2**62
"""PyTorch counts elements in 64 bits with a sign."""

FindStorages = Callable[[Sequence[StorageClaim]], Sequence[Storage]]
"""From claims to where those storages lie in the file; refuses the file when one is not there."""

AT_ONCE = 4096
"""Claims that are looked at together."""

_KEY, _SIZE, _VIEW_OFFSET = attrgetter("key"), attrgetter("size"), attrgetter("view_offset")
_NEW_TUPLE: Callable[..., TensorInfo] = tuple.__new__
"""Faster than the named tuple's own constructor, which wants its fields one by one."""


@lru_cache(maxsize=4096)
def _extent(shape: tuple[int, ...], stride: tuple[int, ...]) -> int | None:
    """How many elements of its storage a tensor spans; None where shape and stride make no tensor."""
    if (
        len(shape) != len(stride)
        or len(shape) > MAX_DIMENSIONS
        or any(not 0 <= side < MAX_ELEMENTS for side in shape)
        or any(not 0 <= step < MAX_ELEMENTS for step in stride)
    ):
        return None
    elements = 1
    for side in shape:
        elements *= max(side, 1)
        if elements > MAX_ELEMENTS:
            return None
    if 0 in shape:
        return 0
    return 1 + sum((side - 1) * step for side, step in zip(shape, stride, strict=True))


def tensor_infos(
    source: Source, find_storages: FindStorages, claims: dict[str, AnyTensorClaim]
) -> dict[str, TensorInfo]:
    """The tensors that `claims` describe, as facts: the same mapping, in which each stands in its claim's place.

    So a claim may go as soon as its fact is found; of 50,000 tensors, both together would take twice the memory.

    Raises:
        CorruptCheckpoint: a dtype is unknown, a shape impossible, or a tensor reaches beyond its storage.
    """
    infos = list(claims.values())
    if set(map(type, infos)) == {TensorInfo} and list(map(_KEY, infos)) == list(claims):
        return claims  # type: ignore[return-value]
    keys = [key for key, claim in claims.items() if type(claim) is not TensorInfo or claim.key != key]
    for first in range(0, len(keys), AT_ONCE):
        some = keys[first : first + AT_ONCE]
        claims.update(zip(some, _facts(source, find_storages, some, list(map(claims.__getitem__, some))), strict=True))
    return claims  # type: ignore[return-value]


def _facts(
    source: Source, find_storages: FindStorages, keys: list[str], claims: list[AnyTensorClaim]
) -> list[TensorInfo]:
    if set(map(type, claims)) == {TensorClaim}:
        return _infos(source, find_storages, keys, claims)  # type: ignore[arg-type]
    parts = [(key, part) for key, claim in zip(keys, claims, strict=True) for part in _parts(claim)]
    found = iter(_infos(source, find_storages, [key for key, _ in parts], [part for _, part in parts]))
    return [
        _fact(source, key, claim, [next(found) for _ in _parts(claim)]) for key, claim in zip(keys, claims, strict=True)
    ]


def _parts(claim: AnyTensorClaim) -> tuple[TensorClaim, ...]:
    """The claims whose facts make that of `claim`: itself, those of its parts, or none where it is one already."""
    if isinstance(claim, TensorInfo):
        return ()
    return (claim,) if isinstance(claim, TensorClaim) else claim.parts


def _fact(source: Source, key: str, claim: AnyTensorClaim, found: list[TensorInfo]) -> TensorInfo:
    if isinstance(claim, TensorInfo):
        return claim._replace(key=key)
    return found[0] if isinstance(claim, TensorClaim) else _composed(source, key, claim, tuple(found))


def _infos(source: Source, find_storages: FindStorages, keys: list[str], claims: list[TensorClaim]) -> list[TensorInfo]:
    """One fact a claim. Column by column: row by row takes three times as long."""
    if not claims:
        return []
    storage_claims, offsets, shapes, strides, dtypes = zip(*claims, strict=True)
    storages, view_offsets = _places(find_storages, storage_claims)
    starts = list(map(add, offsets, view_offsets))
    if not are_possible(shapes, dtypes, strides, starts, storages):
        for key, claim, start, storage in zip(keys, claims, starts, storages, strict=True):
            _check(source, key, claim, start, storage)
    return infos_of(keys, shapes, dtypes, strides, starts, storages)


def are_possible(
    shapes: Sequence[tuple[int, ...]],
    dtypes: Sequence[str],
    strides: Sequence[tuple[int, ...]],
    starts: Sequence[int],
    storages: Sequence[Storage],
) -> bool:
    """Whether all of these tensors, given by columns, have a shape and a dtype that exist, and lie in their storages.

    (False also for some that do, and take less than a byte an element: `tensor_infos` looks at each.)
    """
    extents = list(map(_extent, shapes, strides))
    widths = list(map(ITEM_BYTES.get, dtypes))
    if None in extents or None in widths or min(starts) < 0:
        return False
    return all(map(le, map(mul, map(add, starts, extents), widths), map(_SIZE, storages)))


def infos_of(
    keys: Sequence[str],
    shapes: Sequence[tuple[int, ...]],
    dtypes: Sequence[str],
    strides: Sequence[tuple[int, ...]],
    starts: Sequence[int],
    storages: Sequence[Storage],
) -> list[TensorInfo]:
    """The facts of tensors given by columns, which were checked."""
    rows = zip(keys, shapes, dtypes, strides, starts, storages, repeat(None), strict=False)
    return list(map(_NEW_TUPLE, repeat(TensorInfo), rows))


def _places(
    find_storages: FindStorages, claims: tuple[StorageClaim | Storage, ...]
) -> tuple[Sequence[Storage], list[int]]:
    """The storages behind `claims`, and at which element of them each begins; some were found while walking."""
    if set(map(type, claims)) == {StorageClaim}:
        return find_storages(claims), list(map(_VIEW_OFFSET, claims))  # type: ignore[arg-type]
    wanted = [claim for claim in claims if isinstance(claim, StorageClaim)]
    found = iter(find_storages(wanted) if wanted else ())
    storages = [next(found) if isinstance(claim, StorageClaim) else claim for claim in claims]
    return storages, [claim.view_offset if isinstance(claim, StorageClaim) else 0 for claim in claims]


def _composed(source: Source, key: str, claim: ComposedClaim, parts: tuple[TensorInfo, ...]) -> TensorInfo:
    """A tensor made of `parts`, after a check that its shape is one. (What is in the parts is checked when it is made.)"""
    stride = claim.detail if claim.kind == "meta" else (0,) * len(claim.shape)
    if claim.dtype not in ITEM_BYTES or _extent(claim.shape, stride) is None:
        raise _impossible(source, key, TensorClaim(_NO_STORAGE, 0, claim.shape, stride, claim.dtype))
    storage = parts[0].storage if parts else _NO_STORAGE
    composed = Composed(claim.kind, parts, claim.detail)
    return TensorInfo(key, claim.shape, claim.dtype, stride, 0, storage, composed)


def _nothing() -> memoryview:
    return memoryview(b"")


_NO_STORAGE = MadeStorage("none", 0, _nothing)


def _check(source: Source, key: str, claim: TensorClaim, start: int, storage: Storage) -> None:
    """Refuse the file if this tensor is impossible. (An empty one may lie anywhere.)"""
    extent = _extent(claim.shape, claim.stride)
    if extent is None or start < 0 or claim.dtype not in ITEM_BYTES:
        raise _impossible(source, key, claim)
    end = -(-(start + extent) * ITEM_BYTES[claim.dtype] // PACKED.get(claim.dtype, 1))
    if end > storage.size and extent:
        raise damaged(
            source,
            f"tensor {visible(key)!r} would need bytes up to {end:,} of a storage of {bytes_as_text(storage.size)}",
        )


def _impossible(source: Source, key: str, claim: TensorClaim) -> CorruptCheckpoint:
    if claim.dtype not in ITEM_BYTES:
        what = f"elements of type {visible(claim.dtype)!r}, which PyTorch does not have"
    else:
        what = (
            f"the impossible shape {_numbers_as_text(claim.shape)} with strides {_numbers_as_text(claim.stride)}"
            f" from element {_numbers_as_text((claim.offset,))}"
        )
    return damaged(source, f"tensor {visible(key)!r} has {what}")


def _numbers_as_text(numbers: tuple[int, ...]) -> str:
    """As a shape, cut: a number of the file may have thousands of digits, and a shape any length."""
    return visible(shape_as_text(numbers[:8]), 200)


def unknown_storage(source: Source, key: str) -> CorruptCheckpoint:
    """The refusal of a file that refers to a storage it does not hold."""
    return damaged(source, f"it refers to storage {visible(key)!r}, which it does not hold")
