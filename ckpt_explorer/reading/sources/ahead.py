"""Reading ahead: what will be read of files at an address, in a few large requests, each made when it is first needed.

One request a tensor is what takes the time: a ResNet-152 has 932, and a server answers some ten a second. One for all
would leave nothing to look at, and no place to stop, until the whole file is here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from ckpt_explorer.checkpoint import Span, TensorInfo
from ckpt_explorer.reading.sources.ranges import BLOCK

if TYPE_CHECKING:
    from ckpt_explorer.reading.sources.remote import Fetched

WINDOW = 32 << 20
"""Bytes that are fetched together, as one request where they lie side by side."""
GAP = 2 * BLOCK
"""Bytes that nobody wants and that are fetched all the same: they take less time than another request."""

Range = tuple[int, int]


class Ahead:
    """The bytes behind tensors that will be read. Of files that are on this machine there is nothing to do."""

    def __init__(self, infos: Iterable[TensorInfo]) -> None:
        wanted: dict[Fetched, list[Range]] = {}
        for file, start, stop in _ranges(infos):
            wanted.setdefault(file, []).append((start, stop))
        self._windows = {file: list(_windows(ranges)) for file, ranges in wanted.items()}

    def bring(self, infos: Iterable[TensorInfo], waiting: Callable[[], None] | None = None) -> None:
        """Fetch the windows in which the bytes of `infos` lie, where they are not here.

        `waiting` is called whenever some of it has arrived; an error raised in it ends the fetching.

        Raises:
            SourceError: the server does not give them, or the disk is full.
        """
        if not self._windows:
            return

        def told(_done: int, _total: int) -> None:
            if waiting is not None:
                waiting()

        for file, start, stop in _ranges(infos):
            windows = self._windows[file]
            at = max(bisect_right(windows, start, key=lambda window: window[0][0]) - 1, 0)
            while at < len(windows) and windows[at][0][0] < stop:
                file.fetch(windows[at], told)
                at += 1


def _ranges(infos: Iterable[TensorInfo]) -> Iterator[tuple[Fetched, int, int]]:
    """Where the bytes of tensors lie in files at an address, of each the parts that it is made of."""
    for info in infos:
        for part in info.composed.parts if info.composed is not None else (info,):
            span = part.storage.place
            if span is not None:
                yield from _in_the_whole(span)


def _in_the_whole(span: Span) -> Iterator[tuple[Fetched, int, int]]:
    from ckpt_explorer.reading.sources.remote import RemoteSource  # of no use to files that are here

    if isinstance(span.source, RemoteSource):
        yield span.source.fetched, span.source.start + span.start, span.source.start + span.stop


def _windows(ranges: list[Range]) -> Iterator[list[Range]]:
    """`ranges` in the file's order, those that nearly touch made one, in windows of WINDOW bytes."""
    window: list[Range] = []
    room = WINDOW
    for start, stop in _joined(ranges):
        while start < stop:
            end = min(stop, start + room)
            window.append((start, end))
            room -= end - start
            start = end
            if not room:
                yield window
                window, room = [], WINDOW
    if window:
        yield window


def _joined(ranges: list[Range]) -> Iterator[Range]:
    first, *others = sorted(ranges)
    for start, stop in others:
        if start <= first[1] + GAP:
            first = first[0], max(first[1], stop)
        else:
            yield first
            first = start, stop
    yield first
