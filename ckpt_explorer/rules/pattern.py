"""Patterns with holes: whole dotted segments, numbers that are captured, and arithmetic on them.

`res{n}.{i}.` matches `res` and a number as one segment, then a segment that is a number; `layer{n-1}.{i}.` is what
it may become. `{n:3-6}` catches a number from 3 to 6, and `{i:a-d}` one letter, which counts from a = 0; `{n:a}` in
a replacement writes a number as a letter. A pattern matches anywhere in a key at the borders of segments; `^` holds it
to the start and `$` to the end. `*` stands for one whole segment. A pattern that ends in a dot, an underscore or a
slash needs something behind it, and one that begins with an underscore or a slash may stand inside a segment.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import regex

from ckpt_explorer.errors import RuleError
from ckpt_explorer.text import visible

MAX_PATTERN = 500
MAX_KEY = 4096
MAX_REPEATS = 1000
"""How often `{n}` repeats may repeat in all: `regex` unrolls them when it compiles, before any time limit counts."""
MOST_REMEMBERED = 10_000
"""Numbers caught by a pattern of which it is remembered what they become."""
MAX_DIGITS = 18
"""Digits of a number that can be computed with; longer ones are no block numbers."""

_REPEAT = re.compile(r"\{\s*(\d+)")
_RECURSION = re.compile(r"\(\?(?:R|&|P>|[+-]?\d)")

MAX_RANGE = 1000
"""Numbers that a hole with a range may stand for."""

_HOLE = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"([a-z][a-z0-9_]*)(?::(?:([0-9]{1,9})-([0-9]{1,9})|([a-z])-([a-z])|([A-Z])-([A-Z])))?$")
_EXPRESSION = re.compile(r"\s*([a-z][a-z0-9_]*)\s*((?:(?:\+|-|\*|//|%)\s*\d{1,6}\s*)*)(:[aA])?$", re.IGNORECASE)
_STEP = re.compile(r"(\+|-|\*|//|%)\s*(\d+)")
_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}


class Rewrite(NamedTuple):
    """A rule made ready: `apply` gives a key's new name, or None where the rule does not apply.

    Every key that it can touch holds the text `holds`. `quick` says that no key can make it slow; where it is not, the
    seconds that `apply` is given are its limit.
    """

    apply: Callable[[str, float], str | None]
    holds: str = ""
    quick: bool = True

    def __call__(self, key: str, seconds: float) -> str | None:
        """The new name of one key."""
        return self.apply(key, seconds)


class Pattern(NamedTuple):
    """A compiled pattern, the names of its holes, and a text that every key holds in which it is found.

    Where every hole is followed by what it can't catch, nothing is tried twice: `quick`, and Python's own engine does.
    """

    text: str
    compiled: re.Pattern[str] | regex.Pattern[str]
    holes: tuple[str, ...]
    holds: str
    quick: bool

    def found_in(self, key: str, seconds: float) -> bool:
        """Whether it is found in `key`; TimeoutError after so many seconds."""
        if isinstance(self.compiled, re.Pattern):
            return self.compiled.search(key) is not None
        return self.compiled.search(key, timeout=seconds) is not None


@lru_cache(maxsize=1 << 10)
def compiled(text: str) -> Pattern:
    """Compile a pattern with holes.

    Raises:
        RuleError: it is empty, too long, or a hole is no name; the text says which.
    """
    if not text.strip("^$. "):
        raise RuleError("A pattern can't be empty: write the segments to look for, such as 'shortcut.'.")
    if len(text) > MAX_PATTERN:
        raise RuleError(f"A pattern has {MAX_PATTERN} characters at most, this one has {len(text):,}.")
    body = text.removeprefix("^").removesuffix("$")
    at_start, at_end = text.startswith("^"), text.endswith("$")
    holes: list[str] = []
    parts, pieces, position = [], [], 0
    for found in _HOLE.finditer(body):
        hole = _NAME.match(found[1].strip())
        if not hole:
            raise RuleError(
                f"{{{visible(found[1], 40)}}} is no hole: a hole captures a number under a name, such as {{n}}, {{n:3-6}} or {{i:a-d}}."
            )
        pieces.append(body[position : found.start()])
        parts.append(_literal(pieces[-1]))
        parts.append(rf"(?P={hole[1]})" if hole[1] in holes else rf"(?P<{hole[1]}>{_caught(hole)})")
        holes.append(hole[1])
        position = found.end()
    pieces.append(body[position:])
    if set("{}") & set(_HOLE.sub("", body)):
        raise RuleError(f"The pattern {visible(text, 80)!r} has a brace without its partner.")
    parts.append(_literal(pieces[-1]))
    front = "^" if at_start else "" if body.startswith(("_", "/")) else r"(?:^|(?<=[./]))"
    back = "$" if at_end else "" if body.endswith((".", "_", "/")) else r"(?=[./]|$)"
    holds = max((part for piece in pieces for part in piece.split("*")), key=len)
    quick = len(set(holes)) == len(holes) and _tries_nothing_twice(body, front)
    engine = re.compile if quick else regex.compile
    return Pattern(text, engine(front + "".join(parts) + back), tuple(dict.fromkeys(holes)), holds, quick)


def _tries_nothing_twice(body: str, front: str) -> bool:
    """Whether what stands behind each hole and star can't be caught by it, so that no engine goes back and forth."""
    if "*" in body and not front:
        return False
    behind_holes = [body[found.end() :][:1] for found in _HOLE.finditer(body)]
    behind_stars = [body[at + 1 : at + 2] for at, mark in enumerate(body) if mark == "*"]
    return not any(mark.isdigit() or mark in ("{", "*") for mark in behind_holes if mark) and all(
        mark in ("", ".", "/") for mark in behind_stars
    )


def _caught(hole: re.Match[str]) -> str:
    """What a hole stands for: any number, a number of a range, or one letter of a range."""
    low, high = hole[2], hole[3]
    if low is not None:
        count = int(high) - int(low) + 1
        if not 1 <= count <= MAX_RANGE:
            raise RuleError(f"{{{hole[0]}}} must go up, over {MAX_RANGE:,} numbers at most.")
        return f"(?:{'|'.join(map(str, range(int(low), int(high) + 1)))})(?![0-9])"
    first, last = (hole[4], hole[5]) if hole[4] is not None else (hole[6], hole[7])
    if first is None:
        return "[0-9]+"
    if first > last:
        raise RuleError(f"{{{hole[0]}}} must go up in the alphabet.")
    return f"[{first}-{last}](?![A-Za-z])"


def _literal(text: str) -> str:
    return "".join(r"[^./]+" if part == "*" else re.escape(part) for part in re.split(r"(\*)", text))


def rename(pattern: str, replacement: str) -> Rewrite:
    """The function that renames by a pattern with holes; every place where it matches is replaced.

    Raises:
        RuleError: pattern or replacement is not valid.
    """
    found = compiled(pattern)
    filled = _template(replacement, found)
    engine = found.compiled

    def quickly(key: str, _seconds: float) -> str | None:
        try:
            renamed, count = engine.subn(filled, key)
        except _NoSuchNumber:
            return None
        return renamed if count else None

    def within(key: str, seconds: float) -> str | None:
        assert isinstance(engine, regex.Pattern)
        try:
            return _substituted(engine, filled, key, seconds)
        except _NoSuchNumber:
            return None

    return Rewrite(quickly if found.quick else within, found.holds, found.quick)


class _NoSuchNumber(Exception):
    """Arithmetic on a captured number went below zero, or it is too long: the rule does not apply to this key."""


class Hole(NamedTuple):
    """A hole of a replacement: the name it was caught under, steps of arithmetic, and `a` or `A` to write a letter."""

    name: str
    steps: tuple[tuple[str, int], ...]
    letter: str


def pieces_of(replacement: str, pattern: Pattern) -> list[str | Hole]:
    """The replacement as texts and holes.

    Raises:
        RuleError: it is not valid; the text says why.
    """
    if len(replacement) > MAX_PATTERN:
        raise RuleError(f"A replacement has {MAX_PATTERN} characters at most, this one has {len(replacement):,}.")
    pieces: list[str | Hole] = []
    position = 0
    for found in _HOLE.finditer(replacement):
        expression = _EXPRESSION.match(found[1])
        if not expression:
            raise RuleError(
                f"{{{visible(found[1], 40)}}} can't be computed: write a hole's name and steps such as {{n-1}}, {{n+4}}, {{n*2}}, {{n//2}} or {{n%2}}."
            )
        name, steps = expression[1], tuple((op, int(amount)) for op, amount in _STEP.findall(expression[2]))
        if name not in pattern.holes:
            known = ", ".join(f"{{{hole}}}" for hole in pattern.holes) or "none"
            raise RuleError(
                f"The replacement uses {{{name}}}, which the pattern does not capture (it captures {known})."
            )
        if ("//", 0) in steps or ("%", 0) in steps:
            raise RuleError(f"{{{visible(found[1], 40)}}} divides by zero.")
        pieces += [replacement[position : found.start()], Hole(name, steps, (expression[3] or "")[1:])]
        position = found.end()
    pieces.append(replacement[position:])
    if any(isinstance(piece, str) and ("{" in piece or "}" in piece) for piece in pieces):
        raise RuleError(f"The replacement {visible(replacement, 80)!r} has a brace without its partner.")
    if any(isinstance(piece, str) and "*" in piece for piece in pieces):
        raise RuleError("A replacement can't have a *: capture a number with a hole, or use a regular expression.")
    return pieces


def _template(replacement: str, pattern: Pattern) -> Callable[[re.Match[str] | regex.Match[str]], str] | str:
    """What is put in a match's place: a text that stands for itself, or a function of what was caught."""
    pieces = pieces_of(replacement, pattern)
    texts = [piece for piece in pieces if isinstance(piece, str)]
    if len(texts) == len(pieces):
        return "".join(texts).replace("\\", "\\\\")
    known: dict[tuple[str | None, ...], str] = {}

    def filled(match: re.Match[str] | regex.Match[str]) -> str:
        caught = match.groups()
        text = known.get(caught)
        if text is None:
            text = _filled(pieces, match)
            if len(known) < MOST_REMEMBERED:
                known[caught] = text
        return text

    return filled


def _filled(pieces: list[str | Hole], match: re.Match[str] | regex.Match[str]) -> str:
    out = []
    for piece in pieces:
        if isinstance(piece, str):
            out.append(piece)
            continue
        name, steps, letter = piece
        caught = match[name]
        is_letter = caught.isalpha()
        if not steps and not letter and not is_letter:
            out.append(caught)
            continue
        if len(caught) > MAX_DIGITS:
            raise _NoSuchNumber
        value = ord(caught.lower()) - ord("a") if is_letter else int(caught)
        for op, amount in steps:
            value = _OPERATIONS[op](value, amount)
        if value < 0 or (letter and value >= 26):
            raise _NoSuchNumber
        out.append(chr(ord(letter) + value) if letter else str(value))
    return "".join(out)


def expression(pattern: str, replacement: str) -> Rewrite:
    """The function that renames by a regular expression; `\\1` or `\\g<name>` in the replacement is what a group caught.

    Raises:
        RuleError: pattern or replacement is not valid, or (from the function itself) a key takes too long.
    """
    if not pattern:
        raise RuleError("A regular expression can't be empty.")
    if max(len(pattern), len(replacement)) > MAX_PATTERN:
        raise RuleError(f"A regular expression and its replacement have {MAX_PATTERN} characters at most.")
    if math.prod(max(int(times), 1) for times in _REPEAT.findall(pattern)) > MAX_REPEATS:
        raise RuleError(f"A regular expression repeats {MAX_REPEATS:,} times at most, all its {{n}} together.")
    if _RECURSION.search(pattern):
        raise RuleError("A regular expression can't call itself or one of its groups.")
    try:
        found = regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        raise RuleError(f"{visible(pattern, 80)!r} is no regular expression: {visible(str(error), 120)}.") from None
    try:
        regex.compile(f"{pattern}|").sub(replacement, "")  # the empty match makes it read the replacement's groups
    except (regex.error, IndexError) as error:
        raise RuleError(
            f"The replacement {visible(replacement, 80)!r} is not valid: {visible(str(error), 120)}."
        ) from None

    def rewrite(key: str, seconds: float) -> str | None:
        return _substituted(found, replacement, key, seconds)

    return Rewrite(rewrite, "", False)


def _substituted(
    found: regex.Pattern[str],
    replacement: str | Callable[[regex.Match[str]], str],
    key: str,
    seconds: float,
) -> str | None:
    try:
        renamed, count = found.subn(replacement, key, timeout=seconds)
    except TimeoutError:
        raise RuleError(f"The pattern takes too long on key {visible(key, 80)!r}: make it simpler.") from None
    except (regex.error, IndexError) as error:
        raise RuleError(f"The replacement is not valid: {visible(str(error), 120)}.") from None
    return renamed if count else None
