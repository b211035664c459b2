"""Source: a path or an upload as one run of bytes that is never copied."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass, field
from pathlib import Path

from ckpt_explorer.errors import SourceError
from ckpt_explorer.text import visible


@dataclass(frozen=True)
class Source:
    """A file's name and its bytes: mapped from disk, or the buffer that an upload arrived in."""

    name: str
    data: memoryview = field(repr=False)
    path: Path | None = None

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return len(self.data)


def source_of(given: str | os.PathLike[str] | bytes | memoryview, name: str | None = None) -> Source:
    """The source behind a path or a buffer. A path is memory-mapped, so nothing is read yet.

    Raises:
        SourceError: no such file, a folder, or no right to read it.
    """
    if isinstance(given, bytes | memoryview):
        return Source(name or "upload", memoryview(given).toreadonly())
    path = Path(given)
    shown = visible(str(path))
    try:
        if path.is_dir():
            raise SourceError(f"{shown} is a folder: give the checkpoint file in it.")
        if not path.is_file() and path.exists():
            raise SourceError(f"{shown} is a device or a pipe: give a file.")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) if size else memoryview(b"")
    except FileNotFoundError:
        raise SourceError(f"There is no file {shown}: check the path, or drop the file on the page.") from None
    except PermissionError:
        raise SourceError(f"{shown} may not be read by this user: change its permissions.") from None
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{shown} can't be read: {getattr(error, 'strerror', None) or 'the name is not valid'}."
        ) from None
    return Source(name or path.name, data, path)
