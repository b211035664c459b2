"""The functions that rename keys: by a pattern with holes and its replacement, or by a regular expression."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache

import regex

from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules.pattern import MAX_PATTERN, Rewrite, compiled
from ckpt_explorer.rules.replacement import NoSuchNumber, template
from ckpt_explorer.text import visible

MAX_REPEATS = 1000
"""How often `{n}` repeats may repeat in all: `regex` unrolls them when it compiles, before any time limit counts."""

_REPEAT = re.compile(r"\{\s*(\d+)")
_RECURSION = re.compile(r"\(\?(?:R|&|P>|[+-]?\d)")


@lru_cache(maxsize=64)
def rename(pattern: str, replacement: str) -> Rewrite:
    """The function that renames by a pattern with holes; every place where it matches is replaced.

    Raises:
        RuleError: pattern or replacement is not valid.
    """
    found = compiled(pattern)
    filled = template(replacement, found)
    engine = found.compiled

    def quickly(key: str, _seconds: float) -> str | None:
        try:
            renamed, count = engine.subn(filled, key)
        except NoSuchNumber:
            return None
        return renamed if count else None

    def within(key: str, seconds: float) -> str | None:
        assert isinstance(engine, regex.Pattern)
        try:
            return _substituted(engine, filled, key, seconds)
        except NoSuchNumber:
            return None

    return Rewrite(quickly if found.quick else within, found.holds, found.quick, found.ends)


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
