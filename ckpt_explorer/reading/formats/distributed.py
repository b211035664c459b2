"""torch.distributed.checkpoint: a folder with `.metadata`, and beside it files in which each process wrote its chunks.

What `.metadata` says of shapes suffices to list the tensors. A chunk is itself a small file of torch.save's inside a
`.distcp` file: it is opened, and compared with what was said of it, when its tensor is asked for. Objects (the epoch,
an optimizer's settings) are such files too; they are small, and are described at once.

Source: `torch/distributed/checkpoint/filesystem.py` (`_write_item`, `_write_files_from_queue`, `read_data`),
`_nested_dict.py` and `_traverse.py` (how names become nested again).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.errors import CorruptCheckpoint, Diagnosis
from ckpt_explorer.reading.formats.distributed_chunks import chunk_claim, item_of
from ckpt_explorer.reading.formats.distributed_metadata import Chunk, Metadata, Place, TensorEntry, metadata_of
from ckpt_explorer.reading.formats.inner_files import ZIP, InnerFiles
from ckpt_explorer.reading.formats.tiling import fill
from ckpt_explorer.reading.pickles.described import InertDict
from ckpt_explorer.reading.pickles.grades import code_first
from ckpt_explorer.reading.pickles.inert_pickle import MAX_OPCODES
from ckpt_explorer.reading.pickles.numpy_arrays import strides
from ckpt_explorer.reading.pickles.pickled import PickledFile, walk
from ckpt_explorer.reading.pickles.torch_objects import AnyTensorClaim, ComposedClaim, TensorClaim
from ckpt_explorer.reading.refusals import damaged
from ckpt_explorer.reading.sources.folder import Folder
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.storages import MadeStorage
from ckpt_explorer.text import bytes_as_text, listed, plural, shape_as_text, visible

MAX_METADATA_OPCODES = 9_000_000
"""Some 80 a chunk: a thousand tensors, with two moments each, of 32 processes."""
BYTES_AN_OPCODE = 2
"""Honest metadata has more: a few kilobytes that unpack to millions of instructions get no more room than any pickle."""
MAX_OBJECTS = 5000
"""Objects that are described; of more, only the size is said. A source behind a network is asked for fewer."""
MAX_OBJECTS_FAR = 64


def read_distributed(folder: Folder, metadata: str) -> PickledFile:
    """Describe the checkpoint whose `.metadata` file lies in `folder` at the path `metadata`, as one nested state dict.

    Raises:
        CorruptCheckpoint: files are missing (F15), or the metadata contradicts itself or the files (F18).
    """
    opened = folder.open(metadata)
    source = opened.part(0, opened.size, f"{folder.name}: {metadata}")
    most = min(MAX_METADATA_OPCODES, source.given // BYTES_AN_OPCODE)
    walked = walk(source, source.view(), opcodes=max(MAX_OPCODES, most))
    with code_first(source.name, walked.globals):
        found = metadata_of(source, walked.root)
    inner = InnerFiles(source)
    files = _files(folder, metadata, found)
    made = _Made(source, found, files, inner)
    values = {name: made.value(name, entry) for name, entry in found.entries.items()}
    root = _nested(source, values, found.paths)
    names = {**walked.globals, **inner.globals}
    version = f" {visible(found.version, 40)}" if found.version else ""
    return PickledFile(root, names, inner.storages, f"torch.distributed.checkpoint{version}")


def _files(folder: Folder, metadata: str, found: Metadata) -> dict[str, Source]:
    """The files that hold the items, by the name that the metadata gives them; all must be there."""
    named = dict.fromkeys(place.file for place in found.places.values())
    beside = {name: folder.beside(metadata, name) for name in named}
    missing = [name for name, path in beside.items() if path is None]
    if missing:
        raise CorruptCheckpoint(
            Diagnosis(
                "F15",
                f"{visible(folder.name)} is not the whole checkpoint: of the {plural(len(named), 'file')} that its .metadata names, {listed(missing)} {'is' if len(missing) == 1 else 'are'} not in it",
                "give the whole folder, with the files that every process wrote.",
            )
        )
    return {name: folder.open(path) for name, path in beside.items() if path is not None}


def _nothing() -> memoryview:
    return memoryview(b"")


class _Made:
    """From the entries of the metadata to claims on bytes of the files."""

    def __init__(self, source: Source, found: Metadata, files: dict[str, Source], inner: InnerFiles) -> None:
        self.source, self.found, self.files, self.inner = source, found, files, inner
        self.described = 0

    def value(self, name: str, entry: TensorEntry | None) -> Any:
        """The claim of a tensor, or an object as it is described."""
        return self._object(name) if entry is None else self._tensor(name, entry)

    def _object(self, name: str) -> Any:
        item = self._item(name, None)
        limit = MAX_OBJECTS if item.step is None else MAX_OBJECTS_FAR
        self.described += 1
        if self.described > limit or bytes(item.view(0, 4)) != ZIP:
            return f"an object of {bytes_as_text(item.size)}, not read"
        return self.inner.described(item)

    def _tensor(self, name: str, entry: TensorEntry) -> AnyTensorClaim:
        shape, stride = entry.shape, strides(entry.shape, False)
        if 0 in shape:
            return TensorClaim(MadeStorage(name, 0, _nothing), 0, shape, stride, entry.dtype)
        chunks = [chunk for chunk in dict.fromkeys(entry.chunks) if 0 not in chunk.shape]
        filled = fill(chunks, shape)
        if not filled:
            why = "overlap, or leave a part of it out" if filled is False else "are more than can be compared"
            raise damaged(self.source, f"the {plural(len(chunks), 'chunk')} of tensor {visible(name)!r} {why}")
        if len(chunks) == 1:
            whole_stride = entry.stride if _is_dense(shape, entry.stride) and entry.stride else stride
            return self._chunk(name, chunks[0], entry.dtype, whole_stride)
        parts = tuple(self._chunk(name, chunk, entry.dtype, strides(chunk.shape, False)) for chunk in chunks)
        return ComposedClaim("chunks", parts, shape, entry.dtype, tuple(chunk.start for chunk in chunks))

    def _chunk(self, name: str, chunk: Chunk, dtype: str, stride: tuple[int, ...]) -> TensorClaim:
        item = self._item(name, chunk.start)
        size = prod(chunk.shape) * ITEM_BYTES[dtype]
        if size > item.size:
            raise damaged(
                self.source,
                f"a chunk of shape {shape_as_text(chunk.shape)} of tensor {visible(name)!r} needs {bytes_as_text(size)}, and its place has {bytes_as_text(item.size)}",
            )
        return chunk_claim(item, name, chunk.shape, stride, dtype)

    def _item(self, name: str, start: tuple[int, ...] | None) -> Source:
        """The bytes of one item, as a file of its own."""
        place: Place | None = self.found.places.get((name, start)) or self.found.places.get((name, None))
        if place is None:
            raise damaged(self.source, f"it does not say where {visible(name)!r} lies")
        file = self.files[place.file]
        if place.start + place.size > file.size:
            raise damaged(
                self.source,
                f"{visible(name)!r} would lie up to byte {place.start + place.size:,} of {visible(place.file)}, which has {file.size:,}",
            )
        return item_of(file, place, f"{self.source.name}: {place.file}")


def _is_dense(shape: Sequence[int], stride: Sequence[int] | None) -> bool:
    """Whether the strides put the elements one behind the other in some order of the dimensions."""
    if stride is None or len(stride) != len(shape):
        return False
    step = 1
    for side, found in sorted(zip(shape, stride, strict=True), key=lambda pair: pair[1]):
        if side > 1 and found != step:
            return False
        step *= side
    return True


def _nested(source: Source, values: dict[str, Any], paths: dict[str, tuple[str | int, ...]]) -> InertDict:
    """`values` under the keys of their paths: mappings in mappings, and lists where the keys count up from 0."""
    root = InertDict()
    made: list[tuple[InertDict, str | int, InertDict]] = []
    inner: set[int] = {id(root)}
    for name, value in values.items():
        *above, last = paths.get(name, (name,))
        node = root
        for key in above:
            if key not in node:
                node[key] = InertDict()
                made.append((node, key, node[key]))
                inner.add(id(node[key]))
            node = node[key]
            if id(node) not in inner:
                raise damaged(source, f"{visible(name)!r} belongs inside of something that is no mapping")
        if last in node:
            raise damaged(source, f"two of its entries belong at the place of {visible(name)!r}")
        node[last] = value
    for parent, key, node in reversed(made):
        if _counts_up(node):
            parent[key] = [node[index] for index in range(len(node))]
    return root


def _counts_up(keys: Iterable[str | int]) -> bool:
    found = list(keys)
    return all(type(key) is int for key in found) and set(found) == set(range(len(found)))
