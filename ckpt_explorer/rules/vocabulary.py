"""Words for someone who writes a rule: what the keys of a file or a network are made of, the most frequent first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

MOST = 120
"""Words of each sort that are offered: enough to choose from, few enough to be sent with a page."""

LONGEST = 120
"""Characters of the longest word that is offered."""

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Vocabulary:
    """`prefixes` are starts of keys up to a dot, `segments` what stands between dots, with its dot.

    Segments that differ in their number only are written once, with a hole: `layer{n}.`.
    """

    prefixes: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()


def vocabulary(keys: Iterable[str]) -> Vocabulary:
    """The words of `keys`, those that most keys have first."""
    prefixes: Counter[str] = Counter()
    segments: Counter[str] = Counter()
    for key in keys:
        parts = key[:LONGEST].split(".")
        for depth in range(1, min(len(parts), 4)):
            prefixes[".".join(parts[:depth]) + "."] += 1
        segments.update(f"{part}." for part in parts[:-1] if part)
        segments[parts[-1]] += 1
    return Vocabulary(_most_frequent(prefixes), _most_frequent(_with_holes(segments)))


def _with_holes(segments: Counter[str]) -> Counter[str]:
    """The segments, those of one form under that form where it stands for more than one."""
    forms: dict[str, list[str]] = {}
    for segment in segments:
        if segment.strip(".") and not segment.strip(".").isdigit() and not set("{}*") & set(segment):
            forms.setdefault(_NUMBER.sub("{n}", segment, count=1), []).append(segment)
    return Counter(
        {
            form if len(alike) > 1 else alike[0]: sum(segments[segment] for segment in alike)
            for form, alike in forms.items()
        }
    )


def _most_frequent(words: Counter[str]) -> tuple[str, ...]:
    return tuple(word for word, _ in words.most_common(MOST) if word.isprintable())
