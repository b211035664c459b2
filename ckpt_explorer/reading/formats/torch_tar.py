"""The tar archive that torch.save wrote before PyTorch 0.2: `storages`, `tensors` and `pickle`, each naming the others.

`storages` holds, one behind the other, a small pickle that names a storage and its bytes; then a pickle of the views of
them. `tensors` holds a pickle that names a tensor and its storage, and its sizes, strides and offset as plain numbers.
`pickle` is the object itself, in which tensors and storages are persistent ids. Names are numbers (they were addresses).

Source: `torch/serialization.py`, `legacy_load` in `_legacy_load` of PyTorch 2.x, and `save` of PyTorch 0.1.12.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from ckpt_explorer.checkpoint import Storage
from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.reading.pickles.claims import unknown_storage
from ckpt_explorer.reading.pickles.described import Call, Global
from ckpt_explorer.reading.pickles.pickled import PickledFile, walk_at
from ckpt_explorer.reading.pickles.torch_objects import MAX_DIMENSIONS, StorageClaim, TensorClaim, storage_dtype
from ckpt_explorer.reading.refusals import cut_short, damaged
from ckpt_explorer.reading.sources.folder import Folder
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.storages import FileStorage
from ckpt_explorer.text import bytes_as_text, visible

MAX_NAME_DIGITS = 32


class _Place(NamedTuple):
    """Where a storage lies, or the view of one: from element `offset` of `storage`."""

    storage: Storage
    dtype: str
    offset: int
    elements: int


def read_torch_tar(folder: Folder) -> PickledFile:
    """Describe a file of PyTorch 0.1: walks its pickles and the numbers between them, and reads no storage.

    Raises:
        CorruptCheckpoint: a member is missing or cut short, or one says of a storage what another contradicts.
    """
    return _TorchTar(folder).read()


class _TorchTar:
    """One pass over the members of one file, and what was found of each name."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.globals: dict[str, Global] = {}
        self.places: dict[int, _Place] = {}
        self.tensors: dict[int, TensorClaim] = {}

    def read(self) -> PickledFile:
        big_endian = self._is_big_endian()
        self._read_storages(big_endian)
        self._read_tensors()
        pickle = _Reader(self, "pickle")
        root = pickle.described(self.persistent)
        return PickledFile(root, self.globals, self._storages, "torch.save of PyTorch 0.1 (tar)")

    def _is_big_endian(self) -> bool:
        if "sys_info" not in self.folder:
            return False
        system = _Reader(self, "sys_info").described()
        return isinstance(system, dict) and system.get("little_endian") is False

    def _read_storages(self, big_endian: bool) -> None:
        reader = _Reader(self, "storages")
        for _ in range(reader.count()):
            key, _, kind = reader.row(3)
            dtype = storage_dtype(kind)
            if type(key) is not int or dtype is None:
                raise damaged(reader.source, "a storage in it has no name or no type")
            (elements,) = reader.numbers(">q" if big_endian else "<q")
            start, size = reader.position, elements * ITEM_BYTES[dtype]
            if elements < 0 or start + size > reader.source.size:
                raise cut_short(
                    reader.source,
                    f"storage {key} should have {elements:,} elements, and {bytes_as_text(reader.source.size - start)} are left",
                )
            reader.position += size
            storage = FileStorage(str(key), reader.source, start, start + size, big_endian)
            self.places[key] = _Place(storage, dtype, 0, elements)
        views = reader.described()
        for view in views if isinstance(views, list) else ():
            self._add_view(reader.source, view)

    def _add_view(self, source: Source, view: Any) -> None:
        """`(name, name of the storage, offset in elements, elements)`."""
        if type(view) is not tuple or len(view) != 4 or not all(type(value) is int for value in view):
            raise damaged(source, "a view of a storage in it is none")
        key, root, offset, elements = view
        whole = self._place(source, root)
        if not 0 <= offset <= offset + elements <= whole.elements:
            raise damaged(source, f"a view of storage {root} reaches beyond its {whole.elements:,} elements")
        self.places[key] = whole._replace(offset=whole.offset + offset, elements=elements)

    def _read_tensors(self) -> None:
        reader = _Reader(self, "tensors")
        for _ in range(reader.count()):
            key, storage, _ = reader.row(3)
            dimensions, _ = reader.numbers("<ii")
            if type(key) is not int or not 0 <= dimensions <= MAX_DIMENSIONS:
                raise damaged(reader.source, f"a tensor in it claims {dimensions:,} dimensions")
            shape = reader.numbers(f"<{dimensions}q")
            stride = reader.numbers(f"<{dimensions}q")
            (offset,) = reader.numbers("<q")
            place = self._place(reader.source, storage)
            if not shape and not place.elements:  # before PyTorch 0.4, a tensor without dimensions was an empty one
                shape, stride = (0,), (1,)
            self.tensors[key] = TensorClaim(place.storage, place.offset + offset, shape, stride, place.dtype)

    def _place(self, source: Source, key: Any) -> _Place:
        if key is None:
            return _Place(FileStorage("none", source, 0, 0), "float32", 0, 0)
        found = self.places.get(key) if type(key) is int else None
        if found is None:
            raise unknown_storage(source, visible(str(key), MAX_NAME_DIGITS))
        return found

    def persistent(self, identity: Any) -> Any:
        """A tensor or a storage by its number; or `(class, file, source)` of a module, of which the class is wanted."""
        if isinstance(identity, tuple) and identity and isinstance(identity[0], Global):
            return identity[0]
        if (
            isinstance(identity, str | bytes)
            and len(identity) <= MAX_NAME_DIGITS
            and identity.isascii()
            and identity.isdigit()
        ):
            identity = int(identity)
        if type(identity) is int and identity in self.tensors:
            return self.tensors[identity]
        if type(identity) is int and identity in self.places:
            place = self.places[identity]
            return StorageClaim(str(identity), place.dtype, place.elements, place.offset)
        return Call(Global("", "persistent id"), (identity,))

    def _storages(self, claims: Sequence[StorageClaim]) -> list[Storage]:
        return [self.places[int(claim.key)].storage for claim in claims]


class _Reader:
    """One member, read from its start: pickles, and plain numbers between them."""

    def __init__(self, file: _TorchTar, member: str) -> None:
        shown = f"{file.folder.name}: {member}"
        if member not in file.folder:
            raise damaged(Source(file.folder.name, memoryview(b"")), f"it holds no {member!r}")
        opened = file.folder.open(member)
        self.source = opened.part(0, opened.size, shown)
        self.file = file
        self.position = 0

    def described(self, persistent_load: Any = None) -> Any:
        """The next pickle, described; what it names is noted."""
        load = persistent_load or self.file.persistent
        walked = walk_at(self.source, self.position, load)
        self.position = walked.position
        self.file.globals.update(walked.globals)
        return walked.root

    def count(self) -> int:
        """The next pickle, which says how many rows follow."""
        found = self.described()
        if type(found) is not int or not 0 <= found <= self.source.size:
            raise damaged(self.source, "it does not say how many parts it has")
        return found

    def row(self, fields: int) -> tuple[Any, ...]:
        """The next pickle: a tuple of so many values."""
        found = self.described()
        if type(found) is not tuple or len(found) != fields:
            raise damaged(self.source, f"one of its parts is not described by {fields} values")
        return found

    def numbers(self, form: str) -> tuple[int, ...]:
        """The next numbers, by their `struct` format."""
        size = struct.calcsize(form)
        raw = self.source.view(self.position, self.position + size)
        if len(raw) < size:
            raise cut_short(self.source, "the numbers of a tensor or a storage break off")
        self.position += size
        return struct.unpack(form, raw)
