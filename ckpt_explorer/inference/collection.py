"""Collection: files, folders and zip archives as one list of named pictures, none of which is read before its turn.

A picture is called by its path below what it was found in: `cat/1.png` for a folder or an archive of classes. Where
several places were given, by its path below the folder that holds them all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ckpt_explorer.errors import InferenceError
from ckpt_explorer.inference.images import ImageSource
from ckpt_explorer.inference.picture_names import ARCHIVES, begins_like_a_picture, is_clutter, looks_like_a_picture
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.inference.zipped_images import RefusedImage, zipped_images
from ckpt_explorer.text import natural_order, plural, visible

MAX_PICTURES = 100_000
MAX_DEPTH = 40
"""Folders within folders."""

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True)
class Collection:
    """Pictures in their order, each with a name of its own; `notes` are sentences on what was left out, and why."""

    images: tuple[NamedImage, ...]
    notes: tuple[str, ...] = ()


def collect(paths: Sequence[str | os.PathLike[str]], *, within: Path | None = None) -> Collection:
    """All pictures in `paths`: a file is one, a folder and a zip archive are all that they hold.

    Folders are searched to any depth in natural order (`img2` before `img10`). Links that lead out of the folder that
    was given, or out of `within`, are not followed, nor links to folders at all. What was named by itself is always
    in the list: a file that is missing or no picture, or an archive that can't be read, fails when its turn comes, and
    stops no other. At most 100,000 pictures are taken.

    Raises:
        InferenceError: there is no picture in any of them.
    """
    notes: list[str] = []
    found: list[tuple[str, ImageSource]] = []
    places = [Path(path) for path in paths]
    tops = [_top(place) for place in places]
    base = _common_folder(tops)
    for place, top in zip(places, tops, strict=True):
        front = "" if base is None else _below(base, top)
        for name, source in _in_place(place, within, notes):
            found.append((f"{front}/{name}" if front else name, source))
            if len(found) > MAX_PICTURES:
                break
    if len(found) > MAX_PICTURES:
        del found[MAX_PICTURES:]
        notes.append(f"The first {MAX_PICTURES:,} pictures are taken: give the rest another time.")
    if not found:
        what = ", ".join(visible(str(path), 120) for path in places[:3])
        raise InferenceError(
            f"There is no picture in {what}: {notes[0] if notes else 'give a folder or a zip with some.'}"
        )
    return Collection(_named(found), tuple(notes))


def collect_uploads(files: Mapping[str, bytes]) -> Collection:
    """All pictures in files that came with their bytes; a zip archive is all that it holds, beside the others.

    An archive that can't be read is a picture that can't be read: one line, and the others are answered.
    """
    notes: list[str] = []
    found: list[tuple[str, ImageSource]] = []
    for name, data in files.items():
        if not data.startswith(_ZIP_STARTS):
            found.append((name, data))
            continue
        found += _in_archive(data, name, f"{name}/" if len(files) > 1 else "", notes)
    if len(found) > MAX_PICTURES:
        del found[MAX_PICTURES:]
        notes.append(f"The first {MAX_PICTURES:,} pictures are taken: give the rest another time.")
    return Collection(_named(found), tuple(notes))


def _in_place(place: Path, within: Path | None, notes: list[str]) -> Iterator[tuple[str, ImageSource]]:
    if place.is_dir():
        yield from _in_folder(place, within, notes)
    elif _is_zip(place):
        yield from _in_archive(place, place.name, "", notes)
    else:
        yield place.name, place


def _in_archive(source: Path | bytes, name: str, front: str, notes: list[str]) -> Iterator[tuple[str, ImageSource]]:
    """The pictures of an archive; one that can't be read is one picture that can't be read, and stops no other."""
    try:
        for path, image in zipped_images(source, name, notes):
            yield front + path, image
    except InferenceError as error:
        yield name, RefusedImage(str(error))


def _is_zip(place: Path) -> bool:
    try:
        with place.open("rb") as file:
            return file.read(4) in _ZIP_STARTS
    except (OSError, ValueError):
        return False  # the picture's own turn will say what is wrong with it


def _in_folder(top: Path, within: Path | None, notes: list[str]) -> Iterator[tuple[str, Path]]:
    """The pictures below `top` by their path from there, file before folder, each in natural order."""
    limit = (within or top).resolve()
    links: list[str] = []
    archives: list[str] = []
    other: list[str] = []
    deep = False
    waiting: list[tuple[str, int]] = [("", 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            rows = sorted(os.scandir(top / folder), key=lambda row: natural_order(row.name))
        except OSError as error:
            notes.append(f"The folder {visible(folder or str(top), 120)} can't be read: {error.strerror}.")
            continue
        inner: list[tuple[str, int]] = []
        for row in rows:
            path = f"{folder}/{row.name}" if folder else row.name
            if is_clutter(row.name):
                continue
            if row.is_dir(follow_symlinks=False):
                inner.append((path, depth + 1))
            elif row.is_symlink() and not _is_file_inside(Path(row.path), limit):
                links.append(path)
            elif not row.is_file():
                other.append(path)
            elif path.lower().endswith(ARCHIVES):
                archives.append(path)
            elif looks_like_a_picture(path) or _file_begins_like_one(Path(row.path)):
                yield path, Path(row.path)
            else:
                other.append(path)
        deep = deep or (bool(inner) and depth == MAX_DEPTH)
        waiting += reversed(inner if depth < MAX_DEPTH else [])
    where = visible(top.name or str(top), 120)
    for rows_left, what in (
        (links, "links that lead elsewhere or to a folder, not followed"),
        (archives, "archives, not opened: give them by themselves"),
        (other, "files that are no picture"),
    ):
        if rows_left:
            names = ", ".join(visible(path, 60) for path in rows_left[:3]) + (" …" if len(rows_left) > 3 else "")
            notes.append(f"Left out of {where}, {len(rows_left):,}: {what} ({names}).")
    if deep:
        notes.append(f"Folders more than {MAX_DEPTH} deep in {where} were not searched.")


def _is_file_inside(link: Path, limit: Path) -> bool:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # it leads nowhere, or in a circle
        return False
    return target.is_file() and target.is_relative_to(limit)


def _file_begins_like_one(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return begins_like_a_picture(file.read(16))
    except OSError:
        return False


def _top(place: Path) -> Path:
    """What the names of the pictures in `place` are below."""
    path = Path(os.path.abspath(place))  # noqa: PTH100  `resolve` would follow a link, and rename what was given
    return path if place.is_dir() or _is_zip(place) else path.parent


def _common_folder(tops: Sequence[Path]) -> Path | None:
    """The folder that holds all of `tops`; None where they are one, or have none in common."""
    if len(set(tops)) < 2:
        return None
    try:
        return Path(os.path.commonpath(tops))
    except ValueError:
        return Path(tops[0].anchor)


def _below(base: Path, top: Path) -> str:
    try:
        below = top.relative_to(base).as_posix()
    except ValueError:
        return top.as_posix()
    return "" if below == "." else below


def _named(found: Sequence[tuple[str, ImageSource]]) -> tuple[NamedImage, ...]:
    """Each picture under a name that no other has: a repeated one gets a number."""
    seen: dict[str, int] = {}
    images: list[NamedImage] = []
    for name, source in found:
        free, number = name, seen.get(name, 0)
        while free in seen:
            number += 1
            free = f"{name} ({number + 1})"
        seen[name] = number
        seen.setdefault(free, 0)
        images.append(NamedImage(free, source))
    return tuple(images)


def counted(collection: Collection) -> str:
    """`1,000 pictures in 10 folders`."""
    folders = {image.name.rpartition("/")[0] for image in collection.images} - {""}
    pictures = plural(len(collection.images), "picture")
    return f"{pictures} in {plural(len(folders), 'folder')}" if folders else pictures
