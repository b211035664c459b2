"""A file at an address as a source: only the blocks that are looked at are fetched, into a temporary file on disk."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Protocol

from ckpt_explorer.errors import SourceError
from ckpt_explorer.reading.sources.address import Address, address_of, is_address
from ckpt_explorer.reading.sources.ranges import BLOCK, Blocks
from ckpt_explorer.reading.sources.source import Progress, Source, mapped
from ckpt_explorer.reading.sources.stored_file import StoredFile
from ckpt_explorer.reading.sources.unreachable import ConnectionCut, NoRanges, no_room, too_large
from ckpt_explorer.reading.sources.web_file import WebFile
from ckpt_explorer.text import visible

__all__ = ["NoRanges", "RemoteSource", "is_address", "remote_source"]

STALL = 20.0
"""Seconds without a byte after which a server is given up."""

MAX_SIZE = 1 << 40
MAX_FETCH = 64 << 30
"""Bytes that are fetched as a whole, unless another limit is given."""

STEP = 256 << 10
RESERVE = 256 << 20
"""Bytes of the disk that a whole file must leave free for others."""


class Origin(Protocol):
    """Where a file's bytes come from; `size` is known after the first answer, if it is said at all."""

    size: int | None

    def first(self, count: int) -> bytes:
        """The first `count` bytes; more, and then all, of a small file that is sent only as a whole."""

    def chunks(self, start: int, stop: int | None) -> Generator[bytes, None, None]:
        """The bytes from `start` to before `stop` (None: to the end), as they arrive."""


class RemoteSource(Source):
    """A file at an address, or a part of it. Views are of a temporary file that no other program can open.

    Any number of threads may ask at once; one fetches, and the others wait where they need what is not here.
    """

    step = STEP
    fetched: Fetched
    """What is here of the whole file."""
    start: int
    """The byte of it at which this part begins."""

    def __init__(self, name: str, fetched: Fetched, start: int, stop: int) -> None:
        super().__init__(name, fetched.data[start:stop])
        self.fetched, self.start = fetched, start

    @property
    def progress(self) -> Progress | None:
        """Called while bytes are fetched, with those done and all of that one request; one for a file and its parts.

        An error raised in it ends the fetching; the blocks that have arrived by then stay.
        """
        return self.fetched.progress

    @progress.setter
    def progress(self, progress: Progress | None) -> None:
        self.fetched.progress = progress

    @property
    def received(self) -> int:
        """Bytes of the file that have been fetched up to now."""
        return self.fetched.received

    def view(self, start: int = 0, stop: int | None = None) -> memoryview:
        """The bytes from `start` to before `stop`, as a view of the temporary file, after those that lack are fetched.

        Raises:
            SourceError: the server no longer gives them, or the disk is full.
        """
        self.prefetch([(start, self.size if stop is None else stop)])
        return self._data[start:stop]

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Fetch all of `ranges`, (start, stop) in bytes, with one request for those that lie in adjacent blocks.

        Raises what `view` raises.
        """
        bounds = (slice(start, stop).indices(self.size) for start, stop in ranges)
        self.fetched.fetch([(self.start + start, self.start + stop) for start, stop, _ in bounds])

    def part(self, start: int, stop: int, name: str) -> RemoteSource:
        """A run of these bytes as a source of its own, of which still nothing is fetched before it is looked at."""
        start, stop, _ = slice(start, stop).indices(self.size)
        return RemoteSource(name, self.fetched, self.start + start, self.start + max(start, stop))


def remote_source(
    address: str | Address,
    *,
    progress: Progress | None = None,
    fetch_all: bool = False,
    stall: float = STALL,
    limit: int = MAX_FETCH,
) -> Source:
    """The source behind an address. One request is made, which tells the file's size and brings its first block.

    With `fetch_all` the whole file is fetched at once, `limit` bytes at most; that needs nothing of the server. Where
    it does not say how long the file is, `progress` gets the bytes done for both of its numbers. `stall` is in seconds.

    Raises:
        NoRanges: the server sends only the whole file; `fetch_all` would open it.
        SourceError: not an address that is opened, or any other reason why the file can't be read.
    """
    place = address if isinstance(address, Address) else address_of(address)
    origin: Origin = WebFile(place, stall) if place.of_the_web else StoredFile(place, stall)
    if fetch_all:
        return _whole(place, origin, progress, limit)
    try:
        first = origin.first(BLOCK)
    except ConnectionCut:
        first = origin.first(BLOCK)
    if origin.size is None or origin.size > MAX_SIZE:
        raise too_large(place, origin.size or 0, MAX_SIZE)
    fetched = Fetched(place, origin, origin.size, progress)
    fetched.keep(0, first)
    return RemoteSource(place.name, fetched, 0, origin.size)


class Fetched:
    """A file's bytes as far as they were fetched: a sparse temporary file, mapped, and which of its blocks are here."""

    def __init__(self, address: Address, origin: Origin, size: int, progress: Progress | None) -> None:
        self.progress = progress
        self.received = 0
        self._address, self._origin, self._size = address, origin, size
        self._blocks, self._lock = Blocks(size), threading.Lock()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as this does
        weakref.finalize(self, self._file.close)
        with _written(address):
            self._file.truncate(size)
            self.data = mapped(self._file.fileno())

    def fetch(self, ranges: list[tuple[int, int]], told: Progress | None = None) -> None:
        """Bring what is missing of `ranges`; `told` is called like `progress`, and may raise like it."""
        if not self._blocks.missing(ranges):  # nothing ever goes missing again, so that needs no lock
            return
        with self._lock:
            missing = self._blocks.missing(ranges)
            wanted = sum(stop - start for start, stop in missing)
            done = 0
            for start, stop in missing:
                with closing(_resumed(self._origin, start, stop)) as pieces:
                    for position, piece in pieces:
                        self.keep(position, piece, start)
                        done += len(piece)
                        for call in filter(None, (self.progress, told)):
                            call(done, wanted)

    def keep(self, position: int, piece: bytes, since: int | None = None) -> None:
        """Write what has arrived; it goes on from byte `since` without a hole (`position`, by default)."""
        with _written(self._address):
            self._file.seek(position)
            self._file.write(piece)
            self._file.flush()
        self.received += len(piece)
        self._blocks.add(position if since is None else since, position + len(piece))


def _whole(address: Address, origin: Origin, progress: Progress | None, limit: int) -> Source:
    """All of the file, streamed into a temporary one that is gone as soon as nobody looks at it any more."""
    with tempfile.TemporaryFile() as file, closing(_resumed(origin, 0, None)) as pieces:
        for position, piece in pieces:
            done = position + len(piece)
            if max(done, origin.size or 0) > limit:
                raise too_large(address, max(done, origin.size or 0), limit)
            if not position or done % RESERVE < len(piece):
                _check_room(address, (origin.size or done) - position)
            with _written(address):
                file.write(piece)
            if progress:
                progress(done, origin.size or done)
        with _written(address):
            file.flush()
            return Source(address.name, mapped(file.fileno()))


def _resumed(origin: Origin, start: int, stop: int | None) -> Generator[tuple[int, bytes], None, None]:
    """Pieces with their positions; where the connection is cut, they go on from there, once."""
    cut = False
    while True:
        try:
            with closing(origin.chunks(start, stop)) as chunks:
                for chunk in chunks:
                    yield start, chunk
                    start += len(chunk)
            return
        except ConnectionCut as error:
            if cut:
                raise
            cut = True
            last = error
        except NoRanges:
            if cut and stop is None:  # it was to be sent as a whole, and can't be sent from the middle
                raise last from None
            raise


def _check_room(address: Address, needed: int) -> None:
    folder = tempfile.gettempdir()
    free = max(0, shutil.disk_usage(folder).free - RESERVE)
    if needed > free:
        raise no_room(address, folder, needed, free)


@contextmanager
def _written(address: Address) -> Iterator[None]:
    """A disk that is full, or can't keep files of this length, in one sentence."""
    try:
        yield
    except OSError as error:
        why = f"{visible(tempfile.gettempdir())} does not take its bytes ({error.strerror})"
        raise SourceError(f"{visible(address.name)}: {why}: set TMPDIR to a folder on a larger disk.") from None
