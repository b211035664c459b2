"""The directory of a zip archive, with every claim checked against the file before it is used.

Python's `zipfile` is not used: it takes longer than all the rest of opening a checkpoint, and accepts archives whose
local headers and directory disagree. Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from ckpt_explorer.errors import CorruptCheckpoint, Diagnosis
from ckpt_explorer.reading.source import Source
from ckpt_explorer.text import bytes_as_text, visible

_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")

STORED, DEFLATED = 0, 8
MAX_ENTRIES = 1_000_000
MAX_RATIO = 1040
"""Deflate can't shrink more than 1032 times; a larger claim is a lie."""


class Record(NamedTuple):
    """One file of the archive, as the central directory claims."""

    name: str
    method: int
    flags: int
    crc: int
    packed: int
    size: int
    header: int


class ZipDirectory:
    """The records of an archive by name, and their bytes."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.records = self._read(source)

    def _read(self, source: Source) -> dict[str, Record]:
        data, start, size, count = _directory_position(source)
        if count > MAX_ENTRIES or count * _CENTRAL.size > size:
            raise damaged(source, f"its directory claims {count:,} records in {bytes_as_text(size)}")
        records: dict[str, Record] = {}
        position, end, unpack = start, start + size, _CENTRAL.unpack_from
        for _ in range(count):
            if position + _CENTRAL.size > end:
                raise damaged(source, "its directory breaks off")
            (magic, _, _, flags, method, _, _, crc, packed, full, name_size, extra_size, note_size, _, _, _, header) = (
                unpack(data, position)
            )
            name_at = position + 46
            position = name_at + name_size + extra_size + note_size
            if magic != b"PK\x01\x02" or position > end:
                raise damaged(source, "its directory is not one")
            name = str(data[name_at : name_at + name_size], "utf-8", "replace")
            if 0xFFFFFFFF in (packed, full, header):
                extra = data[name_at + name_size : name_at + name_size + extra_size]
                full, packed, header = _zip64_sizes(source, name, extra, full, packed, header)
            if header + 30 + name_size + packed > start:
                raise damaged(source, f"record {visible(name)!r} would reach beyond the end of the data")
            if name in records:
                raise damaged(source, f"two records have the name {visible(name)!r}")
            records[name] = Record(name, method, flags, crc, packed, full, header)
        return records

    def read(self, record: Record, limit: int | None = None, check: bool = True) -> memoryview:
        """The bytes of a record, checked: its local header agrees with the directory, and its CRC is the stored one.

        A stored record is a view of the file; a compressed one is unpacked into memory, `limit` bytes at most.
        A stored CRC of 0 means that the writer computed none (torch's `compute_crc32=False`).

        Raises:
            CorruptCheckpoint: header, size or CRC do not fit, or the record is larger than `limit`.
        """
        name, data = visible(record.name), self.source.data
        magic, _, flags, method, _, _, _, _, _, name_size, extra_size = _LOCAL.unpack_from(data, record.header)
        start = record.header + 30 + name_size + extra_size
        said = str(data[record.header + 30 : record.header + 30 + name_size], "utf-8", "replace")
        if magic != b"PK\x03\x04" or said != record.name or method != record.method:
            raise damaged(self.source, f"record {name!r} is another in its own header than in the directory")
        if flags & 1 or record.flags & 1:
            raise damaged(self.source, f"record {name!r} is encrypted")
        if start + record.packed > len(data):
            raise damaged(self.source, f"record {name!r} would reach beyond the end of the file")
        if limit is not None and record.size > limit:
            raise damaged(
                self.source,
                f"record {name!r} claims {bytes_as_text(record.size)}, {bytes_as_text(limit)} at most are read",
            )
        packed = data[start : start + record.packed]
        content = self._unpacked(record, packed)
        if check and record.crc and zlib.crc32(content) != record.crc:
            raise CorruptCheckpoint(
                Diagnosis(
                    "F6",
                    f"{visible(self.source.name)} is damaged: the bytes of record {name!r} do not have the checksum stored with them",
                    "fetch the file again.",
                )
            )
        return content

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


def damaged(source: Source, what: str) -> CorruptCheckpoint:
    """The refusal of a file whose claims its bytes contradict."""
    return CorruptCheckpoint(
        Diagnosis(
            "F18",
            f"{visible(source.name)} contradicts itself: {what}",
            "fetch it again from where it was published; if it stays so, do not trust it.",
        )
    )


def _directory_position(source: Source) -> tuple[memoryview, int, int, int]:
    """The file's bytes, where its directory starts, its size, and the number of its records."""
    data = source.data
    tail_start = max(0, source.size - 65_557)
    at = bytes(data[tail_start:]).rfind(b"PK\x05\x06")
    if at < 0 or tail_start + at + _END.size > source.size:
        raise CorruptCheckpoint(
            Diagnosis(
                "F4",
                f"{visible(source.name)} is cut short: it begins as a zip archive, as torch.save writes it, but its end is missing after {bytes_as_text(source.size)}",
                "delete it and fetch it again, then compare the size with the one published.",
            )
        )
    end = tail_start + at
    _, _, _, _, count, size, start, _ = _END.unpack_from(data, end)
    if end >= 20 and data[end - 20 : end - 16] == b"PK\x06\x07":
        _, _, end64, _ = _LOCATOR64.unpack_from(data, end - 20)
        if end64 + _END64.size > end or data[end64 : end64 + 4] != b"PK\x06\x06":
            raise damaged(source, "the record of its large directory is not where it should be")
        _, _, _, _, _, _, _, count, size, start = _END64.unpack_from(data, end64)
        end = end64
    if start + size != end:
        raise damaged(source, "its directory is not where its end record says")
    return data, start, size, count


def _zip64_sizes(
    source: Source, name: str, extra: memoryview, full: int, packed: int, header: int
) -> tuple[int, int, int]:
    position = 0
    while position + 4 <= len(extra):
        tag, size = struct.unpack_from("<2H", extra, position)
        if tag == 1:
            field = extra[position + 4 : position + 4 + size]
            wanted = [value == 0xFFFFFFFF for value in (full, packed, header)]
            if len(field) < 8 * sum(wanted):
                break
            values = iter(struct.unpack_from(f"<{sum(wanted)}Q", field))
            full, packed, header = (
                next(values) if large else value for large, value in zip(wanted, (full, packed, header), strict=True)
            )
            return full, packed, header
        position += 4 + size
    raise damaged(source, f"the sizes of record {visible(name)!r} are missing")
