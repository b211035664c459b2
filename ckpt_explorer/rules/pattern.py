"""Patterns with holes: whole dotted segments, numbers that are captured, and texts to choose from.

`res{n}.{i}.` matches `res` and a number as one segment, then a segment that is a number. `{n:3-6}` catches a number
from 3 to 6, and `{i:a-d}` one letter, which counts from a = 0. `{gamma|kernel}` is one of these texts. A pattern
matches anywhere in a key at the borders of segments; `^` holds it to the start and `$` to the end. `*` stands for one
whole segment. A pattern that ends in a dot, an underscore, a slash, a dash or a colon needs something behind it, and one
that begins with one of these, a dot excepted, may stand inside a segment. What a match becomes is in `replacement`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import regex

from ckpt_explorer.errors import RuleError
from ckpt_explorer.text import visible

JOINTS = ("_", "/", "-", ":")
"""Marks that join words inside of a segment."""
MAX_PATTERN = 500
MAX_KEY = 4096
MAX_RANGE = 1000
"""Numbers that a hole with a range may stand for."""

HOLE = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"([a-z][a-z0-9_]*)(?::(?:([0-9]{1,9})-([0-9]{1,9})|([a-z])-([a-z])|([A-Z])-([A-Z])))?$")


class Rewrite(NamedTuple):
    """A rule made ready: `apply` gives a key's new name, or None where the rule does not apply.

    Every key that it can touch holds the text `holds`, and ends with one of `ends` where there are any. `quick` says
    that no key can make it slow; where it is not, the seconds that `apply` is given are its limit.
    """

    apply: Callable[[str, float], str | None]
    holds: str = ""
    quick: bool = True
    ends: tuple[str, ...] = ()

    def __call__(self, key: str, seconds: float) -> str | None:
        """The new name of one key."""
        return self.apply(key, seconds)


class Pattern(NamedTuple):
    """A compiled pattern, the names of its holes, the texts of its choices, and what every key has in which it is found.

    `holds` is a text that such a key holds, `ends` are texts with one of which it ends, where the pattern says so.
    Where every hole is followed by what it can't catch, nothing is tried twice: `quick`, and Python's own engine does.
    """

    text: str
    compiled: re.Pattern[str] | regex.Pattern[str]
    holes: tuple[str, ...]
    holds: str
    quick: bool
    choices: tuple[tuple[str, ...], ...] = ()
    ends: tuple[str, ...] = ()

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
    choices: list[tuple[str, ...]] = []
    parts, pieces, position = [], [], 0
    for found in HOLE.finditer(body):
        pieces.append(body[position : found.start()])
        parts.append(_literal(pieces[-1]))
        position = found.end()
        if "|" in found[1]:
            parts.append(f"(?P<{choice_name(len(choices))}>{_one_of(found[1])})")
            choices.append(tuple(found[1].split("|")))
            continue
        hole = _NAME.match(found[1].strip())
        if not hole:
            raise RuleError(
                f"{{{visible(found[1], 40)}}} is no hole: a hole captures a number under a name, such as {{n}}, {{n:3-6}} or {{i:a-d}}, or one of several texts, such as {{gamma|kernel}}."
            )
        parts.append(rf"(?P={hole[1]})" if hole[1] in holes else rf"(?P<{hole[1]}>{_caught(hole)})")
        holes.append(hole[1])
    pieces.append(body[position:])
    if set("{}") & set(HOLE.sub("", body)):
        raise RuleError(f"The pattern {visible(text, 80)!r} has a brace without its partner.")
    parts.append(_literal(pieces[-1]))
    front = "^" if at_start else "" if body.startswith(JOINTS) else r"(?<![^./])"
    back = "$" if at_end else "" if body.endswith((".", *JOINTS)) else r"(?=[./]|$)"
    holds = max((part for piece in pieces for part in piece.split("*")), key=len)
    quick = len(set(holes)) == len(holes) and _tries_nothing_twice(body, front)
    engine = (re.compile if quick else regex.compile)(front + "".join(parts) + back)
    ends = choices[-1] if at_end and body.endswith("}") and choices and "|" in body[body.rindex("{") :] else ()
    return Pattern(text, engine, tuple(dict.fromkeys(holes)), holds, quick, tuple(choices), ends)


def choice_name(number: int) -> str:
    """The name of a choice's group in the regular expression: no hole can have it."""
    return f"_{number}"


def _one_of(inside: str) -> str:
    """Several texts, the longest first: of `conv1.norm` and `conv1` the one that says more is tried first.

    Raises:
        RuleError: one of them is empty, is there twice, or is no plain text.
    """
    texts = inside.split("|")
    if not all(texts) or len(set(texts)) < len(texts) or "*" in inside:
        raise RuleError(
            f"{{{visible(inside, 60)}}} is no choice: write different plain texts with a bar between them, such as {{gamma|kernel}}."
        )
    return "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))


def _tries_nothing_twice(body: str, front: str) -> bool:
    """Whether what stands behind each hole and star can't be caught by it, so that no engine goes back and forth."""
    if "*" in body and not front:
        return False
    if any(mark == "*" and body[at + 1 : at + 2] not in ("", ".", "/") for at, mark in enumerate(body)):
        return False
    for found in HOLE.finditer(body):
        if "|" in found[1]:
            continue
        behind = HOLE.match(body, found.end())
        if _is_letter(found[1]) or (behind and _is_letter(behind[1])):
            continue
        starts = behind[1].split("|") if behind else [body[found.end() :]]
        if (behind and "|" not in behind[1]) or any(start[:1].isdigit() or start[:1] == "*" for start in starts):
            return False
    return True


def _is_letter(inside: str) -> bool:
    """Whether a hole catches one letter."""
    found = _NAME.match(inside.strip())
    return found is not None and bool(found[4] or found[6])


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
