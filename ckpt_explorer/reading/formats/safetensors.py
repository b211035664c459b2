"""safetensors: eight bytes of length, a JSON header, then the tensors' bytes one behind the other.

Source: the format's description in the README of huggingface/safetensors, and its limit of 100 MB for the header.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from typing import Any, NamedTuple

from ckpt_explorer.checkpoint import StateDict, TensorInfo
from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.errors import CorruptCheckpoint, Diagnosis
from ckpt_explorer.reading.refusals import cut_short, damaged
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.storages import FileStorage
from ckpt_explorer.text import bytes_as_text, visible

MAX_HEADER = 100_000_000
LONG_HEADER = 4 << 20
BYTES_A_PART = 6
"""A tensor's row has eight bytes or more for each of its parts; a list of empty lists takes 30 times its text in memory."""

MAX_NUMBER = 2**63 - 1
"""Of a shape or a place: PyTorch counts in 64 bits with a sign."""

DTYPES: dict[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
    "F4": "float4_e2m1fn_x2",
    "F6_E2M3": "uint8",
    "F6_E3M2": "uint8",
}
"""torch's names. It has no type of 6 bits: such tensors are given as the bytes they are packed in."""

_BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}


class SafetensorsFile(NamedTuple):
    """The one state dict of a safetensors file, its metadata, and the keys whose bytes are missing."""

    state_dict: StateDict
    metadata: dict[str, str]
    lost: tuple[str, ...] = ()


def read_safetensors(source: Source, salvage: bool = False) -> SafetensorsFile:
    """Describe a safetensors file from its header.

    With `salvage`, the tensors of a file that breaks off are left out where they are not whole.

    Raises:
        CorruptCheckpoint: cut short, or a header whose claims do not fit the file.
    """
    length = int(struct.unpack("<Q", source.view(0, 8))[0])
    if length > MAX_HEADER:
        raise damaged(
            source, f"its header claims {bytes_as_text(length)}, {bytes_as_text(MAX_HEADER)} at most are read"
        )
    if 8 + length > source.size:
        raise cut_short(source, f"its header should have {bytes_as_text(length)}")
    header = _header(source, bytes(source.view(8, 8 + length)))
    metadata = header.pop("__metadata__", {})
    body = 8 + length
    rows = {key: _tensor(source, key, header.pop(key), body) for key in list(header)}
    end = _checked_end(source, rows)
    lost = tuple(key for key, (_, _, stop) in rows.items() if body + stop > source.size)
    if lost and not salvage:
        raise cut_short(
            source,
            f"tensor {visible(lost[0])!r} ends {bytes_as_text(body + rows[lost[0]][2] - source.size)} behind the end of the file",
        )
    if not lost and body + end != source.size:
        raise damaged(source, f"{source.size - body - end:,} bytes behind its last tensor belong to nothing")
    texts = {str(key): str(value) for key, value in metadata.items()} if isinstance(metadata, dict) else {}
    kept = {key: info for key, (info, _, _) in rows.items() if key not in set(lost)}
    return SafetensorsFile(StateDict("", kept), texts, lost)


def _header(source: Source, raw: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            twice = next(key for key, count in counts.items() if count > 1)
            raise damaged(source, f"its header has the key {visible(twice)!r} twice")
        return made

    parts = raw.count(b",") + raw.count(b"[") + raw.count(b"{")
    if len(raw) > LONG_HEADER and parts * BYTES_A_PART > len(raw):
        raise damaged(source, f"its header of {bytes_as_text(len(raw))} is made of {parts:,} small parts")
    try:
        header = json.loads(raw, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise damaged(source, "its header is no JSON") from None
    if not isinstance(header, dict):
        raise damaged(source, "its header is no JSON object")
    return header


def _tensor(source: Source, key: str, row: Any, body: int) -> tuple[TensorInfo, int, int]:
    shown = visible(key)
    shape, dtype, place = (
        (row.get("shape"), row.get("dtype"), row.get("data_offsets")) if isinstance(row, dict) else (None, None, None)
    )
    whole = [value for part in (shape, place) if isinstance(part, list) for value in part]
    if (
        not isinstance(shape, list)
        or not isinstance(place, list)
        or len(place) != 2
        or not all(type(v) is int and 0 <= v <= MAX_NUMBER for v in whole)
    ):
        raise damaged(source, f"tensor {shown!r} has no shape or no place in its header")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise CorruptCheckpoint(
            Diagnosis(
                "F18",
                f"{visible(source.name)}: tensor {shown!r} has elements of type {visible(str(dtype))!r}, which PyTorch does not have",
                "save it again in a type of PyTorch's.",
            )
        )
    start, end = place
    name = DTYPES[dtype]
    shape = _in_bytes(source, key, shape, dtype)
    stride, elements = _contiguous(shape)
    if end - start != elements * ITEM_BYTES[name]:
        raise damaged(
            source,
            f"tensor {shown!r} needs {bytes_as_text(elements * ITEM_BYTES[name])} for its shape, and its place has {end - start:,} bytes",
        )
    storage = FileStorage(key, source, body + start, body + end)
    return TensorInfo(key, tuple(shape), name, stride, 0, storage), start, end


def _in_bytes(source: Source, key: str, shape: list[int], dtype: str) -> list[int]:
    """The shape as torch has it: elements of less than a byte lie several in one, along the last dimension."""
    if dtype not in _BITS:
        return shape
    bits = _BITS[dtype] * (shape[-1] if shape else 1)
    if bits % 8:
        raise damaged(source, f"tensor {visible(key)!r} of {dtype} does not fill whole bytes")
    return [*shape[:-1], bits // 8]


def _contiguous(shape: list[int]) -> tuple[tuple[int, ...], int]:
    """The strides that torch gives such a tensor, and the number of its elements."""
    stride: list[int] = []
    elements = step = 1
    for side in reversed(shape):
        stride.insert(0, step)
        elements *= side
        step *= max(side, 1)
    return tuple(stride), elements


def _checked_end(source: Source, rows: dict[str, tuple[TensorInfo, int, int]]) -> int:
    """Where the last tensor ends. The format allows neither overlaps nor holes, so that nothing can hide between tensors."""
    end = 0
    for info, start, stop in sorted(rows.values(), key=lambda row: (row[1], row[2])):
        if start != end:
            what = "overlaps another" if start < end else "leaves a hole before it"
            raise damaged(source, f"tensor {visible(info.key)!r} {what} in the file")
        end = stop
    return end
