"""Zipped images: the pictures in a zip archive, read when their turn comes, each claim of the archive bounded.

Nothing is unpacked to a disk, so no path in an archive can lead anywhere; one that tries is refused all the same, since
whoever made it meant something by it. Python's `zipfile` does the reading: it unpacks no more than a member claims,
and checks the CRC and that the local header has the directory's name.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ckpt_explorer.errors import ImageError, InferenceError
from ckpt_explorer.inference.images import MAX_FILE_BYTES
from ckpt_explorer.inference.picture_names import ARCHIVES, begins_like_a_picture, is_clutter, looks_like_a_picture
from ckpt_explorer.text import bytes_as_text, visible

MAX_MEMBERS = 200_000
MAX_DIRECTORY_BYTES = 64 * 2**20
"""A directory is read as a whole, and every row of it becomes an object of some hundred bytes."""

_HEAD = 512
_END = struct.Struct("<4s4H2IH")


@dataclass(frozen=True, eq=False)
class RefusedImage:
    """What would be a picture if it were not for the reason in `says`, one sentence."""

    says: str

    def read(self) -> bytes:
        """Raises ImageError, always."""
        raise ImageError(self.says)


@dataclass(frozen=True, eq=False)
class ZippedImage:
    """One member of an archive; `read()` unpacks it, and keeps nothing."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    shown: str

    def read(self) -> bytes:
        """Its bytes; of what does not begin like a picture only the first 512, which is enough to say what it is.

        Raises:
            ImageError: it is encrypted, claims over 256 MiB, is packed in a way that can't be read, or damaged.
        """
        if self.info.flag_bits & 1:
            raise ImageError(f"{self.shown} is encrypted: unpack the archive with its password and give the folder.")
        if self.info.file_size > MAX_FILE_BYTES:
            raise ImageError(
                f"{self.shown} claims {bytes_as_text(self.info.file_size)}, and pictures up to "
                f"{bytes_as_text(MAX_FILE_BYTES)} are opened: save it smaller."
            )
        try:
            with self.archive.open(self.info) as member:
                head = member.read(_HEAD)
                return head + member.read() if begins_like_a_picture(head) else head
        except NotImplementedError as error:
            raise ImageError(f"{self.shown} is packed in a way that can't be read: zip it again.") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
            why = visible(str(error) or type(error).__name__, 120)
            raise ImageError(f"{self.shown} is damaged in the archive ({why}): zip it again.") from error


def zipped_images(
    source: Path | bytes, name: str, notes: list[str]
) -> Iterator[tuple[str, ZippedImage | RefusedImage]]:
    """The pictures in an archive by their paths in it, in its own order; what was left out is added to `notes`.

    Folders, hidden files and what neither has a picture's ending nor begins like one are left out. Archives in the
    archive are not opened, and it is said. A path that leads out of the archive, and every repetition of a name, is a
    RefusedImage.

    Raises:
        InferenceError: it is no zip archive, or its directory is a lie: too large, or members that overlap.
    """
    shown = visible(name, 120)
    archive = _opened(source, shown)
    seen: set[str] = set()
    other: list[str] = []
    for info in archive.infolist():
        path = info.filename.replace("\\", "/")
        if info.is_dir() or path.endswith("/") or is_clutter(path):
            continue
        if path.lower().endswith(ARCHIVES):
            notes.append(
                f"{visible(path, 120)} in {shown} is an archive of its own, which is not opened: give it by itself."
            )
            continue
        where = f"{visible(path, 120)} in {shown}"
        if _leads_out(path):
            yield (
                path,
                RefusedImage(f"{where} has a path that leads out of the archive, so it is not read: zip it anew."),
            )
        elif path in seen:
            yield path, RefusedImage(f"{where} is there twice, and the second is not read: give each its own name.")
        elif looks_like_a_picture(path) or _begins_like_one(archive, info):
            yield path, ZippedImage(archive, info, where)
        else:
            other.append(path)
        seen.add(path)
    if other:
        notes.append(
            f"Left out of {shown}, {len(other):,}: files that are no picture "
            f"({', '.join(visible(path, 60) for path in other[:3])}{' …' if len(other) > 3 else ''})."
        )


def _begins_like_one(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    """Whether a member without a picture's ending is one by its first bytes; what can't be read is none."""
    if info.flag_bits & 1:
        return False
    try:
        with archive.open(info) as member:
            return begins_like_a_picture(member.read(_HEAD))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError):
        return False


def _opened(source: Path | bytes, shown: str) -> zipfile.ZipFile:
    """The archive, its directory read; the size of that is looked at before, and overlapping members after."""
    try:
        size = _directory_size(source)
        if size > MAX_DIRECTORY_BYTES:
            raise InferenceError(
                f"{shown} has a directory of {bytes_as_text(size)}, and up to {bytes_as_text(MAX_DIRECTORY_BYTES)} are "
                f"read: make several archives of it."
            )
        archive = zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source)
    except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError) as error:
        raise InferenceError(
            f"{shown} is no zip archive that can be read, or it was cut short: make it again."
        ) from error
    except OSError as error:
        why = visible(error.strerror or str(error), 80)
        raise InferenceError(f"{shown} can't be opened ({why}): check the name and the permissions.") from error
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise InferenceError(
            f"{shown} holds {len(members):,} files, and up to {MAX_MEMBERS:,} are read: make several archives of it."
        )
    weight = len(source) if isinstance(source, bytes) else source.stat().st_size
    claimed = sum(info.compress_size for info in members)
    if claimed > weight:
        raise InferenceError(
            f"{shown} has {bytes_as_text(weight)}, and its members claim {bytes_as_text(claimed)} of them: they overlap, "
            f"as in a zip bomb, so nothing of it is read."
        )
    return archive


def _directory_size(source: Path | bytes) -> int:
    """What the end record claims for the directory, in bytes; 0 where it is in the large form, which `zipfile` checks."""
    if isinstance(source, bytes):
        tail = source[-(_END.size + 65_535) :]
    else:
        with source.open("rb") as file:
            file.seek(0, io.SEEK_END)
            file.seek(max(0, file.tell() - _END.size - 65_535))
            tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise zipfile.BadZipFile("no end record")
    size = int(_END.unpack_from(tail, at)[5])
    return 0 if size == 0xFFFFFFFF else size


def _leads_out(path: str) -> bool:
    """Whether a path is absolute, has a drive letter, or climbs."""
    return path.startswith("/") or path[1:2] == ":" or ".." in path.split("/")
