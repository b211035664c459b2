"""Labels: class names, from the known sets or from a file that somebody wrote, checked against the network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ckpt_explorer.errors import LabelsError
from ckpt_explorer.inference.label_sets import LABEL_SETS, SAFE_BY_COUNT
from ckpt_explorer.text import bytes_as_text, plural, visible

__all__ = ["LABEL_SETS", "check_labels", "default_labels", "labels", "labels_from_bytes", "labels_from_text"]

MAX_FILE_BYTES = 8 * 2**20
MAX_LABELS = 1_000_000
MAX_LABEL_LENGTH = 200
"""Characters; longer names are cut."""

_ENCODINGS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
"""Byte order marks, as Windows editors write them; without one a file is UTF-8."""

_WRAPPERS = ("id2label", "label2id", "class_to_idx", "idx_to_class", "class_names", "classes", "labels", "categories")
"""Keys under which a JSON file may hold its names beside other things: Hugging Face's config.json and its kin."""

_NUMBERED = re.compile(r"""\{?\s*["']?(?P<number>[0-9]{1,7})["']?\s*(?P<sign>[:=\t])\s*(?P<name>\S.*)""")
_NUMBERED_LOOSELY = re.compile(r"(?P<number>[0-9]{1,7})(?:\s*,\s*|\s+)(?P<name>\S.*)")
_SYNSET = re.compile(r"n[0-9]{8}[\s:,]+(?P<name>\S.*)")
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<name>.*)(?P=quote)""")


def labels(name: str) -> tuple[str, ...]:
    """The names of a known set, in the order of training.

    Raises:
        LabelsError: no set has this name.
    """
    if name not in LABEL_SETS:
        raise LabelsError(f"No label set is called {visible(name, 40)!r}: choose {', '.join(LABEL_SETS)}.")
    return LABEL_SETS[name]()


def default_labels(num_classes: int) -> tuple[str, tuple[str, ...]] | None:
    """The set that a network of `num_classes` classes surely means, with its name; None where it is a guess.

    1,000 is ImageNet. 10 is CIFAR-10, or digits, or anything; 100 is CIFAR-100, or ImageNet-100, or a hundred kinds
    of a customer's screws: a wrong name looks like a wrong network, and a number does not.
    """
    name = SAFE_BY_COUNT.get(num_classes)
    return (name, labels(name)) if name else None


def labels_from_bytes(data: bytes, file_name: str) -> tuple[str, ...]:
    """The names in a text or JSON file, see `labels_from_text`. UTF-8, or UTF-16 with a byte order mark.

    Raises:
        LabelsError: over 8 MiB, no text, or as `labels_from_text`.
    """
    shown = visible(file_name, 120)
    if len(data) > MAX_FILE_BYTES:
        raise LabelsError(
            f"{shown} has {bytes_as_text(len(data))}, and a list of names up to {bytes_as_text(MAX_FILE_BYTES)} is read: "
            f"give a text file with one name a line."
        )
    encoding = next((encoding for mark, encoding in _ENCODINGS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise LabelsError(
            f"{shown} is no UTF-8 text (byte {error.start:,}): save it as a text file in UTF-8."
        ) from error
    if "\0" in text:
        raise LabelsError(f"{shown} is no text file (it holds zero bytes): give a text file with one name a line.")
    return labels_from_text(text, file_name)


def labels_from_text(text: str, file_name: str = "The list") -> tuple[str, ...]:
    """The class names in `text`, by index.

    One name a line; each may follow its number (`0 tench`, `0: tench`, `"0": "tench",`) and its WordNet id
    (`n01440764 tench, Tinca tinca`), if every line has one. Or JSON: a list, an object from number to name
    (`{"0": "tench"}`, `{"0": ["n01440764", "tench"]}`), or from name to number. Numbers may start at 0 or 1, come
    in any order, and leave none out. Names come back with control and direction characters written as escapes,
    cut at 200 characters.

    Raises:
        LabelsError: no names, an empty line between names, or numbers that repeat or leave some out.
    """
    shown = visible(file_name, 120)
    stripped = text.lstrip("\ufeff").strip()
    if not stripped:
        raise LabelsError(f"{shown} holds no names: write one a line, in the order of training.")
    names = _from_json(stripped, shown) if stripped[0] in "[{" else _from_lines(text.lstrip("\ufeff"), shown)
    if len(names) > MAX_LABELS:
        raise LabelsError(
            f"{shown} has {len(names):,} names, and up to {MAX_LABELS:,} are read: is it a list of labels?"
        )
    return tuple(visible(name.strip(), MAX_LABEL_LENGTH) for name in names)


def check_labels(names: Sequence[str], num_classes: int, file_name: str = "The list") -> None:
    """Make sure that there is one name for each class.

    Raises:
        LabelsError: too few or too many; the sentence says how many, and what to do.
    """
    if len(names) == num_classes:
        return
    off = abs(len(names) - num_classes)
    if len(names) == num_classes + 1:
        advice = "take out the one that the network does not know; the first might be `background`"
    elif len(names) + 1 == num_classes:
        advice = "add the missing one; a network of TensorFlow's has `background` before all others"
    elif len(names) < num_classes:
        advice = f"add the missing {off:,}, one a line, in the order of training"
    else:
        advice = f"take out the {off:,} that the network was not trained on"
    shown = visible(file_name, 120)
    raise LabelsError(
        f"{shown} has {plural(len(names), 'name')}, and the network {plural(num_classes, 'class', 'classes')}: {advice}."
    )


def _from_json(text: str, shown: str) -> list[str]:
    try:
        holds = json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, shown))
    except (ValueError, RecursionError) as error:
        lines = [line for line in _lines(text) if line.strip("{}, \t")]
        if text.startswith("{") and all(_NUMBERED.match(line.strip()) for line in lines):
            return _from_lines("\n".join(lines), shown)  # a Python dict: {0: 'tench, Tinca tinca', ...
        why = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else "too deep"
        raise LabelsError(
            f"{shown} begins like JSON and is none ({why}): mend it, or write one name a line."
        ) from error
    if isinstance(holds, dict):
        wrapped = next((holds[key] for key in _WRAPPERS if isinstance(holds.get(key), (dict, list))), None)
        holds = holds if wrapped is None else wrapped
    if isinstance(holds, dict):
        return _from_object(holds, shown)
    return [_name(entry, f"entry {position}", shown) for position, entry in enumerate(holds)] or _none(shown)


def _object(pairs: list[tuple[str, Any]], shown: str) -> dict[str, Any]:
    holds = dict(pairs)
    if len(holds) != len(pairs):
        raise LabelsError(f"{shown} gives one number or name twice: {len(pairs):,} entries, {len(holds):,} different.")
    return holds


def _from_object(holds: dict[str, Any], shown: str) -> list[str]:
    if all(isinstance(value, int) and not isinstance(value, bool) for value in holds.values()):
        return _by_number(((number, name) for name, number in holds.items()), shown)
    if all(re.fullmatch("[0-9]{1,7}", key) for key in holds):
        return _by_number(((int(key), _name(value, f"entry {key}", shown)) for key, value in holds.items()), shown)
    raise LabelsError(
        f'{shown} is a JSON object, and neither from number to name ({{"0": "tench"}}) nor from name to number '
        f'({{"tench": 0}}): write one of them, or a list.'
    )


def _name(value: Any, where: str, shown: str) -> str:
    """A text, or the last of a list of texts: Keras has `["n01440764", "tench"]`."""
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        value = value[-1]
    if not isinstance(value, str):
        raise LabelsError(f"{shown} has no name in {where} ({visible(json.dumps(value)[:40])}): write a text there.")
    return value


def _none(shown: str) -> list[str]:
    raise LabelsError(f"{shown} holds no names: write one a line, in the order of training.")


def _lines(text: str) -> list[str]:
    return [line[:2000] for line in re.split(r"\r\n|\r|\n", text)]


def _from_lines(text: str, shown: str) -> list[str]:
    lines = _lines(text)
    while lines and not lines[-1].strip():
        lines.pop()
    filled = [_without_frame(line) for line in lines if line.strip()]
    numbered = _all_match(_NUMBERED, filled)
    if numbered:
        names = _by_number(((int(found["number"]), found["name"]) for found in numbered), shown)
    else:
        loosely = _all_match(_NUMBERED_LOOSELY, filled)
        numbers = sorted(int(found["number"]) for found in loosely)
        if numbers and numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] in (0, 1):
            names = _by_number(((int(found["number"]), found["name"]) for found in loosely), shown)
        else:
            _refuse_empty_lines(lines, shown)
            names = filled
    names = [_unquoted(name) for name in names]
    synsets = _all_match(_SYNSET, names)
    return [found["name"] for found in synsets] if synsets else names


def _without_frame(line: str) -> str:
    """A line of a pasted list or dict without its outer bracket and comma; others as they are."""
    bare = line.strip()
    return bare.rstrip(",").rstrip("}").rstrip() if bare[0] in "\"'{" or bare[-1] == "}" else bare


def _unquoted(name: str) -> str:
    bare = name.rstrip(" ,}") if name[:1] in ("'", '"') else name
    found = _QUOTED.fullmatch(bare)
    return found["name"] if found else name


def _all_match(pattern: re.Pattern[str], lines: Iterable[str]) -> list[re.Match[str]]:
    """The match of every line, or none at all: a format counts if the whole file is written in it."""
    found = []
    for line in lines:
        match = pattern.fullmatch(line)
        if match is None:
            return []
        found.append(match)
    return found


def _refuse_empty_lines(lines: list[str], shown: str) -> None:
    empty = next((number for number, line in enumerate(lines, 1) if not line.strip()), None)
    if empty is not None:
        raise LabelsError(
            f"{shown} has an empty line {empty:,} between names, so it is unclear which class the next one is: "
            f"take the line out, or name the class."
        )


def _by_number(pairs: Iterable[tuple[int, str]], shown: str) -> list[str]:
    names: dict[int, str] = {}
    for number, name in pairs:
        if number in names:
            raise LabelsError(f"{shown} gives number {number} twice: give each class one name.")
        names[number] = name
    first = 1 if names and 0 not in names else 0
    missing = next((number for number in range(first, first + len(names)) if number not in names), None)
    if missing is not None:
        raise LabelsError(f"{shown} has no name for number {missing}: count from 0 and leave none out.")
    return [names[number] for number in sorted(names)] or _none(shown)
