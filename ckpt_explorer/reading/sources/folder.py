"""Folder: files by name, wherever they lie: on disk, in an upload of several, in an archive, at an address."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ckpt_explorer.errors import SourceError
from ckpt_explorer.reading.sources.source import Source, source_of
from ckpt_explorer.text import visible

MAX_FILES = 20_000
MAX_DEPTH = 6


PEEKED = 4096
"""Bytes that tell what kind of file it is."""


class Peek(NamedTuple):
    """The first bytes of a file, and its size in bytes."""

    start: bytes
    size: int


class Folder:
    """A name, and the files in it by their path within it, each opened when it is first asked for."""

    def __init__(
        self,
        name: str,
        files: Mapping[str, Callable[[], Source]],
        kind: str = "folder",
        peek: Callable[[str], Peek] | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self._files = files
        self._peek = peek
        self._opened: dict[str, Source] = {}

    def __contains__(self, file: str) -> bool:
        return file in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def open(self, file: str) -> Source:
        """The source of one file.

        Raises:
            SourceError: there is none of that name, or it may not be read. (An archive's member: CorruptCheckpoint.)
        """
        if file not in self._opened:
            if file not in self._files:
                raise SourceError(f"{visible(self.name)} holds no file {visible(file)}.")
            self._opened[file] = self._files[file]()
        return self._opened[file]

    def peek(self, file: str) -> Peek:
        """The first bytes of a file and its size, without unpacking what is packed. Raises what `open` raises."""
        if self._peek is not None:
            return self._peek(file)
        source = self.open(file)
        return Peek(bytes(source.view(0, PEEKED)), source.size)

    def beside(self, file: str, other: str) -> str | None:
        """The path of `other` as `file` would name it: in the same folder, never outside; None where there is none."""
        path = PurePosixPath(other)
        if path.is_absolute() or ".." in path.parts or "\\" in other:
            return None
        found = str(PurePosixPath(file).parent / path)
        return found if found in self._files else None


def folder_at(path: Path, within: Path | None = None, deep: bool = True) -> Folder:
    """The folder at `path` on disk. Files that lead out of `within`, by links, are left out, and without `deep` those in
    folders of it.

    Raises:
        SourceError: it may not be read, or holds more than MAX_FILES files.
    """
    files: dict[str, Callable[[], Source]] = {}

    def refuse(error: OSError) -> None:
        raise SourceError(f"{visible(str(path))} can't be read: {error.strerror}.") from None

    for top, folders, names in os.walk(path, onerror=refuse):
        here = Path(top)
        if not deep or len(here.relative_to(path).parts) >= MAX_DEPTH:
            folders.clear()
        folders.sort()
        for name in sorted(names):
            file = here / name
            if file.is_file() and (within is None or file.resolve().is_relative_to(within.resolve())):
                files[file.relative_to(path).as_posix()] = _opener(file)
        if len(files) > MAX_FILES:
            raise SourceError(f"{visible(str(path))} holds more than {MAX_FILES:,} files: give the checkpoint in it.")
    return Folder(path.name or str(path), files)


def folder_of_files(name: str, files: Mapping[str, bytes | memoryview]) -> Folder:
    """Several uploads that arrived together, as a folder."""
    return Folder(name, {file: _buffer(file, data) for file, data in files.items()}, "upload")


def _opener(file: Path) -> Callable[[], Source]:
    return lambda: source_of(file)


def _buffer(name: str, data: bytes | memoryview) -> Callable[[], Source]:
    return lambda: source_of(data, name)
