"""What a pattern's match becomes: text, numbers that were caught with arithmetic on them, and the text that was chosen.

`layer{n-1}.{i}.` writes a number less one; steps are done from left to right, as in `{n+1//4}`. `{n:a}` writes a number
as a letter. `{n//(3,4,6,3)}` is the group, from 0, that a number falls into where 3, 4, 6 and 3 of them stand one
behind the other, and `{n%(3,4,6,3)}` its place in that group; `(4,3x5)` is short for `(4,3,3,3,3,3)`. `{weight|bias}` is the text that stands where the one
that was found stands in the pattern's own choice.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import regex

from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules.pattern import HOLE, MAX_PATTERN, Pattern, choice_name
from ckpt_explorer.text import visible

MAX_DIGITS = 18
"""Digits of a number that can be computed with; longer ones are no block numbers."""

MOST_REMEMBERED = 2_000
"""Numbers caught by a pattern of which it is remembered what they become."""

Amount: TypeAlias = int | tuple[int, ...]
Found: TypeAlias = re.Match[str] | regex.Match[str]

_SIZE = r"\d{1,6}(?:x\d{1,3})?"
_AMOUNT = rf"(?:\d{{1,6}}|\(\s*{_SIZE}\s*(?:,\s*{_SIZE}\s*){{0,63}}\))"
_EXPRESSION = re.compile(rf"\s*([a-z][a-z0-9_]*)\s*((?:(?:\+|-|\*|//|%)\s*{_AMOUNT}\s*)*)(:[aA])?$", re.IGNORECASE)
_STEP = re.compile(rf"(\+|-|\*|//|%)\s*({_AMOUNT})")
_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}


class NoSuchNumber(Exception):
    """Arithmetic on a captured number leaves what it may be, or it is too long: the rule does not apply to this key."""


class Hole(NamedTuple):
    """A hole of a replacement: the name it was caught under, steps of arithmetic, and `a` or `A` to write a letter."""

    name: str
    steps: tuple[tuple[str, Amount], ...]
    letter: str


class Chosen(NamedTuple):
    """A choice of a replacement: the group of the pattern's choice, and what each of its texts becomes."""

    group: str
    texts: dict[str, str]


Piece = str | Hole | Chosen


def pieces_of(replacement: str, pattern: Pattern) -> list[Piece]:
    """The replacement as texts, holes and choices.

    Raises:
        RuleError: it is not valid; the text says why.
    """
    if len(replacement) > MAX_PATTERN:
        raise RuleError(f"A replacement has {MAX_PATTERN} characters at most, this one has {len(replacement):,}.")
    pieces: list[Piece] = []
    position = choices = 0
    for found in HOLE.finditer(replacement):
        pieces.append(replacement[position : found.start()])
        position = found.end()
        if "|" in found[1]:
            pieces.append(_chosen(found[1], choices, pattern))
            choices += 1
        else:
            pieces.append(_hole(found[1], pattern))
    pieces.append(replacement[position:])
    if any(isinstance(piece, str) and ("{" in piece or "}" in piece) for piece in pieces):
        raise RuleError(f"The replacement {visible(replacement, 80)!r} has a brace without its partner.")
    if any(isinstance(piece, str) and "*" in piece for piece in pieces):
        raise RuleError("A replacement can't have a *: capture a number with a hole, or use a regular expression.")
    return pieces


def _hole(inside: str, pattern: Pattern) -> Hole:
    expression = _EXPRESSION.match(inside)
    if not expression:
        raise RuleError(
            f"{{{visible(inside, 40)}}} can't be computed: write a hole's name and steps such as {{n-1}}, {{n+4}}, {{n*2}}, {{n//2}}, {{n%2}} or {{n//(3,4,6,3)}}."
        )
    name = expression[1]
    steps = tuple((op, _amount(text)) for op, text in _STEP.findall(expression[2]))
    if name not in pattern.holes:
        known = ", ".join(f"{{{hole}}}" for hole in pattern.holes) or "none"
        raise RuleError(f"The replacement uses {{{name}}}, which the pattern does not capture (it captures {known}).")
    for op, amount in steps:
        if op in ("//", "%") and amount == 0:
            raise RuleError(f"{{{visible(inside, 40)}}} divides by zero.")
        if isinstance(amount, tuple) and op not in ("//", "%"):
            raise RuleError(f"{{{visible(inside, 40)}}} can't be computed: groups stand behind // or % only.")
    return Hole(name, steps, (expression[3] or "")[1:])


def _amount(text: str) -> Amount:
    if not text.startswith("("):
        return int(text)
    sizes: list[int] = []
    for part in text.strip("()").split(","):
        size, _, times = part.partition("x")
        sizes += [int(size)] * int(times or 1)
    return tuple(sizes)


def _chosen(inside: str, number: int, pattern: Pattern) -> Chosen:
    texts = inside.split("|")
    if number >= len(pattern.choices) or len(pattern.choices[number]) != len(texts):
        has = f"has {len(pattern.choices[number])}" if number < len(pattern.choices) else "has no such choice"
        raise RuleError(
            f"{{{visible(inside, 60)}}} has {len(texts)} texts to choose from, and the pattern {has}: each text of the pattern's choice needs the one that it becomes."
        )
    if "*" in inside:
        raise RuleError("A replacement can't have a *: capture a number with a hole, or use a regular expression.")
    return Chosen(choice_name(number), dict(zip(pattern.choices[number], texts, strict=True)))


def template(replacement: str, pattern: Pattern) -> Callable[[Found], str] | str:
    """What is put in a match's place: a text that stands for itself, or a function of what was caught."""
    pieces = pieces_of(replacement, pattern)
    texts = [piece for piece in pieces if isinstance(piece, str)]
    if len(texts) == len(pieces):
        return "".join(texts).replace("\\", "\\\\")
    known: dict[tuple[str | None, ...], str] = {}

    def filled(match: Found) -> str:
        caught = match.groups()
        text = known.get(caught)
        if text is None:
            text = _filled(pieces, match)
            if len(known) < MOST_REMEMBERED:
                known[caught] = text
        return text

    return filled


def _filled(pieces: list[Piece], match: Found) -> str:
    out = []
    for piece in pieces:
        if isinstance(piece, str):
            out.append(piece)
            continue
        if isinstance(piece, Chosen):
            out.append(piece.texts[match[piece.group]])
            continue
        name, steps, letter = piece
        caught = match[name]
        is_letter = caught.isalpha()
        if not steps and not letter and not is_letter:
            out.append(caught)
            continue
        if len(caught) > MAX_DIGITS:
            raise NoSuchNumber
        value = ord(caught.lower()) - ord("a") if is_letter else int(caught)
        for op, amount in steps:
            value = in_groups(op, value, amount) if isinstance(amount, tuple) else _OPERATIONS[op](value, amount)
        if value < 0 or (letter and value >= 26):
            raise NoSuchNumber
        out.append(chr(ord(letter) + value) if letter else str(value))
    return "".join(out)


def in_groups(op: str, value: int, sizes: tuple[int, ...]) -> int:
    """The group that `value` falls into (`//`), or its place in that group (`%`); both count from 0.

    Raises:
        NoSuchNumber: it lies behind the last group, or before the first.
    """
    if value >= 0:
        for group, size in enumerate(sizes):
            if value < size:
                return group if op == "//" else value
            value -= size
    raise NoSuchNumber
