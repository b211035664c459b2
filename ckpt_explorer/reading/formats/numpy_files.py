"""NumPy's own files: `.npy`, one array behind a header, and `.npz`, a zip archive of such files.

Arrays stay where they lie; of each only the header is read. The header is the text of a Python dict, which is parsed as
a literal and never evaluated. An array of objects is a pickle behind the header, and is walked like any other.

Source: `numpy/lib/format.py` (versions 1.0, 2.0 and 3.0) and `numpy/lib/_npyio_impl.py` (`NpzFile`, `_savez`).
"""

from __future__ import annotations

import ast
import re
import zlib
from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any, NamedTuple

from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.errors import CorruptCheckpoint
from ckpt_explorer.reading.formats.plain_pickle import NestedFiles, read_plain_pickle
from ckpt_explorer.reading.formats.torch_zip import MAX_PICKLE, MAX_UNPACKED_PICKLE
from ckpt_explorer.reading.pickles.described import Call, Global, InertDict
from ckpt_explorer.reading.pickles.numpy_arrays import DTYPES, strides
from ckpt_explorer.reading.pickles.pickled import PickledFile
from ckpt_explorer.reading.pickles.torch_objects import MAX_DIMENSIONS, TensorClaim
from ckpt_explorer.reading.refusals import cut_short, damaged
from ckpt_explorer.reading.sources.records import STORED, Record
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory
from ckpt_explorer.reading.storages import MadeStorage
from ckpt_explorer.text import bytes_as_text, plural, visible

MAGIC = b"\x93NUMPY"
MAX_HEADER = 65_536
"""NumPy itself reads 10,000 characters at most, unless it is told to trust the file."""
MAX_TEXT = 4096
"""Arrays of text up to so many bytes are shown; they name classes, or the network."""

_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
"""Bytes of the header's length, by version."""
_DESCR = re.compile(r"([<>|=]?)([a-zA-Z])(\d{0,9})")
_PYTHON_2_LONG = re.compile(r"(\d)L\b")
_CODECS = {"U": ("utf-32-le", "utf-32-be"), "S": ("latin-1", "latin-1")}
"""The encodings of NumPy's texts, little-endian and big-endian."""
_UNITS = {"U": 4}
"""Bytes that one of the digits stands for, where it is not one."""
START = 1024
"""Bytes of an array that are looked at first: few headers are longer."""


class Header(NamedTuple):
    """What stands in front of an array's bytes, which begin at byte `end`."""

    descr: Any
    shape: tuple[int, ...]
    fortran: bool
    end: int


def read_npy(source: Source) -> PickledFile:
    """Describe a `.npy` file: its array under the name `array`, or the dict that np.save made an array of.

    Raises:
        CorruptCheckpoint: cut short, or its header is none, or claims more than the file holds.
    """
    nested = NestedFiles(source)
    found, names = _described(
        source, source.view(0, MAX_HEADER), source.size, source.view, partial(source.view), nested
    )
    root = found if isinstance(found, dict) else InertDict(array=found)
    return PickledFile(root, names, nested.storages, "numpy.save")


def read_npz(source: Source, directory: ZipDirectory) -> PickledFile:
    """Describe a `.npz` archive from the headers in it. A stored array is a view of the file; a packed one is unpacked
    when it is asked for.

    Raises:
        CorruptCheckpoint: a header is none, or claims more than its record holds.
    """
    nested = NestedFiles(source)
    root, names = InertDict(), dict[str, Global]()
    for record in directory.records.values():
        key = record.name.removesuffix(".npy")
        if key in root:
            raise damaged(source, f"two of its arrays have the name {visible(key)!r}")
        start = _start(directory, record)
        if not start.startswith(MAGIC):
            root[key] = f"{plural(record.size, 'byte')} that are no array"
            continue
        inside = Source(f"{source.name}: {record.name}", memoryview(start))
        whole = partial(_whole, directory, record)
        root[key], more = _described(
            inside, inside.view(), record.size, partial(_part, directory, record), whole, nested
        )
        names.update(more)
    return PickledFile(root, names, nested.storages, "numpy.savez", records=directory)


def _start(directory: ZipDirectory, record: Record) -> bytes:
    """The first bytes of a record: as many as its header takes, and no more of it is unpacked."""
    first = _first(directory, record, START)
    length = int.from_bytes(first[8:10] if first[6:7] == b"\1" else first[8:12], "little")
    return first if length + 12 <= START else _first(directory, record, min(length + 12, MAX_HEADER))


def _first(directory: ZipDirectory, record: Record, count: int) -> bytes:
    start = directory.position(record)
    if record.method == STORED:
        return bytes(directory.source.view(start, start + min(count, record.packed)))
    packed = directory.source.view(start, start + min(2 * count + 4096, record.packed))
    try:
        return zlib.decompressobj(-15).decompress(packed, count)
    except zlib.error:
        raise damaged(directory.source, f"record {visible(record.name)!r} can't be unpacked") from None


def _whole(directory: ZipDirectory, record: Record) -> memoryview:
    return directory.read(record, MAX_PICKLE if record.method == STORED else MAX_UNPACKED_PICKLE)


def _part(directory: ZipDirectory, record: Record, start: int, stop: int) -> memoryview:
    return directory.read(record)[start:stop]


def _described(
    source: Source,
    first: memoryview,
    size: int,
    part: Callable[[int, int], memoryview],
    whole: Callable[[], memoryview],
    nested: NestedFiles,
) -> tuple[Any, dict[str, Global]]:
    """The array of a file of `size` bytes that begins with `first`, and the names that it imports.

    `part` gives its bytes from one place to another, when they are asked for; `whole` all of them, for a pickle.
    """
    header = _header(source, first, size)
    found = _DESCR.fullmatch(header.descr) if isinstance(header.descr, str) else None
    order, kind, digits = found.groups() if found else ("", "", "")
    if kind == "O":
        pickled = read_plain_pickle(Source(source.name, whole()), header.end, nested)
        return pickled.root, pickled.globals
    dtype = DTYPES.get(f"{kind}{digits}")
    width = ITEM_BYTES[dtype] if dtype else int(digits or 0) * _UNITS.get(kind, 1)
    count = prod(header.shape)
    if header.end + count * width > size:
        raise _too_short(
            source,
            size,
            f"its array of shape {visible(str(header.shape[:8]))} needs {bytes_as_text(count * width)}, and {bytes_as_text(size - header.end)} are there",
        )
    read = partial(part, header.end, header.end + count * width)
    if dtype:
        storage = MadeStorage("array", count * width, read, order == ">")
        return TensorClaim(storage, 0, header.shape, strides(header.shape, header.fortran), dtype), {}
    if kind in _CODECS and width and count * width <= MAX_TEXT:
        return _texts(bytes(read()), header, _CODECS[kind][order == ">"], width), {}
    return Call(Global("numpy", "ndarray"), (visible(str(header.descr)), header.shape)), {}


def _too_short(source: Source, size: int, what: str) -> CorruptCheckpoint:
    """The refusal of an array that needs more bytes: a file that ends, or a record that never had them."""
    return cut_short(source, what) if source.size == size else damaged(source, what)


def _header(source: Source, first: memoryview, size: int) -> Header:
    version = first[6] if len(first) > 6 else 0
    if bytes(first[:6]) != MAGIC or version not in _LENGTH_BYTES:
        raise damaged(source, "it begins like no array that NumPy writes")
    start = 8 + _LENGTH_BYTES[version]
    length = int.from_bytes(first[8:start], "little")
    if start + length > size or len(first) < start:
        raise _too_short(source, size, "the header of its array breaks off")
    if start + length > len(first):
        raise damaged(source, f"the header of its array claims {bytes_as_text(length)}")
    text = bytes(first[start : start + length]).decode("utf-8" if version == 3 else "latin-1", "replace").strip()
    parsed = _literal(text) or _literal(_PYTHON_2_LONG.sub(r"\1", text))
    if not isinstance(parsed, dict) or parsed.keys() != {"descr", "fortran_order", "shape"}:
        raise damaged(source, "the header of its array does not give type, order and shape")
    shape, fortran = parsed["shape"], parsed["fortran_order"]
    if (
        type(shape) is not tuple
        or len(shape) > MAX_DIMENSIONS
        or not all(type(side) is int and 0 <= side < 2**62 for side in shape)
        or not isinstance(fortran, bool)
    ):
        raise damaged(source, "the header of its array gives an impossible shape")
    return Header(parsed["descr"], shape, fortran, start + length)


def _literal(text: str) -> Any:
    """The value that a literal of Python's writes; None where it is none. Nothing is evaluated."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None


def _texts(raw: bytes, header: Header, codec: str, width: int) -> Any:
    """The texts of a small array: one alone, or a list of them."""
    texts = [raw[at : at + width].decode(codec, "replace").rstrip("\0") for at in range(0, len(raw), width)]
    return texts if header.shape else texts[0]
