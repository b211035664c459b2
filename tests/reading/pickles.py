"""Pickles and archives written by hand, for what torch.save never writes."""

from __future__ import annotations

import io
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

TENSORS: dict[str, Tensor] = {
    "conv1.weight": torch.arange(4 * 3 * 3 * 3, dtype=torch.float32).reshape(4, 3, 3, 3),
    "bn1.weight": torch.linspace(-1, 1, 4),
    "bn1.num_batches_tracked": torch.tensor(7),
}


def saved(value: Any, legacy: bool = False, **options: Any) -> bytes:
    """What torch.save writes of `value`."""
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not legacy, **options)
    return file.getvalue()


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def called(dotted: str, *arguments: bytes) -> bytes:
    """GLOBAL, a tuple of arguments, REDUCE."""
    module, _, name = dotted.rpartition(".")
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n(" + b"".join(arguments) + b"tR"


def mapping(pairs: Mapping[str, bytes]) -> bytes:
    """A dict of texts to whatever these instructions build."""
    return b"}(" + b"".join(text(key) + value for key, value in pairs.items()) + b"u"


def tensor(key: str, shape: tuple[int, ...], elements: int, offset: int = 0, stride: tuple[int, ...] = (1,)) -> bytes:
    """The instructions that build a float32 tensor on the storage `key`."""

    def number(value: int) -> bytes:
        size = (value.bit_length() + 8) // 8
        return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(elements) + b"tQ"
    hooks = b"ccollections\nOrderedDict\n)R"
    return called(
        "torch._utils._rebuild_tensor_v2", storage, number(offset), numbers(shape), numbers(stride), b"\x89", hooks
    )


def archive(pickle: bytes, records: Mapping[str, bytes] | None = None, packed: bool = False) -> bytes:
    """A torch zip archive with this pickle and these storages."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as made:
        made.writestr("archive/data.pkl", pickle)
        made.writestr("archive/byteorder", b"little")
        for key, content in (records or {}).items():
            made.writestr(f"archive/data/{key}", content)
        made.writestr("archive/version", b"3\n")
    return file.getvalue()


def beside_a_tensor(instructions: bytes) -> bytes:
    """An archive with one honest tensor under `weight`, and under `extra` whatever the instructions build."""
    pickle = b"\x80\x02" + mapping({"weight": tensor("0", (2,), 2), "extra": instructions}) + b"."
    return archive(pickle, {"0": bytes(8)})


def ordered(pairs: Mapping[str, Tensor]) -> OrderedDict[str, Tensor]:
    """As `state_dict()` returns it, with versions as an attribute."""
    made = OrderedDict(pairs)
    made._metadata = {"": {"version": 1}, "bn1": {"version": 2}}  # type: ignore[attr-defined]
    return made
