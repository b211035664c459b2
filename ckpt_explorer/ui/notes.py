"""Diagnoses as notes: what was recognised and the one next step, the gravest first, told by symbol, word and colour."""

from __future__ import annotations

from collections.abc import Iterable

from ckpt_explorer.errors import Diagnosis
from ckpt_explorer.ui import plain

GRAVITY: dict[str, plain.Tone] = {
    "P5": "error",
    "F6": "warning",
    "F4": "warning",
    "F5": "warning",
    "F7": "warning",
    "F15": "warning",
    "F18": "warning",
    "P6": "warning",
    "S4": "warning",
    "S6": "warning",
}
"""What could do harm, and what is damaged or not all there; every other row of the catalogue is a note."""

_GRAVEST_FIRST: tuple[plain.Tone, ...] = ("error", "warning", "note")

_ON_A_PAGE = {
    "choose one with --member, or on the page.": "choose another one above.",
}
"""What is said to those at the command line, and what it is on a page, where it is a button or a menu."""


def show(found: Iterable[Diagnosis], key: str = "diagnosis") -> None:
    """A box each."""
    rows = sorted(found, key=lambda row: _GRAVEST_FIRST.index(tone_of(row.id)))
    for number, row in enumerate(rows):
        plain.say(sentence(row.says, row.next), tone_of(row.id), key=f"{key}-{number}", mark=row.id)


def tone_of(row: str) -> plain.Tone:
    """How grave the row of the catalogue is."""
    return GRAVITY.get(row, "note")


def sentence(says: str, step: str) -> str:
    """What was recognised, and on a line of its own the next step."""
    text = f"{says}{'' if says.endswith(('.', '!', '?')) else '.'}"
    if step:
        is_code = any(sign in step.split(" ", 1)[0][:-1] for sign in "._(")
        text += f"\n→ {step if is_code else step[:1].upper() + step[1:]}"
    for said, here in _ON_A_PAGE.items():
        text = text.replace(said, here)
    return text
