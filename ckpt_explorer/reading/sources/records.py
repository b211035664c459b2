"""Records: the parts of one checkpoint by name, in an archive or as files of a folder, read and checked when asked for."""

from __future__ import annotations

from typing import Protocol

from ckpt_explorer.checkpoint import Span
from ckpt_explorer.reading.refusals import damaged
from ckpt_explorer.reading.sources.folder import Folder
from ckpt_explorer.reading.sources.record_table import DEFLATED, STORED, Record, RecordTable
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.text import bytes_as_text, visible

__all__ = ["DEFLATED", "STORED", "FolderRecords", "Record", "RecordTable", "Records"]


class Records(Protocol):
    """What the readers of archives ask for."""

    source: Source
    records: RecordTable

    def read(self, record: Record, limit: int | None = None) -> memoryview:
        """The bytes of a record, checked; `limit` bytes at most."""

    def first_bytes(self, record: Record, count: int) -> memoryview:
        """The first `count` bytes of a record, checked like all of them."""

    def place(self, row: int) -> Span | None:
        """What will be looked at to read and check a record; None where all of it is on this machine."""


class FolderRecords:
    """The files of a folder that was once an archive, as its records."""

    def __init__(self, folder: Folder, source: Source) -> None:
        self.folder = folder
        self.source = source
        self.records = RecordTable(map(self._record, folder))

    def _record(self, name: str) -> Record:
        size = self.folder.open(name).size
        return Record(name, STORED, 0, 0, size, size, 0)

    def read(self, record: Record, limit: int | None = None) -> memoryview:
        """The bytes of a file; `limit` bytes at most."""
        if limit is not None and record.size > limit:
            raise damaged(
                self.source,
                f"{visible(record.name)!r} has {bytes_as_text(record.size)}, {bytes_as_text(limit)} at most are read",
            )
        return self.folder.open(record.name).view()

    def first_bytes(self, record: Record, count: int) -> memoryview:
        """The first `count` bytes of a file."""
        return self.folder.open(record.name).view(0, count)

    def place(self, row: int) -> Span | None:
        """All of a file."""
        source = self.folder.open(self.records.names[row])
        return None if source.step is None else Span(source, 0, source.size)
