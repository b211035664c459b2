"""Tensors of random bits in every dtype that this torch writes, and whether two tensors are the same in all that it keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ckpt_explorer.reading import open_checkpoint

PLAIN = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex128, torch.complex64, torch.complex32, torch.bcomplex32, torch.bool,
    torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bits8, torch.bits16,
    torch.bits1x8, torch.bits2x4, torch.bits4x2, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz,
    torch.float8_e8m0fnu, torch.float4_e2m1fn_x2,
)  # fmt: skip
"""Every dtype of this torch that it can write, but the quantised ones, which need a scale."""

SAFETENSORS = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.bool, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu, torch.float4_e2m1fn_x2,
)  # fmt: skip


def bits(shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> Tensor:
    """A tensor of random bits: every NaN there is among them. (A bool has two values, all other bytes are not its.)"""
    size = torch.Size(shape).numel() * dtype.itemsize
    raw = torch.randint(
        0, 2 if dtype is torch.bool else 256, (size,), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )
    return torch.empty(shape, dtype=dtype).set_(raw.untyped_storage(), 0, shape, _steps(shape))


def _steps(shape: tuple[int, ...]) -> tuple[int, ...]:
    return torch.empty(shape, device="meta").stride()


def parts(tensor: Any) -> Iterator[tuple[str, Tensor]]:
    """The strided tensors that a tensor is made of."""
    if tensor.is_nested:
        if tensor.layout is torch.jagged:
            yield from (("values", tensor.values()), ("offsets", tensor.offsets()))
        else:
            yield from ((f"part {number}", part) for number, part in enumerate(tensor.unbind()))
    elif tensor.layout is torch.sparse_coo:
        yield from (("indices", tensor._indices()), ("values", tensor._values()))
    elif tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        yield from (("rows", tensor.crow_indices()), ("columns", tensor.col_indices()), ("values", tensor.values()))
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        yield from (("columns", tensor.ccol_indices()), ("rows", tensor.row_indices()), ("values", tensor.values()))
    elif not tensor.is_meta:
        yield "", tensor


def elements(tensor: Tensor) -> bytes:
    """The bytes of the elements, in the order of the shape."""
    if not tensor.numel():
        return b""
    width = tensor.element_size()
    raw = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
    stride = (*(step * width for step in tensor.stride()), 1)
    picked = raw.as_strided((*tensor.shape, width), stride, tensor.storage_offset() * width)
    return picked.contiguous().numpy().tobytes()


def assert_same(ours: Tensor, theirs: Tensor, key: str) -> None:
    """All that torch keeps of a tensor is the same."""
    assert (ours.dtype, ours.layout, ours.is_nested) == (theirs.dtype, theirs.layout, theirs.is_nested), key
    assert theirs.is_nested or ours.shape == theirs.shape, key
    assert (ours.is_conj(), ours.is_neg(), ours.is_meta) == (theirs.is_conj(), theirs.is_neg(), theirs.is_meta), key
    assert ours.is_quantized == theirs.is_quantized, key
    if ours.layout is torch.strided and not ours.is_nested:
        assert ours.stride() == theirs.stride(), key
    if theirs.layout is torch.sparse_coo:
        assert ours.is_coalesced() == theirs.is_coalesced(), key
        assert (ours.sparse_dim(), ours.dense_dim()) == (theirs.sparse_dim(), theirs.dense_dim()), key
    if theirs.is_quantized:
        assert ours.qscheme() == theirs.qscheme(), key
        if theirs.qscheme() is torch.per_tensor_affine:
            assert (ours.q_scale(), ours.q_zero_point()) == (theirs.q_scale(), theirs.q_zero_point()), key
        else:
            assert ours.q_per_channel_axis() == theirs.q_per_channel_axis(), key
            assert torch.equal(ours.q_per_channel_scales(), theirs.q_per_channel_scales()), key
            assert torch.equal(ours.q_per_channel_zero_points(), theirs.q_per_channel_zero_points()), key
    for (name, our_part), (_, their_part) in zip(parts(ours), parts(theirs), strict=True):
        assert (our_part.shape, our_part.dtype) == (their_part.shape, their_part.dtype), f"{key}: {name}"
        assert elements(our_part) == elements(their_part), f"{key}: {name}"


def assert_opens_as(data: bytes, theirs: Mapping[str, Tensor]) -> None:
    """The file opens with those keys in that order, and those tensors."""
    ours = open_checkpoint(data, "model.pth").state_dict
    assert list(ours) == list(theirs)
    for key, tensor in theirs.items():
        info = ours[key]
        if not tensor.is_nested:
            assert info.shape == tuple(tensor.shape), key
        assert f"torch.{info.dtype}" == str(tensor.dtype), key
        assert_same(ours.tensor(key), tensor, key)
