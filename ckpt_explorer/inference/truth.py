"""Truth: which class each picture really is, from folder names or from a table, as indices of the network's classes."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ckpt_explorer.errors import LabelsError
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.text import bytes_as_text, listed, plural, visible

MAX_FILE_BYTES = 64 * 2**20
MAX_ROWS = 1_000_000

_PICTURE_COLUMNS = ("image", "picture", "file", "filename", "file_name", "path", "name", "id")
_CLASS_COLUMNS = ("label", "class", "truth", "target", "category", "class_name", "label_name")


@dataclass(frozen=True)
class Truth:
    """Class indices by picture name, how classes are called, and sentences on what could not be used.

    `names` are the classes in the order that the indices count, where the truth itself gave that order; else None.
    """

    classes: Mapping[str, int]
    names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def folder_names(images: Iterable[NamedImage]) -> dict[str, str]:
    """The folder that each picture lies in, by the picture's name; those that lie in none are left out."""
    return {image.name: image.folder for image in images if image.folder}


def truth_from_bytes(data: bytes, file_name: str) -> dict[str, str]:
    """What a table says of each picture: CSV with the columns `image,label`, or JSON.

    CSV may be separated by commas, semicolons or tabs; a first line that names its columns says which are meant, else
    they are the first two. JSON is an object from picture to class, or a list of objects with both.

    Raises:
        LabelsError: over 64 MiB, no text, or no such table; the sentence says what is expected.
    """
    shown = visible(file_name, 120)
    if len(data) > MAX_FILE_BYTES:
        raise LabelsError(
            f"{shown} has {bytes_as_text(len(data))}, and a table up to {bytes_as_text(MAX_FILE_BYTES)} is read."
        )
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelsError(f"{shown} is no UTF-8 text (byte {error.start:,}): save it as CSV in UTF-8.") from error
    rows = _json_rows(text, shown) if text.lstrip()[:1] in ("{", "[") else _csv_rows(text, shown)
    found: dict[str, str] = {}
    for name, label in rows:
        if found.setdefault(name, label) != label:
            raise LabelsError(
                f"{shown} says two things of {visible(name, 80)}: {visible(found[name], 60)} and {visible(label, 60)}."
            )
        if len(found) > MAX_ROWS:
            raise LabelsError(f"{shown} has more than {MAX_ROWS:,} rows: give those of these pictures only.")
    if not found:
        raise LabelsError(f"{shown} holds no rows: write image,label on the first line, and a picture on each other.")
    return found


def resolve(
    said: Mapping[str, str], images: Sequence[NamedImage], num_classes: int, names: Sequence[str] | None
) -> Truth:
    """What was said of each picture, as indices of the network's `num_classes` classes, which are called `names`.

    A table's picture is found by its whole name, else by its last part where that is unmistakable. A class is found by
    its name, whatever the case, blanks, hyphens and underscores. Numbers below `num_classes` are indices where no
    class is called so. Where no names fit at all and there are exactly as many classes as the network has, they count
    in the order of their names as text, as torchvision's ImageFolder numbers folders, and it is said.
    """
    of_pictures = _of_pictures(said, images)
    called = sorted(set(of_pictures.values()))
    known = {_bare(name): index for index, name in reversed(list(enumerate(names or ())))}
    found = {label: known[_bare(label)] for label in called if _bare(label) in known}
    order: tuple[str, ...] | None = None
    notes: list[str] = []
    if not found and called and all(_is_index(label, num_classes) for label in called):
        found = {label: int(label) for label in called}
    elif not found and len(called) == num_classes:
        found = {label: index for index, label in enumerate(called)}
        order = tuple(called)
        notes.append(
            f"The {num_classes:,} classes are numbered in the order of their names as text, as torchvision's ImageFolder "
            f"does it: {listed(called, 4)}."
        )
    classes = {picture: found[label] for picture, label in of_pictures.items() if label in found}
    strange = [label for label in called if label not in found]
    if strange:
        lost = len(of_pictures) - len(classes)
        notes.append(
            f"{plural(len(strange), 'name')} {'is' if len(strange) == 1 else 'are'} no class of this network "
            f"({listed(strange, 3)}), so {plural(lost, 'picture')} can't be judged: check the class names."
        )
    without = len(images) - len(of_pictures)
    if of_pictures and without:
        notes.append(f"Of {plural(without, 'picture')} nobody says what it is: not judged.")
    return Truth(classes, order, tuple(notes))


def _of_pictures(said: Mapping[str, str], images: Sequence[NamedImage]) -> dict[str, str]:
    by_last: dict[str, str | None] = {}
    for name, told in said.items():
        last = _last(name)
        by_last[last] = told if by_last.get(last, told) == told else None
    found: dict[str, str] = {}
    for image in images:
        label = said[image.name] if image.name in said else by_last.get(_last(image.name))
        if label is not None:
            found[image.name] = label
    return found


def _last(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _bare(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _is_index(label: str, num_classes: int) -> bool:
    return bool(re.fullmatch("[0-9]{1,7}", label)) and int(label) < num_classes


def _json_rows(text: str, shown: str) -> list[tuple[str, str]]:
    try:
        holds = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LabelsError(f"{shown} begins like JSON and is none ({visible(str(error), 80)}): mend it.") from error
    if isinstance(holds, dict) and all(_is_label(value) for value in holds.values()):
        return [(name, str(value)) for name, value in holds.items()]
    if isinstance(holds, list) and all(isinstance(row, dict) for row in holds):
        rows = [(_first(row, _PICTURE_COLUMNS), _first(row, _CLASS_COLUMNS)) for row in holds]
        if all(_is_label(name) and _is_label(label) for name, label in rows):
            return [(str(name), str(label)) for name, label in rows]
    raise LabelsError(
        f'{shown} is neither an object from picture to class ({{"1.png": "cat"}}) nor a list of '
        f'{{"image": "1.png", "label": "cat"}}: write one of them.'
    )


def _is_label(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _first(row: Mapping[str, Any], columns: Sequence[str]) -> Any:
    return next((row[column] for column in columns if column in row), None)


def _csv_rows(text: str, shown: str) -> list[tuple[str, str]]:
    first = text.lstrip().partition("\n")[0]
    separator = max(",;\t", key=first.count)
    if not first.count(separator):
        raise LabelsError(f"{shown} has one column: write image,label on the first line, and a picture on each other.")
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise LabelsError(f"{shown} is no CSV ({visible(str(error), 80)}): save it as CSV in UTF-8.") from error
    heads = [_bare(cell).replace(" ", "_") for cell in rows[0]]
    picture = next((heads.index(column) for column in _PICTURE_COLUMNS if column in heads), None)
    label = next((heads.index(column) for column in _CLASS_COLUMNS if column in heads), None)
    body = rows[1:] if picture is not None or label is not None else rows
    first_column = 0 if picture is None else picture
    second_column = (1 if first_column == 0 else 0) if label is None else label
    wide = max(first_column, second_column)
    short = next((number for number, row in enumerate(body, 1) if len(row) <= wide), None)
    if short is not None:
        raise LabelsError(f"{shown} has too few columns in row {short:,}: each needs a picture and a class.")
    return [(row[first_column].strip(), row[second_column].strip()) for row in body]
