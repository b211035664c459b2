"""Blocks: which bytes of a file are here, kept as one flag a block of equal size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

BLOCK = 128 << 10
"""Bytes: small enough that a small tensor costs little more than itself, large enough for a table of contents."""


class Blocks:
    """The blocks of a file of `size` bytes; none is here at first."""

    def __init__(self, size: int, block: int = BLOCK) -> None:
        self._size, self._block = size, block
        self._here = bytearray(-(-size // block))

    def missing(self, ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """The runs of whole blocks, `(start, stop)` in bytes, that are needed for `ranges` and not here.

        In the file's order, none adjacent to another.
        """
        return [
            (first * self._block, min(last * self._block, self._size))
            for start, stop in self._merged(ranges)
            for first, last in self._gaps(start, stop)
        ]

    def add(self, start: int, stop: int) -> None:
        """The bytes from `start` to before `stop` are here; blocks of which only a part is, still count as missing."""
        first = -(-start // self._block)
        last = len(self._here) if stop >= self._size else stop // self._block
        if last > first:
            self._here[first:last] = b"\1" * (last - first)

    def _merged(self, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """`ranges` in blocks, sorted, those that touch made one."""
        merged: list[tuple[int, int]] = []
        for start, stop in sorted(
            (start // self._block, -(-stop // self._block)) for start, stop in ranges if start < stop
        ):
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(stop, merged[-1][1])
            else:
                merged.append((start, stop))
        return iter(merged)

    def _gaps(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        first = self._here.find(0, start, stop)
        while first >= 0:
            last = self._here.find(1, first, stop)
            last = last if last >= 0 else min(stop, len(self._here))
            yield first, last
            first = self._here.find(0, last, stop)
