"""The directory of a zip archive, with every claim checked against the file before it is used.

Python's `zipfile` is not used: it takes longer than all the rest of opening a checkpoint, and accepts archives whose
local headers and directory disagree. Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Iterator
from itertools import repeat
from operator import add
from typing import NamedTuple

from ckpt_explorer.checkpoint import Span
from ckpt_explorer.reading.refusals import cut_short, damaged, wrong_checksum
from ckpt_explorer.reading.sources.record_table import DEFLATED, STORED, Columns, Record, RecordTable
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.text import bytes_as_text, visible

_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_MAGIC = b"PK\x01\x02"
_ROW = 42
"""Bytes of a row behind its magic; name, extra and note follow."""


class _Number(NamedTuple):
    """A number of a row: where it stands behind the magic, its bytes, and the kind of array that keeps a column of them."""

    at: int
    size: int
    kind: str


_FLAGS, _METHOD, _CRC = _Number(4, 2, "H"), _Number(6, 2, "H"), _Number(12, 4, "I")
_PACKED, _SIZE, _HEADER = _Number(16, 4, "Q"), _Number(20, 4, "Q"), _Number(38, 4, "Q")
_NAME_SIZE, _EXTRA_SIZE, _NOTE_SIZE = _Number(24, 2, "H"), _Number(26, 2, "H"), _Number(28, 2, "H")
WINDOW = 256 << 10
"""Bytes of the directory that are looked at at once."""
_LARGE, _NOT_HERE = 0xFFFFFFFF, b"\xff\xff\xff\xff"
"""In place of a size that stands in the zip64 extra field."""
_LOCAL = struct.Struct("<4s5H3I2H")

MAX_ENTRIES = 1_000_000
MAX_RATIO = 1040
"""Deflate can't shrink more than 1032 times; a larger claim is a lie."""
MOST_PADDING = 8192
"""Bytes that a writer may put between the header of a record and its content, so that this begins at a multiple."""


class ZipDirectory:
    """The records of an archive by name, and their bytes."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.records = self._read(source)
        self._checked: set[str] = set()

    def _read(self, source: Source) -> RecordTable:
        start, size, count = _directory_position(source)
        if count > MAX_ENTRIES or count * (_ROW + len(_MAGIC)) > size:
            raise damaged(source, f"its directory claims {count:,} records in {bytes_as_text(size)}")
        raw, position = bytes(source.view(start, start + size)), 0
        source.forget(start, start + size)
        table = RecordTable()
        while len(table) < count:
            rows, lengths, fixed = _rows(source, raw, position, count - len(table))
            position += len(rows) * len(_MAGIC) + sum(lengths)
            names, columns = _columns(source, rows, fixed)
            _check_bounds(source, start, names, columns)
            table.add(names, columns)
        if table.twice is not None:
            raise damaged(source, f"two records have the name {visible(table.twice)!r}")
        return table

    def read(self, record: Record, limit: int | None = None) -> memoryview:
        """The bytes of a record, checked: its local header agrees with the directory, and its CRC is the stored one.

        A stored record is a view of the file; a compressed one is unpacked into memory, `limit` bytes at most.
        A stored CRC of 0 means that the writer computed none (torch's `compute_crc32=False`).

        Raises:
            CorruptCheckpoint: header, size or CRC do not fit, or the record is larger than `limit`.
        """
        name, source = visible(record.name), self.source
        start = self.position(record)
        if limit is not None and record.size > limit:
            raise damaged(
                self.source,
                f"record {name!r} claims {bytes_as_text(record.size)}, {bytes_as_text(limit)} at most are read",
            )
        content = self._unpacked(record, source.view(start, start + record.packed))
        if record.crc and record.name not in self._checked:
            if zlib.crc32(content) != record.crc:
                raise wrong_checksum(self.source, record.name)
            self._checked.add(record.name)
        return content

    def position(self, record: Record) -> int:
        """The byte of the archive at which a record's content begins, after a check of its local header."""
        name, source = visible(record.name), self.source
        header = source.view(record.header, record.header + _LOCAL.size)
        if len(header) < _LOCAL.size:
            raise damaged(source, f"record {name!r} begins beyond the end of the file")
        magic, _, flags, method, _, _, _, _, _, name_size, extra_size = _LOCAL.unpack(header)
        start = record.header + _LOCAL.size + int(name_size) + int(extra_size)
        said = str(source.view(record.header + _LOCAL.size, start - extra_size), "utf-8", "replace")
        if magic != b"PK\x03\x04" or said != record.name or method != record.method:
            raise damaged(source, f"record {name!r} is another in its own header than in the directory")
        if flags & 1 or record.flags & 1:
            raise damaged(source, f"record {name!r} is encrypted")
        if start + record.packed > source.size:
            raise damaged(source, f"record {name!r} would reach beyond the end of the file")
        return start

    def first_bytes(self, record: Record, count: int) -> memoryview:
        """The first `count` bytes of a record, checked like all of them."""
        return self.read(record)[:count]

    def place(self, row: int) -> Span | None:
        """Where a record lies, with its header; how much of that is padding, only the header itself tells."""
        if self.source.step is None:
            return None
        record = self.records.at(row)
        stop = record.header + _LOCAL.size + len(record.name.encode()) + MOST_PADDING + record.packed
        return Span(self.source, record.header, min(stop, self.source.size))

    def _unpacked(self, record: Record, packed: memoryview) -> memoryview:
        name = visible(record.name)
        if record.method == STORED:
            if record.size != record.packed:
                raise damaged(self.source, f"record {name!r} is stored, but claims two sizes")
            return packed
        if record.method != DEFLATED:
            raise damaged(self.source, f"record {name!r} is packed by a method ({record.method}) that no PyTorch uses")
        if record.size > MAX_RATIO * max(record.packed, 1):
            raise damaged(
                self.source,
                f"record {name!r} claims {bytes_as_text(record.size)} from {bytes_as_text(record.packed)}, more than packing can do",
            )
        try:
            worker = zlib.decompressobj(-15)
            content = worker.decompress(packed, record.size + 1)
        except zlib.error:
            raise damaged(self.source, f"record {name!r} can't be unpacked") from None
        if len(content) != record.size:
            raise damaged(self.source, f"record {name!r} is not the {bytes_as_text(record.size)} that it claims")
        return memoryview(content)


def _rows(source: Source, raw: bytes, start: int, most: int) -> tuple[list[bytes], list[int], bytes]:
    """Some rows of the directory from byte `start` on, `most` at most, without their magic; their lengths; and what is
    of equal length in all, joined.

    Split at their magic, all at once; where that stands inside of a row too, they are cut one by one.
    """
    stop = min(start + WINDOW, len(raw))
    rows = raw[start:stop].split(_MAGIC)
    if stop < len(raw):
        rows.pop()  # it may go on behind the window
    rows = rows[1 : most + 1] if rows and not rows[0] else []
    lengths, fixed = list(map(len, rows)), _fixed(rows)
    if not rows or min(lengths) < _ROW or lengths != _lengths(fixed):
        rows = list(_cut(source, raw, start, stop, most))
        lengths, fixed = list(map(len, rows)), _fixed(rows)
    return rows, lengths, fixed


def _fixed(rows: list[bytes]) -> bytes:
    """What is of equal length in all rows."""
    return b"".join([row[:_ROW] for row in rows])


def _lengths(fixed: bytes) -> list[int]:
    """What the lengths of rows should be by their own numbers."""
    lengths = list(map(add, _column(fixed, _NAME_SIZE), repeat(_ROW)))
    for more in (_column(fixed, _EXTRA_SIZE), _column(fixed, _NOTE_SIZE)):
        if any(more):
            lengths = list(map(add, lengths, more))
    return lengths


def _cut(source: Source, raw: bytes, position: int, stop: int, most: int) -> Iterator[bytes]:
    """The rows that begin from `position` to before `stop`, `most` at most and one at least, each by its own length."""
    while most and position < max(stop, 1):
        start = position + len(_MAGIC)
        if start + _ROW > len(raw):
            raise damaged(source, "its directory breaks off")
        position = start + _ROW + sum(struct.unpack_from("<3H", raw, start + _NAME_SIZE.at))
        if raw[start - len(_MAGIC) : start] != _MAGIC or position > len(raw):
            raise damaged(source, "its directory is not one")
        yield raw[start:position]
        most -= 1


def _column(fixed: bytes, number: _Number) -> array[int]:
    """One number of every row. (Byte by byte, for all rows at once: an object for each number takes five times as long.)"""
    width = array(number.kind).itemsize
    filled = bytearray(len(fixed) // _ROW * width)
    for byte in range(number.size):
        filled[byte::width] = fixed[number.at + byte :: _ROW]
    found = array(number.kind, bytes(filled))
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _columns(source: Source, rows: list[bytes], fixed: bytes) -> tuple[list[str], Columns]:
    """The names and the numbers of rows."""
    name_sizes = _column(fixed, _NAME_SIZE)
    if sum(map(len, rows)) == len(fixed) + sum(name_sizes):
        names = [row[_ROW:] for row in rows]
    else:
        names = [row[_ROW : _ROW + size] for row, size in zip(rows, name_sizes, strict=True)]
    texts = _texts(names)
    packed, sizes, headers = _column(fixed, _PACKED), _column(fixed, _SIZE), _column(fixed, _HEADER)
    if _NOT_HERE in fixed:
        for at, (row, name) in enumerate(zip(rows, names, strict=True)):
            if _LARGE in (numbers := (sizes[at], packed[at], headers[at])):
                start = _ROW + len(name)
                extra = row[start : start + struct.unpack_from("<H", row, _EXTRA_SIZE.at)[0]]
                sizes[at], packed[at], headers[at] = _whole_sizes(source, texts[at], extra, *numbers)
    return texts, Columns(_column(fixed, _METHOD), _column(fixed, _FLAGS), _column(fixed, _CRC), packed, sizes, headers)


def _texts(names: list[bytes]) -> list[str]:
    joined = b"\0".join(names)
    if joined.isascii() and joined.count(b"\0") < len(names):
        return joined.decode("ascii").split("\0")
    return [name.decode("utf-8", "replace") for name in names]


def _check_bounds(source: Source, start: int, names: list[str], columns: Columns) -> None:
    """Refuse the archive where a record would reach into its directory, which begins at byte `start`."""
    ends = list(map(add, columns.headers, columns.packed))
    if max(ends) + _LOCAL.size > start:
        name = names[ends.index(max(ends))]
        raise damaged(source, f"record {visible(name)!r} would reach beyond the end of the data")


def _directory_position(source: Source) -> tuple[int, int, int]:
    """Where the file's directory starts, its size, and the number of its records."""
    tail_start = max(0, source.size - _END.size)
    if bytes(source.view(tail_start, tail_start + 4)) != b"PK\x05\x06":  # a comment follows, of 64 KiB at most
        tail_start = max(0, source.size - _END.size - 65_535)
    at = bytes(source.view(tail_start)).rfind(b"PK\x05\x06")
    if at < 0 or tail_start + at + _END.size > source.size:
        raise cut_short(source, "it begins as a zip archive, as torch.save writes it, but its end is missing", "F4")
    end = tail_start + at
    _, _, _, _, count, size, start, _ = _END.unpack(source.view(end, end + _END.size))
    locator = bytes(source.view(max(end - _LOCATOR64.size, 0), end))
    if locator[:4] == b"PK\x06\x07" and len(locator) == _LOCATOR64.size:
        _, _, end64, _ = _LOCATOR64.unpack(locator)
        found = source.view(end64, end64 + _END64.size)
        if end64 + _END64.size > end or bytes(found[:4]) != b"PK\x06\x06":
            raise damaged(source, "the record of its large directory is not where it should be")
        _, _, _, _, _, _, _, count, size, start = _END64.unpack(found)
        end = end64
    if start + size != end:
        raise damaged(source, "its directory is not where its end record says")
    return start, size, count


def _whole_sizes(source: Source, name: str, extra: bytes, size: int, packed: int, header: int) -> tuple[int, int, int]:
    """Size, packed size and position of the header, those from the zip64 extra field that do not fit in four bytes."""
    wanted = [value == _LARGE for value in (size, packed, header)]
    if not any(wanted):
        return size, packed, header
    position = 0
    while position + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, position)
        if tag == 1:
            field = extra[position + 4 : position + 4 + length]
            if len(field) < 8 * sum(wanted):
                break
            values = iter(struct.unpack_from(f"<{sum(wanted)}Q", field))
            size, packed, header = (
                next(values) if large else value for large, value in zip(wanted, (size, packed, header), strict=True)
            )
            return size, packed, header
        position += 4 + length
    raise damaged(source, f"the sizes of record {visible(name)!r} are missing")
