"""`.metadata` of torch.distributed.checkpoint: which tensors there are, in which chunks, and where each chunk lies.

The file is a pickle of dataclasses, which PyTorch's own reader would run; here they are described, and every field is
checked before it is used.

Source: `torch/distributed/checkpoint/metadata.py` (`Metadata`, `TensorStorageMetadata`, `MetadataIndex`),
`filesystem.py` (`_StorageInfo`), `planner_helpers.py` (which index a tensor, a shard and an object get).
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeGuard

from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.reading.pickles.described import Call, Global
from ckpt_explorer.reading.pickles.torch_objects import MAX_DIMENSIONS
from ckpt_explorer.reading.refusals import damaged
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.text import visible

MAX_CHUNKS = 65_536
"""Chunks of one tensor; as many as there are processes."""
MAX_PATH = 64
_MAX_NUMBER = 2**62
_MAX_INDEX = 2**31

Numbers = tuple[int, ...]


class Chunk(NamedTuple):
    """A box of a tensor: at which index it begins, and its sides."""

    start: Numbers
    shape: Numbers


class TensorEntry(NamedTuple):
    """A tensor of the state dict. `stride` is None where the file does not say it."""

    shape: Numbers
    dtype: str
    stride: Numbers | None
    chunks: tuple[Chunk, ...]


class Place(NamedTuple):
    """Where an item lies: a run of bytes of a file beside `.metadata`."""

    file: str
    start: int
    size: int


class Metadata(NamedTuple):
    """What `.metadata` says: an entry by each name (None: an object, not a tensor), the places of their chunks by name
    and start (None: of the whole), and for each name the keys that lead to it in the nested state dict."""

    entries: dict[str, TensorEntry | None]
    places: dict[tuple[str, Numbers | None], Place]
    paths: dict[str, tuple[str | int, ...]]
    version: str | None


def metadata_of(source: Source, root: Any) -> Metadata:
    """The facts in the described root of a `.metadata` file.

    Raises:
        CorruptCheckpoint: it is none, or a field of it is not what it should be.
    """
    fields = _fields(root)
    listed, stored = fields.get("state_dict_metadata"), fields.get("storage_data")
    if not isinstance(listed, dict) or not isinstance(stored, dict):
        raise damaged(source, "it does not say which tensors there are and where they lie")
    entries = {name: _entry(source, name, found) for name, found in listed.items() if isinstance(name, str)}
    places: dict[tuple[str, Numbers | None], Place] = {}
    for key, found in stored.items():
        index = _fields(key.args[0]) if isinstance(key, Call) and isinstance(key.args, tuple) and key.args else {}
        name, start = index.get("fqn"), index.get("offset")
        if not isinstance(name, str) or (start is not None and not _are_numbers(start)):
            raise damaged(source, "it gives a place to something without a name")
        if (name, start) in places:
            raise damaged(source, f"it gives two places to {visible(name)!r}")
        places[name, start] = _place(source, name, found)
    planned, version = fields.get("planner_data"), fields.get("version")
    paths = {name: _path(source, name, path) for name, path in planned.items()} if isinstance(planned, dict) else {}
    return Metadata(entries, places, paths, version if isinstance(version, str) else None)


def _fields(node: Any) -> dict[str, Any]:
    """The fields of a described dataclass."""
    return node.state if isinstance(node, Call) and isinstance(node.state, dict) else {}


def _are_numbers(values: Any) -> TypeGuard[Numbers]:
    return (
        type(values) is tuple
        and len(values) <= MAX_DIMENSIONS
        and all(type(value) is int and 0 <= value < _MAX_NUMBER for value in values)
    )


def _entry(source: Source, name: str, node: Any) -> TensorEntry | None:
    if isinstance(node, Call) and node.name.endswith(".BytesStorageMetadata"):
        return None
    fields = _fields(node)
    properties = fields.get("properties")
    said = properties.state if isinstance(properties, Call) else None
    if isinstance(said, dict):
        said = (said.get("dtype"), said.get("layout"))
    dtype = said[0] if type(said) is tuple and said else None
    shape, chunks = fields.get("size"), fields.get("chunks")
    if not isinstance(dtype, Global) or dtype.module != "torch" or dtype.name not in ITEM_BYTES:
        raise damaged(source, f"tensor {visible(name)!r} has no type that PyTorch has")
    if not _are_numbers(shape) or not isinstance(chunks, list) or len(chunks) > MAX_CHUNKS:
        raise damaged(source, f"tensor {visible(name)!r} has no shape, or no chunks")
    stride = said[5] if type(said) is tuple and len(said) > 5 and _are_numbers(said[5]) else None
    return TensorEntry(shape, dtype.name, stride, tuple(_chunk(source, name, shape, chunk) for chunk in chunks))


def _chunk(source: Source, name: str, shape: Numbers, node: Any) -> Chunk:
    fields = _fields(node)
    start, sides = fields.get("offsets"), fields.get("sizes")
    if not _are_numbers(start) or not _are_numbers(sides) or not len(start) == len(sides) == len(shape):
        raise damaged(source, f"a chunk of tensor {visible(name)!r} has no place in it")
    if any(first + side > whole for first, side, whole in zip(start, sides, shape, strict=True)):
        raise damaged(source, f"a chunk of tensor {visible(name)!r} reaches beyond it")
    return Chunk(start, sides)


def _place(source: Source, name: str, node: Any) -> Place:
    fields = _fields(node)
    file, start, size = (fields.get(field) for field in ("relative_path", "offset", "length"))
    if not isinstance(file, str) or type(start) is not int or type(size) is not int or min(start, size) < 0:
        raise damaged(source, f"the place of {visible(name)!r} is none")
    packed = fields.get("transform_descriptors")
    if packed:
        raise damaged(source, f"{visible(name)!r} is packed ({visible(str(packed), 80)}), which is not unpacked here")
    return Place(file, start, size)


def _path(source: Source, name: Any, path: Any) -> tuple[str | int, ...]:
    if (
        type(path) is not tuple
        or not 0 < len(path) <= MAX_PATH
        or not all(type(key) is str or (type(key) is int and 0 <= key < _MAX_INDEX) for key in path)
    ):
        raise damaged(source, f"it does not say where {visible(str(name))!r} belongs")
    return path
