"""The records of an archive in columns: there may be one a tensor, and what is said of most of them nobody ever asks."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

STORED, DEFLATED = 0, 8
TAIL = 4
"""Characters of a name that are looked for first: names begin alike, and differ in their ends."""


class Record(NamedTuple):
    """One part: of an archive as its directory claims it, with sizes in bytes; a stored CRC of 0 was not computed."""

    name: str
    method: int
    flags: int
    crc: int
    packed: int
    size: int
    header: int


class Columns(NamedTuple):
    """What is said of records beside their names, each field of all of them."""

    methods: array[int]
    flags: array[int]
    crcs: array[int]
    packed: array[int]
    sizes: array[int]
    headers: array[int]


class RecordTable(Mapping[str, Record]):
    """Records by name, in the order of the archive. A `Record` is made when one is asked for."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.names: list[str] = []
        self._rows: dict[str, int] = {}
        self._columns = Columns(array("H"), array("H"), array("I"), array("Q"), array("Q"), array("Q"))
        rows = list(records)
        if rows:
            names, *columns = zip(*rows, strict=True)
            kinds = [column.typecode for column in self._columns]
            self.add(list(names), Columns(*map(array, kinds, columns)))

    def add(self, names: list[str], columns: Columns) -> None:
        """Put records behind those that are there."""
        first = len(self.names)
        self._rows.update(zip(names, range(first, first + len(names)), strict=True))
        self.names.extend(names)
        for column, more in zip(self._columns, columns, strict=True):
            column.extend(more)

    def at(self, row: int) -> Record:
        """The record in a row, counted from 0."""
        return Record(self.names[row], *(column[row] for column in self._columns))

    def row(self, name: str) -> int:
        """The row of the record of that name."""
        return self._rows[name]

    def __getitem__(self, name: str) -> Record:
        return self.at(self._rows[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def rows_of(self, names: Iterable[str]) -> list[int | None]:
        """The row of each name; None where no record has it."""
        return list(map(self._rows.get, names))

    def sizes_of(self, rows: Iterable[int]) -> list[int]:
        """The size of the record in each of these rows, in bytes."""
        return list(map(self._columns.sizes.__getitem__, rows))

    @property
    def nothing_packed(self) -> bool:
        """Whether every record is stored as it is."""
        return not any(self._columns.methods)

    @property
    def twice(self) -> str | None:
        """A name that two records have; None where each has its own."""
        if len(self._rows) == len(self.names):
            return None
        return Counter(self.names).most_common(1)[0][0]

    def any_begins(self, folder: str) -> bool:
        """Whether a record lies in the folder of that name, which ends in a slash."""
        return folder[-TAIL:] in "\0".join(self.names) and any(name.startswith(folder) for name in self.names)

    def ending(self, end: str) -> list[str]:
        """The names that end in `end`; not all are asked where no more than one can."""
        count = "\0".join(self.names).count(end)
        ending = (name for name in self.names if name.endswith(end))
        return list(islice(ending, 1)) if count == 1 else list(ending)
