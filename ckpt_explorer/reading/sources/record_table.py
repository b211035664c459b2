"""The records of an archive in columns: there may be one a tensor, and what is said of most of them nobody ever asks."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

STORED, DEFLATED = 0, 8


class Record(NamedTuple):
    """One part: of an archive as its directory claims it, with sizes in bytes; a stored CRC of 0 was not computed."""

    name: str
    method: int
    flags: int
    crc: int
    packed: int
    size: int
    header: int


class RecordTable(Mapping[str, Record]):
    """Records by name, in the order of the archive. A `Record` is made when one is asked for."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.names: list[str] = []
        self._rows: dict[str, int] = {}
        self._methods, self._flags, self._crcs = array("H"), array("H"), array("I")
        self._packed, self._sizes, self._headers = array("Q"), array("Q"), array("Q")
        for record in records:
            self.add(*([value] for value in record))  # type: ignore[arg-type]

    def add(
        self,
        names: Sequence[str],
        methods: Iterable[int],
        flags: Iterable[int],
        crcs: Iterable[int],
        packed: Iterable[int],
        sizes: Iterable[int],
        headers: Iterable[int],
    ) -> None:
        """Put records, given by columns, behind those that are there."""
        first = len(self.names)
        self._rows.update(zip(names, range(first, first + len(names)), strict=True))
        self.names.extend(names)
        self._methods.extend(methods)
        self._flags.extend(flags)
        self._crcs.extend(crcs)
        self._packed.extend(packed)
        self._sizes.extend(sizes)
        self._headers.extend(headers)

    def at(self, row: int) -> Record:
        """The record in a row, counted from 0."""
        return Record(
            self.names[row],
            self._methods[row],
            self._flags[row],
            self._crcs[row],
            self._packed[row],
            self._sizes[row],
            self._headers[row],
        )

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
        return list(map(self._sizes.__getitem__, rows))

    @property
    def nothing_packed(self) -> bool:
        """Whether every record is stored as it is."""
        return not any(self._methods)

    @property
    def twice(self) -> str | None:
        """A name that two records have; None where each has its own."""
        if len(self._rows) == len(self.names):
            return None
        return Counter(self.names).most_common(1)[0][0]

    def any_begins(self, start: str) -> bool:
        """Whether a record lies in the folder `start`, or is named so."""
        return start in "\0".join(self.names) and any(name.startswith(start) for name in self.names)
