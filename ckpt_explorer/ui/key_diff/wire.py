"""How an alignment travels to the browser: columns of numbers in one run of bytes behind a small JSON header.

What is heavy and stays (the keys of both sides, their shapes and dtypes) is one message, and what a rule changes (who
is paired with whom, and how) another, a few bytes a row. A message that was sent before is not sent again (`sending`).

    4 bytes      length of the header, little-endian
    header       JSON, ASCII; "columns" holds for each column its kind (i4, u2, u1), offset behind the header, length
    columns      one behind the other, each at a multiple of 4
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from ckpt_explorer.alignment import Alignment, Status
from ckpt_explorer.key_pair import SYMBOLS, is_counter

STATUSES: tuple[Status, ...] = tuple(Status)
HARMLESS = 0x40
"""Bit of a row's status: missing, and nobody needs it."""

_KINDS: dict[str, np.dtype[Any]] = {"i4": np.dtype("<i4"), "u2": np.dtype("<u2"), "u1": np.dtype("u1")}


class Part(NamedTuple):
    """A message, and its name: one that holds the same has the same name."""

    name: str
    data: bytes


def packed(kind: str, header: Mapping[str, Any], columns: Mapping[str, np.ndarray[Any, Any]]) -> Part:
    """Header and columns as one run of bytes, named after its kind and what it holds."""
    places: dict[str, list[Any]] = {}
    parts: list[bytes] = []
    offset = 0
    for name, column in columns.items():
        numbers = next(numbers for numbers, dtype in _KINDS.items() if dtype == column.dtype)
        data = column.tobytes()
        places[name] = [numbers, offset, len(column)]
        parts += [data, b"\0" * (-len(data) % 4)]
        offset += len(data) + -len(data) % 4
    body = json.dumps({**header, "columns": places}, separators=(",", ":")).encode("ascii")
    digest = hashlib.blake2b(body, digest_size=12)
    for part in parts:
        digest.update(part)
    name = f"{kind}:{digest.hexdigest()}"
    head = b'{"name":"%s",' % name.encode("ascii") + body[1:]
    head += b" " * (-len(head) % 4)
    return Part(name, b"".join((len(head).to_bytes(4, "little"), head, *parts)))


def base_of(alignment: Alignment) -> Part:
    """Both key lists with shapes and dtypes."""
    source, tree = alignment.state_dict, alignment.architecture.tree
    keys, wanted = list(source), list(tree)
    shapes = _Coded()
    dtypes = _Coded()
    columns = {
        "checkpoint_shape": shapes.column([source[key].shape for key in keys]),
        "checkpoint_dtype": dtypes.column([source[key].dtype for key in keys]),
        "model_shape": shapes.column([tree[key].shape for key in wanted]),
        "model_dtype": dtypes.column([tree[key].dtype for key in wanted]),
    }
    header: dict[str, Any] = {"shapes": [list(shape) for shape in shapes.values], "dtypes": dtypes.values}
    for side, names in (("checkpoint", keys), ("model", wanted)):
        header[f"{side}_keys"], columns[f"{side}_shared"] = front_coded(names)
    return packed("base", header, columns)


def state_of(alignment: Alignment, lit: Iterable[int] = (), before: Alignment | None = None) -> Part:
    """Which key is paired with which, how, and by which rule: a row a KeyPair.

    `lit` are the rows that a rule in the making touches, and `before` the alignment that is in force meanwhile.
    """
    pairs = alignment.pairs
    count = len(pairs)
    keys, renamed, models, statuses, _, _, _, rules, notes_given = zip(*pairs, strict=True) if pairs else ((),) * 9
    place: dict[str | None, int] = {key: at for at, key in enumerate(alignment.state_dict)}
    wanted: dict[str | None, int] = {key: at for at, key in enumerate(alignment.architecture.tree)}
    code = {status: at for at, status in enumerate(STATUSES)}
    notes = _Coded([""])
    named = [
        (at, text)
        for at, (key, text, model) in enumerate(zip(keys, renamed, models, strict=True))
        if text is not None and text not in (model, key)
    ]
    texts, shared = front_coded([text for _, text in named])
    columns = {
        "left": _numbers(map(place.get, keys, repeat(-1)), "i4", count),
        "right": _numbers(map(wanted.get, models, repeat(-1)), "i4", count),
        "status": _numbers(map(code.__getitem__, statuses), "u1", count),
        "rule": _numbers((0 if rule is None else rule + 1 for rule in rules), "u2", count),
        "note": notes.column(_notes(notes_given, keys, alignment)),
        "renamed_row": _numbers((at for at, _ in named), "i4", len(named)),
        "renamed_shared": shared,
    }
    for at in np.flatnonzero(columns["status"] == code[Status.MISSING]).tolist():
        if is_counter(models[at] or ""):
            columns["status"][at] |= HARMLESS
    rows = [row for row in lit if row < count]
    if rows:
        columns["lit"] = np.zeros(count, _KINDS["u1"])
        columns["lit"][rows] = 1
    header: dict[str, Any] = {"notes": notes.values, "renamed": texts, "words": _words(alignment)}
    if before is not None:
        header["was"] = [len(before.rows(status)) for status in STATUSES]
    return packed("state", header, columns)


def front_coded(texts: Sequence[str]) -> tuple[list[str], np.ndarray[Any, Any]]:
    """Each text without the modules that it shares with the one before it, and how many characters these are.

    Only ASCII texts share: JavaScript counts other characters in another way.
    """
    ends, shared = [], []
    before = ""
    for text in texts:
        cut = min(before.rfind(".") + 1, 0xFFFF)
        for _ in range(4):
            if not cut or text.startswith(before[:cut]):
                break
            cut = before.rfind(".", 0, cut - 1) + 1
        if cut and not (text.startswith(before[:cut]) and before.isascii() and text.isascii()):
            cut = 0
        ends.append(text[cut:])
        shared.append(cut)
        before = text
    return ends, _numbers(shared, "u2", len(shared))


class _Coded:
    """Values that repeat, as a list of those there are and numbers into it."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self.values: list[Any] = []
        self.place: dict[Any, int] = {}
        for value in values:
            self.code(value)

    def code(self, value: Any) -> int:
        """The number of `value`."""
        if value not in self.place:
            self.place[value] = len(self.values)
            self.values.append(value)
        return self.place[value]

    def column(self, values: Sequence[Any]) -> np.ndarray[Any, Any]:
        """The numbers of `values`, as small as they can be."""
        numbers = [self.code(value) for value in values]
        kind = "u1" if len(self.values) <= 0x100 else "u2" if len(self.values) <= 0x10000 else "i4"
        return _numbers(numbers, kind, len(numbers))


def _numbers(values: Iterable[int], kind: str, count: int) -> np.ndarray[Any, Any]:
    return np.fromiter(values, _KINDS[kind], count)


def _notes(notes: Sequence[str], keys: Sequence[str | None], alignment: Alignment) -> list[str]:
    by_order = alignment.by_order
    if not by_order:
        return list(notes)
    says = "only the order of names speaks for this pair"
    return [
        "; ".join(part for part in (note, says if key in by_order else "") if part)
        for note, key in zip(notes, keys, strict=True)
    ]


def _words(alignment: Alignment) -> list[list[str]]:
    """Symbol and word of every status; missing keys that are all counters are called so, as no one needs them."""
    missing = alignment.rows(Status.MISSING)
    counters = bool(missing) and all(pair.is_counter for pair in missing)
    words = {Status.MISSING: "missing counters"} if counters else {}
    return [[SYMBOLS[status], words.get(status, str(status))] for status in STATUSES]
