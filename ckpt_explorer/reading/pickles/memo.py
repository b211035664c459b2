"""The memo of a walk that takes long runs of tensors in one step: what such a run keeps stays in columns.

A dict would take a hundred bytes an entry, which in a file of many small tensors is more than all the rest.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

Column = tuple["array[int]", Sequence[Any]]
"""Indexes that count up, and what lies at each."""


class Memo(dict[int, Any]):
    """A memo whose entries may also lie in columns. What is put at an index of one afterwards stands in its place."""

    def __init__(self) -> None:
        self.stop = 0
        self._firsts: list[int] = []
        self._runs: list[Sequence[Column]] = []

    def __missing__(self, index: int) -> Any:
        at = bisect_right(self._firsts, index) - 1
        for indexes, values in self._runs[at] if at >= 0 else ():
            row = bisect_left(indexes, index)
            if row < len(indexes) and indexes[row] == index:
                return values[row]
        raise KeyError(index)

    def add(self, first: int, stop: int, columns: Sequence[Column]) -> None:
        """Keep the columns of entries from `first` to before `stop`, which are above those of all columns before."""
        assert self.stop <= first < stop
        self.stop = stop
        self._firsts.append(first)
        self._runs.append(columns)
