"""The items of a distributed checkpoint: each a file of torch.save's, or a tensor of a safetensors file, in a `.distcp`.

Source: `torch/distributed/checkpoint/filesystem.py` (`_write_item`, `SerializationFormat`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

from ckpt_explorer.checkpoint import Storage, TensorInfo
from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.reading.formats.distributed_metadata import Place
from ckpt_explorer.reading.formats.safetensors import read_safetensors
from ckpt_explorer.reading.formats.torch_zip import (
    MAX_UNPACKED_PICKLE,
    pickle_record,
    read_torch_zip,
    says_big_endian,
    storages_in,
)
from ckpt_explorer.reading.pickles.claims import tensor_infos, unknown_storage
from ckpt_explorer.reading.pickles.described import Call, Global
from ckpt_explorer.reading.pickles.pickled import walk
from ckpt_explorer.reading.pickles.torch_objects import TENSOR_CLAIMS, StorageClaim, TensorClaim, storage_claim
from ckpt_explorer.reading.refusals import damaged
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory
from ckpt_explorer.text import bytes_as_text, shape_as_text, visible

ZIP = b"PK\x03\x04"


class Items:
    """Items as sources of their own, the names in those that are described, and the storages that these refer to."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.globals: dict[str, Global] = {}
        self._archives: list[tuple[ZipDirectory, str, bool]] = []

    def item(self, file: Source, place: Place) -> Source:
        """The run of bytes at `place` of `file`; of a safetensors file, in which places mean nothing, all of it."""
        whole = bytes(file.view(8, 10)) == b'{"' and bytes(file.view(place.start, place.start + 4)) != ZIP
        start, stop = (0, file.size) if whole else (place.start, place.start + place.size)
        return file.part(start, stop, f"{self.source.name}: {place.file}")

    def described(self, item: Source) -> Any:
        """The object that torch.save wrote as `item`; of anything else, how large it is.

        Raises:
            CorruptCheckpoint: it can't be described.
        """
        if bytes(item.view(0, 4)) != ZIP:
            return f"an object of {bytes_as_text(item.size)}, not read"
        directory = ZipDirectory(item)
        record = pickle_record(directory)
        if record is None:
            raise damaged(item, "an object in it is no file of torch.save's")
        top = record.name.removesuffix("data.pkl")
        number = len(self._archives)
        self._archives.append((directory, f"{top}data/", says_big_endian(directory, top)))
        pickle = directory.read(record, MAX_UNPACKED_PICKLE)
        walked = walk(item, bytes(pickle), persistent_load=partial(_numbered, number))
        self.globals.update(walked.globals)
        return walked.root

    def storages(self, claims: Sequence[StorageClaim]) -> list[Storage]:
        """Where the storages of described objects lie. (Those of tensors are in their claims.)"""
        found: list[Storage] = []
        for claim in claims:
            number, _, key = claim.key.partition("/")
            if not number.isdecimal() or int(number) >= len(self._archives):
                raise unknown_storage(self.source, claim.key)
            found += storages_in(*self._archives[int(number)], [claim._replace(key=key)])
        return found


def _numbered(number: int, identity: Any) -> StorageClaim | Call:
    """The claim of a storage, under a name that says in which of the archives it lies."""
    claim = storage_claim(identity)
    return claim._replace(key=f"{number}/{claim.key}") if isinstance(claim, StorageClaim) else claim


def chunk_claim(item: Source, name: str, shape: tuple[int, ...], stride: tuple[int, ...], dtype: str) -> TensorClaim:
    """The claim of a chunk whose elements lie one behind the other as `stride` says. `item` is opened when they are
    first read, and held to what is said of it here."""
    storage = Storage(name, prod(shape) * ITEM_BYTES[dtype], _Chunk(item, name, shape, stride, dtype).read)
    return TensorClaim(storage, 0, shape, stride, dtype)


@dataclass
class _Chunk:
    """A chunk of a tensor as it was claimed. It is opened once."""

    item: Source
    name: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str
    _bytes: memoryview | None = field(default=None, repr=False)

    def read(self) -> memoryview:
        """The elements, one behind the other as the claimed strides say.

        Raises:
            CorruptCheckpoint: the item is none, is damaged, or is another tensor than was said.
        """
        if self._bytes is None:
            self._bytes = self._elements(self._opened())
        return self._bytes

    def _opened(self) -> TensorInfo:
        shown = visible(self.name)
        if bytes(self.item.view(0, 4)) != ZIP:
            found = read_safetensors(self.item)[0].get(self.name)
            if found is None:
                raise damaged(self.item, f"it holds no tensor {shown!r}")
        else:
            file = read_torch_zip(self.item)
            if type(file.root) not in TENSOR_CLAIMS:
                raise damaged(self.item, f"what lies at the place of tensor {shown!r} is no tensor")
            found = tensor_infos(self.item, file.find_storages, {self.name: file.root})[self.name]
        if found.composed is not None and found.composed.kind != "bits":
            raise damaged(self.item, f"a chunk of tensor {shown!r} is itself made of several tensors")
        if (found.shape, found.dtype) != (self.shape, self.dtype):
            raise damaged(
                self.item,
                f"a chunk of tensor {shown!r} should be {shape_as_text(self.shape)} of {self.dtype}, and is {shape_as_text(found.shape)} of {found.dtype}",
            )
        return found

    def _elements(self, found: TensorInfo) -> memoryview:
        """The bytes as they lie, where they lie as claimed; else put in that order, in a copy."""
        width = ITEM_BYTES[found.dtype]
        size = found.elements * width
        as_claimed = all(
            side == 1 or one == other for side, one, other in zip(found.shape, found.stride, self.stride, strict=True)
        )
        if found.composed is None and as_claimed and not found.storage.big_endian:
            return found.storage.read()[found.offset * width : found.offset * width + size]
        return _in_order(found, self.stride)


def _in_order(found: TensorInfo, stride: tuple[int, ...]) -> memoryview:
    """A copy of the tensor's elements, in the order of these strides."""
    import torch

    from ckpt_explorer.tensors import dense_from

    ordered = torch.empty_strided(found.shape, stride, dtype=getattr(torch, found.dtype)).copy_(dense_from(found))
    data: memoryview = torch.as_strided(ordered, (ordered.numel(),), (1,)).view(torch.uint8).numpy().data
    return data
