"""From the description of a tensor to the tensor itself: a view of the file's bytes."""

from __future__ import annotations

import warnings

import torch

from ckpt_explorer.checkpoint import ITEM_BYTES, TensorInfo

# The file is mapped read-only and an upload's bytes can't be written either; torch warns of that at every view.
warnings.filterwarnings("ignore", message="The given buffer is not writable", category=UserWarning)

_QUANTISED = {"qint8": torch.int8, "quint8": torch.uint8, "qint32": torch.int32}


def dtype_named(name: str) -> torch.dtype:
    """torch's dtype of that name; quantised ones as the integers that they are stored as."""
    found = _QUANTISED.get(name) or getattr(torch, name)
    assert isinstance(found, torch.dtype)
    return found


def tensor_from(info: TensorInfo) -> torch.Tensor:
    """The tensor that `info` describes, on the CPU, sharing memory with the file. See `StateDict.tensor`."""
    dtype = dtype_named(info.dtype)
    if info.elements == 0:
        return torch.empty(info.shape, dtype=dtype)
    flat = torch.frombuffer(_in_this_byte_order(info), dtype=dtype)
    return flat.as_strided(info.shape, info.stride, info.offset)


def _in_this_byte_order(info: TensorInfo) -> memoryview | bytearray:
    """The storage's bytes, cut to whole elements, and turned round in a copy where the file is big-endian."""
    width = ITEM_BYTES[info.dtype]
    data = info.storage.read()
    data = data[: len(data) // width * width]
    part = (
        8
        if info.dtype == "complex128"
        else 4
        if info.dtype == "complex64"
        else 2
        if info.dtype == "complex32"
        else width
    )
    if not info.storage.big_endian or part == 1:
        return data
    turned = bytearray(len(data))
    for byte in range(part):
        turned[byte::part] = data[part - 1 - byte :: part]
    return turned
