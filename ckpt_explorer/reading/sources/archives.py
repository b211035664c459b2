"""A zip archive as a folder: its members are opened where they lie, and unpacked only where they are compressed."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial

from ckpt_explorer.reading.refusals import damaged, wrong_checksum
from ckpt_explorer.reading.sources.folder import PEEKED, Folder, Peek
from ckpt_explorer.reading.sources.records import DEFLATED, STORED, Record
from ckpt_explorer.reading.sources.source import Progress, Source
from ckpt_explorer.reading.sources.unpacked import first_unpacked, unpacked
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory
from ckpt_explorer.text import visible


def zip_folder(directory: ZipDirectory, progress: Progress | None = None) -> Folder:
    """The members of a zip archive, without what macOS adds to it."""
    members = {
        record.name: _opener(directory, record, progress)
        for record in directory.records.values()
        if not record.name.endswith("/") and "__MACOSX" not in record.name
    }
    return Folder(directory.source.name, members, "zip archive", partial(_peek, directory))


def _peek(directory: ZipDirectory, name: str) -> Peek:
    record = directory.records[name]
    packed = _packed(directory, record)
    stored = record.method == STORED
    return Peek(bytes(packed.view(0, PEEKED)) if stored else first_unpacked(packed, "deflate", PEEKED), record.size)


def _packed(directory: ZipDirectory, record: Record) -> Source:
    if record.method not in (STORED, DEFLATED):
        raise damaged(
            directory.source,
            f"{visible(record.name)!r} in it is packed by a method ({record.method}) that is not unpacked here",
        )
    start = directory.position(record)
    return directory.source.part(start, start + record.packed, record.name)


def _opener(directory: ZipDirectory, record: Record, progress: Progress | None) -> Callable[[], Source]:
    def opened() -> Source:
        packed = _packed(directory, record)
        if record.method == STORED:
            return packed
        source = unpacked(packed, "deflate", record.name, progress=progress)
        if source.size != record.size:
            raise damaged(directory.source, f"{visible(record.name)!r} in it is not as large as it claims")
        if record.crc and zlib.crc32(source.view()) != record.crc:
            raise wrong_checksum(directory.source, record.name)
        return source

    return opened
