"""Tensors that are made of others: sparse, quantised, nested, conjugated, in chunks. One row each, from parts to tensor.

The parts were checked to lie in the file; what they say (indices, offsets, scales) is checked here, before torch is
given it: some of torch's own functions read wherever an offset points.

Source: `torch/_utils.py` (`_rebuild_sparse_tensor`, `_rebuild_nested_tensor`, `_rebuild_qtensor`, `set_tensor_metadata`).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch

from ckpt_explorer.checkpoint import Composed, TensorInfo
from ckpt_explorer.dtypes import ITEM_BYTES, PACKED
from ckpt_explorer.errors import CorruptCheckpoint, Diagnosis
from ckpt_explorer.text import shape_as_text, visible

ROOM = 128 << 20
FULLER = 64
"""What is made of parts may take ROOM bytes, or so many times those of its parts."""

MakePart = Callable[[TensorInfo], torch.Tensor]


def composed_tensor(info: TensorInfo, make: MakePart) -> torch.Tensor:
    """The tensor that `info.composed` describes; `make` makes its parts.

    Raises:
        CorruptCheckpoint: the parts do not make such a tensor.
    """
    assert info.composed is not None
    try:
        return _KINDS[info.composed.kind](info, make)
    except (RuntimeError, ValueError, TypeError, IndexError, OverflowError) as error:
        raise _refused(info, str(error).split("\n", 1)[0]) from None


def blown_up(size: int, composed: Composed) -> bool:
    """Whether a tensor of `size` bytes has grown beyond all reason from its parts."""
    return size > ROOM and size > FULLER * sum(part.storage.size for part in composed.parts)


def padded_elements(nested: Any) -> int:
    """How many elements a batch of tensors of different sizes has once all are as large as the largest."""
    if nested.layout is torch.jagged:
        rows = (nested.offsets()[1:] - nested.offsets()[:-1]).tolist()
        return len(rows) * max(rows, default=0) * prod(side for side in nested.shape[2:] if isinstance(side, int))
    sizes = nested._nested_tensor_size()
    return len(sizes) * prod(sizes.max(0).values.tolist()) if sizes.numel() else 0


def filled_out(info: TensorInfo, tensor: torch.Tensor) -> torch.Tensor:
    """The elements that `tensor`, made of `info`'s parts, stands for.

    Raises:
        CorruptCheckpoint: torch finds that they are none.
    """
    try:
        if tensor.is_quantized:
            return tensor.dequantize()
        if tensor.is_nested:
            return tensor.to_padded_tensor(0.0)
        whole = tensor if tensor.layout is torch.strided else tensor.to_dense()
        return whole.resolve_conj().resolve_neg()
    except (RuntimeError, ValueError) as error:
        raise _refused(info, str(error).split("\n", 1)[0]) from None


def _refused(info: TensorInfo, why: str) -> CorruptCheckpoint:
    assert info.composed is not None
    kind = info.composed.kind.replace("_", " ")
    return CorruptCheckpoint(
        Diagnosis(
            "F18",
            f"tensor {visible(info.key)!r} can't be made from its parts ({kind}): {visible(why, 160)}",
            "fetch the file again from where it was published; if it stays so, do not trust it.",
        )
    )


def _parts(info: TensorInfo, make: MakePart) -> list[torch.Tensor]:
    assert info.composed is not None
    return [make(part) for part in info.composed.parts]


def _coordinates(info: TensorInfo, make: MakePart) -> torch.Tensor:
    indices, values = _parts(info, make)
    assert info.composed is not None
    return torch.sparse_coo_tensor(
        indices, values, info.shape, check_invariants=True, is_coalesced=info.composed.detail
    )


def _compressed(layout: torch.layout) -> Callable[[TensorInfo, MakePart], torch.Tensor]:
    def made(info: TensorInfo, make: MakePart) -> torch.Tensor:
        compressed, plain, values = _parts(info, make)
        return torch.sparse_compressed_tensor(
            compressed, plain, values, info.shape, layout=layout, check_invariants=True
        )

    return made


def _nested(info: TensorInfo, make: MakePart) -> torch.Tensor:
    buffer, sizes, strides, offsets = _parts(info, make)
    rows = (sizes.dim(), sizes.shape == strides.shape, offsets.dim(), len(offsets) == len(sizes), buffer.dim())
    if rows != (2, True, 1, True, 1) or {sizes.dtype, strides.dtype, offsets.dtype} != {torch.int64}:
        raise ValueError("its sizes, strides and offsets are not those of one batch")
    for size, stride, offset in zip(sizes.tolist(), strides.tolist(), offsets.tolist(), strict=True):
        reach = sum((side - 1) * step for side, step in zip(size, stride, strict=True))
        if min([offset, *size, *stride]) < 0 or (0 not in size and offset + reach >= len(buffer)):
            raise ValueError(f"a part of shape {shape_as_text(size)} reaches beyond its {len(buffer):,} elements")
    return torch._nested_view_from_buffer(buffer, sizes, strides, offsets)


def _jagged(info: TensorInfo, make: MakePart) -> torch.Tensor:
    values, offsets, *lengths = _parts(info, make)
    ends = offsets[1:] if not lengths else offsets[:-1] + lengths[0]
    if (
        not len(offsets)
        or offsets[0] < 0
        or bool((ends < offsets[:-1]).any())
        or max(ends.tolist(), default=0) > len(values)
    ):
        raise ValueError(f"its parts reach beyond its {len(values):,} rows")
    return torch.nested.nested_tensor_from_jagged(values, offsets, lengths[0] if lengths else None)


def _per_tensor(info: TensorInfo, make: MakePart) -> torch.Tensor:
    assert info.composed is not None
    (whole,), (scale, zero_point) = info.composed.parts, info.composed.detail
    empty = torch._empty_affine_quantized(
        info.shape, scale=scale, zero_point=zero_point, dtype=getattr(torch, info.dtype)
    )
    return _onto(empty, whole, make)


def _per_channel(info: TensorInfo, make: MakePart) -> torch.Tensor:
    assert info.composed is not None
    whole, *beside = info.composed.parts
    scales, zero_points = map(make, beside)
    axis = info.composed.detail
    if not scales.dim() == zero_points.dim() == 1 or not len(scales) == len(zero_points) == info.shape[axis]:
        raise ValueError(f"{len(scales):,} scales for an axis of {info.shape[axis]:,}")
    empty = torch._empty_per_channel_affine_quantized(
        info.shape, scales=scales, zero_points=zero_points, axis=axis, dtype=getattr(torch, info.dtype)
    )
    return _onto(empty, whole, make)


def _onto(quantised: torch.Tensor, whole: TensorInfo, make: MakePart) -> torch.Tensor:
    """`quantised` with the integers, the offset and the strides of `whole`.

    torch can't make a quantised tensor of bytes (it would lack its scale, and touching it ends the process), so the
    storage is given to one that has a scale. (It is read as the integers in it, whose byte order may have to be turned.)
    """
    dtype = "uint8" if whole.dtype in PACKED else whole.dtype
    elements = whole.storage.size // ITEM_BYTES[dtype]
    flat = make(whole._replace(shape=(elements,), stride=(1,), offset=0, dtype=dtype))
    typed: Any = torch.storage.TypedStorage
    storage = typed(wrap_storage=flat.untyped_storage(), dtype=quantised.dtype, _internal=True)
    return quantised.set_(storage, whole.offset, whole.shape, whole.stride)


def _bits(info: TensorInfo, make: MakePart) -> torch.Tensor:
    (plain,) = _parts(info, make)
    assert info.composed is not None
    bits = info.composed.detail
    made = torch._conj(plain) if "conj" in bits else plain
    return torch._neg_view(made) if "neg" in bits else made


def _meta(info: TensorInfo, _: MakePart) -> torch.Tensor:
    return torch.empty_strided(info.shape, info.stride, dtype=getattr(torch, info.dtype), device="meta")


def _cast(info: TensorInfo, make: MakePart) -> torch.Tensor:
    dtype = getattr(torch, info.dtype)
    assert info.composed is not None
    if blown_up(info.elements * dtype.itemsize, info.composed):
        raise ValueError("it would be much larger than what the file holds of it")
    return _parts(info, make)[0].to(dtype)


def _chunks(info: TensorInfo, make: MakePart) -> torch.Tensor:
    """Pieces of one tensor, `detail` saying at which index each begins; together they fill it (checked at opening)."""
    assert info.composed is not None
    parts = info.composed.parts
    if len(parts) == 1 and parts[0].shape == info.shape:
        return make(parts[0])
    whole = torch.empty(info.shape, dtype=getattr(torch, info.dtype))
    for part, start in zip(parts, info.composed.detail, strict=True):
        place = tuple(slice(first, first + side) for first, side in zip(start, part.shape, strict=True))
        whole[place] = make(part)
    return whole


_KINDS: dict[str, Callable[[TensorInfo, MakePart], torch.Tensor]] = {
    "sparse_coo": _coordinates,
    "sparse_csr": _compressed(torch.sparse_csr),
    "sparse_csc": _compressed(torch.sparse_csc),
    "sparse_bsr": _compressed(torch.sparse_bsr),
    "sparse_bsc": _compressed(torch.sparse_bsc),
    "nested": _nested,
    "jagged": _jagged,
    "per_tensor_affine": _per_tensor,
    "per_channel_affine": _per_channel,
    "bits": _bits,
    "meta": _meta,
    "cast": _cast,
    "chunks": _chunks,
}
