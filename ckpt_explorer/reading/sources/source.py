"""Source: a path, an upload or an address as one run of bytes of which only what is asked for is read."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable
from pathlib import Path

from ckpt_explorer.errors import SourceError
from ckpt_explorer.text import visible

Progress = Callable[[int, int], None]
"""Called with the bytes that are done and their number in all; whoever wants to abandon the work raises in it."""


class Source:
    """A file's name and its bytes: mapped from disk, the buffer that an upload arrived in, or a part of either.

    Bytes are asked for by place (`view`), so that a source behind a network can fetch just those.
    """

    step: int | None = None
    """How many bytes to ask for at once where the end of what is wanted is not known; None: all, they are here."""

    def __init__(self, name: str, data: memoryview, path: Path | None = None, given: int | None = None) -> None:
        self.name = name
        self.path = path
        self._data = data
        self._given = given

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return len(self._data)

    @property
    def given(self) -> int:
        """Bytes of the file that somebody gave: fewer than `size`, where these were unpacked from it."""
        return self.size if self._given is None else self._given

    def view(self, start: int = 0, stop: int | None = None) -> memoryview:
        """The bytes from `start` to before `stop` (the end, by default), as a view that is never copied.

        Like a slice, it is shorter where the file ends before.
        """
        return self._data[start:stop]

    def forget(self, start: int, stop: int) -> None:
        """These bytes were copied: of a mapped file, they need not stay in memory."""
        whole = self._data.obj
        if isinstance(whole, mmap.mmap) and len(whole) == len(self._data) and hasattr(mmap, "MADV_DONTNEED"):
            first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
            if first < stop:
                whole.madvise(mmap.MADV_DONTNEED, first, stop - first)

    def part(self, start: int, stop: int, name: str) -> Source:
        """A run of these bytes as a source of its own: a file that lies in this one as it is."""
        return Source(name, self.view(start, stop), self.path, self._given)


def source_of(given: str | os.PathLike[str] | bytes | memoryview, name: str | None = None) -> Source:
    """The source behind the path of a file or a buffer. A path is memory-mapped, so nothing is read yet.

    Raises:
        SourceError: no such file, a device, or no right to read it.
    """
    if isinstance(given, bytes | memoryview):
        return Source(name or "upload", memoryview(given).toreadonly())
    path = Path(given)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for whoever writes to it
            raise SourceError(f"{visible(str(path))} is a device or a pipe: give a file.")
        with path.open("rb", buffering=0) as file:
            return Source(name or path.name, mapped(file.fileno()), path)
    except FileNotFoundError:
        raise SourceError(
            f"There is no file {visible(str(path))}: check the path, or drop the file on the page."
        ) from None
    except PermissionError:
        raise SourceError(f"{visible(str(path))} may not be read by this user: change its permissions.") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "the name is not valid"
        raise SourceError(f"{visible(str(path))} can't be read: {why}.") from None


def mapped(descriptor: int) -> memoryview:
    """The bytes of an open file, read-only, mapped into memory: none is read before it is looked at."""
    size = os.fstat(descriptor).st_size
    return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)) if size else memoryview(b"")
