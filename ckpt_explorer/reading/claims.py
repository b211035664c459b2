"""From claims to facts: a tensor of the file is listed only after its storage exists and holds every element of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from ckpt_explorer.checkpoint import ITEM_BYTES, Storage, TensorInfo
from ckpt_explorer.errors import CorruptCheckpoint
from ckpt_explorer.reading.source import Source
from ckpt_explorer.reading.torch_objects import StorageClaim, TensorClaim
from ckpt_explorer.reading.zip_directory import damaged
from ckpt_explorer.text import bytes_as_text, shape_as_text, visible

MAX_DIMENSIONS = 64

FindStorage = Callable[[StorageClaim], Storage]


@lru_cache(maxsize=4096)
def _extent(shape: tuple[int, ...], stride: tuple[int, ...]) -> int | None:
    """How many elements of its storage a tensor spans; None where shape and stride make no tensor."""
    if (
        len(shape) != len(stride)
        or len(shape) > MAX_DIMENSIONS
        or any(side < 0 for side in shape)
        or any(step < 0 for step in stride)
    ):
        return None
    if 0 in shape:
        return 0
    return 1 + sum((side - 1) * step for side, step in zip(shape, stride, strict=True))


def tensor_info(source: Source, key: str, claim: TensorClaim, storage: Storage) -> TensorInfo:
    """The tensor that `claim` describes, as a fact.

    Raises:
        CorruptCheckpoint: its dtype is unknown, its shape impossible, or it reaches beyond its storage.
    """
    width = ITEM_BYTES.get(claim.dtype)
    if width is None:
        raise damaged(
            source,
            f"tensor {visible(key)!r} has elements of type {visible(claim.dtype)!r}, which PyTorch does not have",
        )
    extent = _extent(claim.shape, claim.stride)
    offset = claim.offset + claim.storage.view_offset
    if extent is None or offset < 0:
        raise damaged(
            source,
            f"tensor {visible(key)!r} has the impossible shape {shape_as_text(claim.shape[:8])} with strides {shape_as_text(claim.stride[:8])}",
        )
    if (offset + extent) * width > storage.size and extent:
        raise damaged(
            source,
            f"tensor {visible(key)!r} would need bytes up to {(offset + extent) * width:,} of a storage of {bytes_as_text(storage.size)}",
        )
    return TensorInfo(key, claim.shape, claim.dtype, claim.stride, offset, storage)


def unknown_storage(source: Source, key: str) -> CorruptCheckpoint:
    """The refusal of a file that refers to a storage it does not hold."""
    return damaged(source, f"it refers to storage {visible(key)!r}, which it does not hold")
