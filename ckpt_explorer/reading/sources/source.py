"""Source: a path or an upload as one run of bytes that is never copied."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass, field
from pathlib import Path

from ckpt_explorer.errors import CheckpointExplorerError, Diagnosis, NotACheckpoint, SourceError
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
        NotACheckpoint: a folder that was a checkpoint (F13), or parts of one (F15).
    """
    if isinstance(given, bytes | memoryview):
        return Source(name or "upload", memoryview(given).toreadonly())
    path = Path(given)
    shown = visible(str(path))
    try:
        if path.is_dir():
            raise _folder(path)
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


def _folder(path: Path) -> CheckpointExplorerError:
    """Which folder is this? Some are checkpoints that were unpacked, or whose parts belong together."""
    shown = visible(str(path))
    if (path / "data.pkl").is_file():
        return NotACheckpoint(
            Diagnosis(
                "F13",
                f"{shown} is a checkpoint that was unpacked: a folder with data.pkl in it",
                "give the file it was unpacked from, or zip the folder itself without compression (zip -0 -r).",
            )
        )
    if next(path.glob("*.distcp"), None) or next(path.glob("mp_rank_*"), None):
        return NotACheckpoint(
            Diagnosis(
                "F15",
                f"{shown} is a folder of a distributed checkpoint, whose parts hold the weights in pieces",
                "put them together first (zero_to_fp32.py, or torch.distributed.checkpoint's dcp_to_torch).",
            )
        )
    return SourceError(f"{shown} is a folder: give the checkpoint file in it.")
