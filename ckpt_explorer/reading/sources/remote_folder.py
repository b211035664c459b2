"""Folders at addresses: listed where the file system can list, and looked up by name where it can't."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from ckpt_explorer.errors import SourceError
from ckpt_explorer.reading.sources.address import Address, address_of
from ckpt_explorer.reading.sources.folder import MAX_DEPTH, MAX_FILES, PEEKED, Folder, Peek
from ckpt_explorer.reading.sources.remote import STALL, remote_source
from ckpt_explorer.reading.sources.source import Progress, Source
from ckpt_explorer.reading.sources.stored_file import Store


def remote_folder(address: str, *, progress: Progress | None = None, stall: float = STALL) -> Folder | None:
    """The folder at an address, to MAX_DEPTH levels; None where it is a file, or on a web server, which can't list.

    Raises:
        SourceError: not an address that is opened, it may not be listed, or it holds more than MAX_FILES files.
    """
    place = address_of(address)
    if place.of_the_web:
        return None
    store = Store(place, stall)
    if not store.ask("isdir", store.path):
        return None
    top = store.path.rstrip("/")
    files: dict[str, Callable[[], Source]] = {}
    rows: dict[str, dict[str, Any]] = {}
    waiting = [(top, 1)]
    while waiting:
        here, depth = waiting.pop(0)
        for row in sorted(store.ask("ls", here, detail=True), key=lambda row: str(row["name"])):
            path = str(row["name"]).rstrip("/")
            inside = path.removeprefix(f"{top}/")
            if inside == path or path == here:  # some stores list a folder as a file in itself
                continue
            if row["type"] == "directory":
                waiting += [(path, depth + 1)] if depth < MAX_DEPTH else []
            else:
                files[inside] = _opener(_below(place, inside), progress, stall)
                rows[inside] = row
        if len(files) > MAX_FILES or len(waiting) > MAX_FILES:
            raise SourceError(f"{place.shown} holds more than {MAX_FILES:,} files: give the checkpoint in it.")

    def peek(file: str) -> Peek:
        """What tells the kind of a file, without the first block and the question for its size that opening it takes."""
        path, size = str(rows[file]["name"]), int(rows[file].get("size") or 0)
        return Peek(store.read(path, 0, min(size, PEEKED)) if size else b"", size)

    return Folder(place.name, files, peek=peek)


def remote_siblings(address: str, *, progress: Progress | None = None, stall: float = STALL) -> Folder:
    """The folder that the file at `address` lies in, as far as it goes without listing: others are found by name.

    Only that file is listed; any other that is asked for is said to be there, and opening it shows whether it is.

    Raises:
        SourceError: not an address that is opened.
    """
    place = address_of(address)
    return Folder(place.shown.rpartition("/")[0], _Siblings(place, partial(_opener, progress=progress, stall=stall)))


class _Siblings(Mapping[str, Callable[[], Source]]):
    """The files beside one, and below its folder, without knowing which there are."""

    def __init__(self, given: Address, opener: Callable[[Address], Callable[[], Source]]) -> None:
        self._given, self._opener = given, opener

    def __getitem__(self, file: str) -> Callable[[], Source]:
        if file == self._given.name:
            return self._opener(self._given)
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or "\\" in file or "::" in file or not path.parts:
            raise KeyError(file)
        return self._opener(self._given.beside(str(path)))

    def __iter__(self) -> Iterator[str]:
        yield self._given.name

    def __len__(self) -> int:
        return 1


def _below(folder: Address, file: str) -> Address:
    return address_of(f"{folder.text.rstrip('/')}/{file}")


def _opener(address: Address, progress: Progress | None, stall: float) -> Callable[[], Source]:
    return lambda: remote_source(address, progress=progress, stall=stall)
