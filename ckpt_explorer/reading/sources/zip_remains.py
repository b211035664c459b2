"""What is left of a zip archive whose end is missing: its records, found by their own headers, one behind the other.

The directory stands at the end, so a download that was cut has none. torch writes its pickle first and the storages in
their order, each behind a header with its name; sizes and checksums stand behind the content ("data descriptor"), so a
record ends where a descriptor fits what lies before it.

Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 and 4.3.9; `caffe2/serialize/inline_container.cc` (padding to 64).
"""

from __future__ import annotations

import struct
import zlib

from ckpt_explorer.reading.refusals import cut_short
from ckpt_explorer.reading.sources.record_table import STORED, Record, RecordTable
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory

_LOCAL = struct.Struct("<4s5H3I2H")
_HAS_DESCRIPTOR = 8
_DESCRIPTOR_SIZES = (struct.Struct("<4sI2I"), struct.Struct("<4sI2Q"))
MAX_RECORDS = 100_000
MAX_TRIES = 64
"""Descriptors of the right size and a wrong checksum, per record: more than one is somebody's work."""


class ZipRemains(ZipDirectory):
    """The whole records of an archive that breaks off, as `ZipDirectory` gives those of a whole one.

    Every one of them was found with its checksum, so what is listed is what was written.
    """

    def _read(self, source: Source) -> RecordTable:
        records: dict[str, Record] = {}
        position = 0
        while len(records) < MAX_RECORDS and (found := _record_at(source, position)) is not None:
            record, position = found
            records.setdefault(record.name, record)
        if not records:
            raise cut_short(source, "not one record of it is whole", "F4")
        return RecordTable(records.values())


def _record_at(source: Source, position: int) -> tuple[Record, int] | None:
    """The record whose header stands at `position`, and where the next one begins; None where none is whole."""
    header = source.view(position, position + _LOCAL.size)
    if len(header) < _LOCAL.size:
        return None
    magic, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack(header)
    start = position + _LOCAL.size + name_size + extra_size
    if magic != b"PK\x03\x04" or start > source.size:
        return None
    name = str(source.view(position + _LOCAL.size, position + _LOCAL.size + name_size), "utf-8", "replace")
    end = start + packed
    if flags & _HAS_DESCRIPTOR and not packed:
        if method != STORED:
            return None
        described = _described(source, start)
        if described is None:
            return None
        crc, size, end = described
        packed = size
        next_start = _next_header(source, end)
    else:
        next_start = end
    if end > source.size:
        return None
    return Record(name, method, flags, crc, packed, size, position), next_start


def _described(source: Source, start: int) -> tuple[int, int, int] | None:
    """CRC, size and end of the content at `start`, by the first descriptor behind it that fits it."""
    data = source.view(start)
    at, tried = 0, 0
    while tried < MAX_TRIES and (at := _find(data, b"PK\x07\x08", at)) >= 0:
        for form in _DESCRIPTOR_SIZES:
            if at + form.size <= len(data):
                _, crc, packed, size = form.unpack(data[at : at + form.size])
                if packed == size == at:
                    tried += 1
                    if not crc or zlib.crc32(data[:at]) == crc:
                        return crc, size, start + at
        at += 4
    return None


def _find(data: memoryview, wanted: bytes, start: int, window: int = 4 << 20) -> int:
    """The first place of `wanted` in `data` from `start` on, looked for in windows, so that nothing large is copied."""
    while start < len(data):
        at = bytes(data[start : start + window]).find(wanted)
        if at >= 0:
            return start + at
        start += window - len(wanted) + 1
    return -1


def _next_header(source: Source, end: int) -> int:
    """Where the next header begins behind a content that ends at `end`: behind its descriptor, of 16 or 24 bytes."""
    for form in _DESCRIPTOR_SIZES:
        if bytes(source.view(end + form.size, end + form.size + 4)) in (b"PK\x03\x04", b"PK\x01\x02"):
            return end + form.size
    return source.size
