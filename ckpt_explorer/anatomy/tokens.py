"""The tokens of a key: words and numbers, each with the separators in front of it, and the order that names give.

`"".join(tokens(key)) == key` always. Dots, underscores, slashes and the border between a letter and a digit all
separate, so that `layer1_0_conv1`, `layer1.0.conv1` and `layer1/0/conv1` have the same words and numbers.
"""

from __future__ import annotations

import re
from functools import lru_cache

Tokens = tuple[str, ...]

MAX_DIGITS = 9
"""Digits of a number that counts something; a longer run of digits is a word."""

_TOKEN = re.compile(r"[./_:~\- ]*(?:[0-9]+|[^0-9./_:~\- ]+)|[./_:~\- ]+")
_SEPARATORS = "./_:~- "
_ORDINALS = {
    word: number
    for number, words in enumerate(
        ("zero zeroth", "one first", "two second", "three third", "four fourth", "five fifth", "six sixth"), 0
    )
    for word in words.split()
}


@lru_cache(maxsize=1 << 15)
def tokens(text: str) -> Tokens:
    """The tokens of `text`, each with the separators in front of it."""
    return tuple(_TOKEN.findall(text))


@lru_cache(maxsize=1 << 14)
def bare(token: str) -> str:
    """A token without separators, in lower case."""
    return token.strip(_SEPARATORS).lower()


@lru_cache(maxsize=1 << 14)
def number(token: str) -> int | None:
    """The number that a token is, with leading zeros or without, or None."""
    text = token.lstrip(_SEPARATORS)
    if not text.isdigit() or not text.isascii() or len(text) > MAX_DIGITS:
        return None
    return int(text)


@lru_cache(maxsize=1 << 14)
def letter(token: str) -> int | None:
    """The place in the alphabet, from 0, of a token that is one letter; None for any other."""
    text = token.lstrip(_SEPARATORS)
    return ord(text.lower()) - ord("a") if len(text) == 1 and text.isascii() and text.isalpha() else None


Rank = tuple[int, int, str]


@lru_cache(maxsize=1 << 14)
def rank(token: str) -> Rank:
    """Where a token stands among others in its place: numbers by size, `first` and `one` among them, then words."""
    found = number(token)
    if found is None:
        found = _ORDINALS.get(bare(token))
    return (0, found, "") if found is not None else (1, 0, bare(token))


def natural(path: Tokens) -> tuple[tuple[Rank, ...], Tokens]:
    """The sort key of a path: by the ranks of its tokens; of equals, by its text."""
    return tuple(map(rank, path)), path


def counts_up(token: str) -> bool:
    """Whether a token says its own place in an order: a number, a word such as `second`, or a single letter."""
    return rank(token)[0] == 0 or letter(token) is not None


def shared_front(one: Tokens, other: Tokens) -> int:
    """How many tokens two paths share at their start."""
    for position, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return position
    return min(len(one), len(other))
