"""From the description of a tensor to the tensor itself: a view of the file's bytes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch

from ckpt_explorer.dtypes import ITEM_BYTES, PACKED

if TYPE_CHECKING:
    from ckpt_explorer.checkpoint import Composed, TensorInfo
from ckpt_explorer.errors import CorruptCheckpoint, Diagnosis
from ckpt_explorer.text import bytes_as_text, visible

# The file is mapped read-only and an upload's bytes can't be written either; torch warns of that at every view.
warnings.filterwarnings("ignore", message="The given buffer is not writable", category=UserWarning)
# Of what torch thinks of sparse, quantised and nested tensors: whoever opens a file did not choose them.
warnings.filterwarnings(
    "ignore", message=".*(Sparse \\w+ tensor support|torch.quantize_per|nested tensors)", category=UserWarning
)


_INTEGERS = {"qint8": torch.int8, "quint8": torch.uint8, "qint32": torch.int32}


def dtype_named(name: str) -> torch.dtype:
    """torch's dtype of that name; a quantised one without its scale is the integers that it is stored as."""
    found = _INTEGERS.get(name) or getattr(torch, name)
    assert isinstance(found, torch.dtype)
    return found


_COMPLEX_PARTS = {"complex128": 8, "complex64": 4, "complex32": 2, "bcomplex32": 2}
"""Bytes of the real part: byte order is that of the parts."""


def tensor_from(info: TensorInfo) -> torch.Tensor:
    """The tensor that `info` describes, on the CPU, sharing memory with the file. See `StateDict.tensor`."""
    if info.composed is not None:
        from ckpt_explorer.compositions import composed_tensor

        return composed_tensor(info, tensor_from)
    if info.dtype in PACKED:  # without a scale they are only bytes
        count = -(-info.elements // PACKED[info.dtype])
        return tensor_from(info._replace(dtype="uint8", shape=(count,), stride=(1,)))
    dtype = dtype_named(info.dtype)
    if info.elements == 0:
        return torch.empty_strided(info.shape, info.stride, dtype=dtype)
    flat = _aligned(torch.frombuffer(_in_this_byte_order(info), dtype=dtype))
    return flat.as_strided(info.shape, info.stride, info.offset)


ALIGNED = 16
"""Bytes of an element that the processor takes in one piece: torch ends the process where one does not begin at a multiple."""


def _aligned(flat: torch.Tensor) -> torch.Tensor:
    """`flat`, in a copy where its elements are such and lie where a file without padding happened to put them."""
    if flat.element_size() < ALIGNED or flat.data_ptr() % ALIGNED == 0:
        return flat
    raw = torch.empty(flat.nbytes, dtype=torch.uint8)
    raw.numpy()[:] = flat.view(torch.uint8).numpy()
    return raw.view(flat.dtype)


def dense_from(info: TensorInfo) -> torch.Tensor:
    """The tensor that `info` describes, as a network takes it. See `StateDict.dense`."""
    tensor = tensor_from(info)
    if info.composed is None:
        return tensor
    if tensor.is_meta:
        raise CorruptCheckpoint(
            Diagnosis(
                "F18",
                f"tensor {visible(info.key)!r} was saved from the meta device, so the file has its shape and no values",
                "save it again from a network whose weights were loaded.",
            )
        )
    from ckpt_explorer.compositions import filled_out

    _check_room(info, info.composed, tensor)
    return filled_out(info, tensor)


def _check_room(info: TensorInfo, composed: Composed, tensor: torch.Tensor) -> None:
    """Refuse what a few numbers would blow up beyond all reason: a sparse tensor of a million rows and columns."""
    from ckpt_explorer.compositions import blown_up, padded_elements

    elements = padded_elements(tensor) if tensor.is_nested else info.elements
    full = elements * max(ITEM_BYTES[info.dtype], 4)
    if blown_up(full, composed):
        raise CorruptCheckpoint(
            Diagnosis(
                "F18",
                f"tensor {visible(info.key)!r} would take {bytes_as_text(full)} when it is filled out, and its parts have {bytes_as_text(info.size)}",
                "if you trust the file, load this tensor with torch and keep it sparse.",
            )
        )


def _in_this_byte_order(info: TensorInfo) -> memoryview | bytearray:
    """The storage's bytes, cut to whole elements, and turned round in a copy where the file is big-endian."""
    width = ITEM_BYTES[info.dtype]
    data = _read(info)
    data = data[: len(data) // width * width]
    part = _COMPLEX_PARTS.get(info.dtype, width)
    if not info.storage.big_endian or part == 1:
        return data
    turned = bytearray(len(data))
    for byte in range(part):
        turned[byte::part] = data[part - 1 - byte :: part]
    return turned


def _read(info: TensorInfo) -> memoryview:
    """The storage's bytes; a refusal names the tensor that needed them."""
    try:
        return info.storage.read()
    except CorruptCheckpoint as error:
        found = error.diagnosis
        raise CorruptCheckpoint(
            Diagnosis(found.id, f"{found.says} (tensor {visible(info.key)!r} needs them)", found.next)
        ) from None
