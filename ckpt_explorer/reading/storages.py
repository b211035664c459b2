"""The three places in which a storage's bytes lie: in a source as they are, in a record of an archive, or nowhere yet.

All are tuples, for there is one of them a tensor: a `partial` that reads would take as much as all the rest of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from ckpt_explorer.checkpoint import Span

if TYPE_CHECKING:
    from ckpt_explorer.reading.sources.records import Records
    from ckpt_explorer.reading.sources.source import Source


class FileStorage(NamedTuple):
    """The bytes from `start` to before `stop` of a source."""

    name: str
    source: Source
    start: int
    stop: int
    big_endian: bool = False

    @property
    def size(self) -> int:
        """Bytes of it."""
        return self.stop - self.start

    @property
    def place(self) -> Span | None:
        """Where it lies."""
        return None if self.source.step is None else Span(self.source, self.start, self.stop)

    def read(self) -> memoryview:
        """Its bytes, where they lie."""
        return self.source.view(self.start, self.stop)


class RecordStorage(NamedTuple):
    """The first `size` bytes of the record in that row of an archive's table, checked when they are read."""

    records: Records
    row: int
    size: int
    big_endian: bool = False

    @property
    def name(self) -> str:
        """The record's name."""
        return self.records.records.names[self.row]

    @property
    def place(self) -> Span | None:
        """Where its record lies, as it is stored."""
        return self.records.place(self.row)

    def read(self) -> memoryview:
        """Its bytes: a view of the file where the record is stored as it is."""
        return self.records.first_bytes(self.records.records.at(self.row), self.size)


def whole_record(records: Records, name: str, big_endian: bool = False) -> RecordStorage:
    """All of the record of that name, which is there."""
    row = records.records.row(name)
    return RecordStorage(records, row, records.records.at(row).size, big_endian)


class MadeStorage(NamedTuple):
    """`size` bytes that a function gives when they are asked for: put together, unpacked, or here already.

    `at` is the place that the function will look at, where it is one.
    """

    name: str
    size: int
    read: Callable[[], memoryview]
    big_endian: bool = False
    at: Span | None = None

    @property
    def place(self) -> Span | None:
        """What of a file it is made of, where that is known."""
        return None if self.at is None or self.at.source.step is None else self.at


_NEW_TUPLE: Callable[..., RecordStorage] = tuple.__new__
"""Faster than the named tuple's own constructor, which wants its fields one by one."""


def record_storages(
    records: Records, rows: Iterable[int], sizes: Iterable[int], big_endian: bool
) -> list[RecordStorage]:
    """A storage for each of these rows of the archive's table."""
    columns = zip(repeat(records), rows, sizes, repeat(big_endian), strict=False)
    return list(map(_NEW_TUPLE, repeat(RecordStorage), columns))
