"""A compressed file, unpacked once into a temporary file that is gone when it is let go of.

What comes out is bounded by what went in: a few kilobytes that unpack to terabytes are refused before they fill a disk.
Only the disk holds what came out; memory holds what is looked at.
"""

from __future__ import annotations

import bz2
import lzma
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator

from ckpt_explorer.errors import SourceError
from ckpt_explorer.reading.refusals import cut_short, damaged
from ckpt_explorer.reading.sources.source import Progress, Source, mapped
from ckpt_explorer.text import bytes_as_text, visible

CHUNK = 1 << 20
FLOOR = 512 << 20
MAX_RATIO = 64
"""Weights hardly shrink when they are packed: what grows more than this is no checkpoint."""

COMPRESSIONS: dict[str, bytes] = {"gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00"}
"""The compressions that are unpacked here, by the bytes that such a file begins with."""


class Inflate:
    """zlib's decompressor with the interface of the others: at most `most` bytes a call, the rest kept for the next."""

    def __init__(self, bits: int) -> None:
        self._worker = zlib.decompressobj(bits)

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._worker.decompress(self._worker.unconsumed_tail + data, most)

    @property
    def eof(self) -> bool:
        return self._worker.eof

    @property
    def unused_data(self) -> bytes:
        return self._worker.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._worker.unconsumed_tail and not self._worker.eof


_WORKERS: dict[str, Callable[[], Inflate | bz2.BZ2Decompressor | lzma.LZMADecompressor]] = {
    "gzip": lambda: Inflate(31),
    "deflate": lambda: Inflate(-15),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=128 << 20),
}


def first_unpacked(source: Source, compression: str, count: int = 4096) -> bytes:
    """The first `count` bytes of what `source` unpacks to: enough to see what kind of file it is.

    Raises:
        CorruptCheckpoint: not even those can be unpacked.
    """
    found = b""
    for piece in _pieces(source, compression, None, False):
        found += piece[: count - len(found)]
        if len(found) >= count:
            break
    return found


def unpacked(
    source: Source,
    compression: str,
    name: str,
    *,
    progress: Progress | None = None,
    salvage: bool = False,
) -> Source:
    """All that `source` unpacks to, as a source called `name`, on disk.

    With `salvage`, what comes out of a file that breaks off is taken for the whole.

    Raises:
        CorruptCheckpoint: it breaks off, its checksum is wrong, or it would grow beyond all reason.
        SourceError: the disk has no room for it.
    """
    limit = max(FLOOR, MAX_RATIO * source.size)
    room = shutil.disk_usage(tempfile.gettempdir()).free
    with tempfile.TemporaryFile(prefix="checkpoint-explorer-") as file:
        written = 0
        for piece in _pieces(source, compression, progress, salvage):
            written += len(piece)
            if written > limit:
                raise damaged(
                    source,
                    f"its {bytes_as_text(source.size)} unpack to more than {bytes_as_text(limit)}, as no weights do",
                )
            if written > room - CHUNK:
                raise SourceError(
                    f"{visible(source.name)} unpacks to more than the {bytes_as_text(room)} that are free on this disk: make room, or unpack it elsewhere."
                )
            file.write(piece)
        file.flush()
        return Source(name, mapped(file.fileno()), given=source.given)


def _pieces(source: Source, compression: str, progress: Progress | None, salvage: bool) -> Iterator[bytes]:
    """What comes out, a megabyte at a time; several streams one behind the other are one file, as in gzip."""
    position, worker = 0, _WORKERS[compression]()
    try:
        while True:
            if worker.needs_input:
                if position >= source.size:
                    break
                packed = bytes(source.view(position, position + CHUNK))
                position += len(packed)
                if progress:
                    progress(position, source.size)
            else:
                packed = b""
            piece = worker.decompress(packed, CHUNK)
            if piece:
                yield piece
            if worker.eof:
                position -= len(worker.unused_data)
                if not _begins_again(source, compression, position):
                    return
                worker = _WORKERS[compression]()
    except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError):
        if not salvage:
            raise damaged(source, f"it can't be unpacked ({compression})") from None
        return
    if not salvage:
        raise cut_short(source, f"the {compression} archive breaks off")


def _begins_again(source: Source, compression: str, position: int) -> bool:
    magic = COMPRESSIONS.get(compression)
    return magic is not None and bytes(source.view(position, position + len(magic))) == magic
