"""The chunks of a distributed checkpoint: each a file of torch.save's in a `.distcp`, or a tensor of a safetensors file.

Source: `torch/distributed/checkpoint/filesystem.py` (`_write_item`, `SerializationFormat`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from ckpt_explorer.checkpoint import Span, TensorInfo
from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.reading.formats.distributed_metadata import Place
from ckpt_explorer.reading.formats.inner_files import ZIP
from ckpt_explorer.reading.formats.safetensors import read_safetensors
from ckpt_explorer.reading.formats.torch_zip import read_torch_zip
from ckpt_explorer.reading.pickles.claims import tensor_infos
from ckpt_explorer.reading.pickles.torch_objects import TENSOR_CLAIMS, TensorClaim
from ckpt_explorer.reading.refusals import damaged
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.storages import MadeStorage
from ckpt_explorer.text import shape_as_text, visible


def item_of(file: Source, place: Place, name: str) -> Source:
    """The run of bytes at `place` of `file`, as a file called `name`; of a safetensors file, in which places mean
    nothing, all of it."""
    whole = bytes(file.view(8, 10)) == b'{"' and bytes(file.view(place.start, place.start + 4)) != ZIP
    start, stop = (0, file.size) if whole else (place.start, place.start + place.size)
    return file.part(start, stop, name)


def chunk_claim(item: Source, name: str, shape: tuple[int, ...], stride: tuple[int, ...], dtype: str) -> TensorClaim:
    """The claim of a chunk whose elements lie one behind the other as `stride` says. `item` is opened when they are
    first read, and held to what is said of it here."""
    read = _Chunk(item, name, shape, stride, dtype).read
    storage = MadeStorage(name, prod(shape) * ITEM_BYTES[dtype], read, at=Span(item, 0, item.size))
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
