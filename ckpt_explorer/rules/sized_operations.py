"""Arithmetic that is told how much: rows of a head, channels of a stem. `first 10 rows`, `repeat to 4 channels`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from ckpt_explorer.rules.operation import Operation

MAX_SIZE = 2**20
"""Rows or channels that may be asked for."""


def _first_rows(count: int) -> Operation:
    return Operation(
        lambda s: (count, *s[1:]) if s and s[0] > count else None,
        lambda t: t[:count],
        f"t[:{count}]",
        f"the first {count} classes of a longer list",
        f"t.dim() and t.shape[0] > {count}",
    )


def _last_rows(count: int) -> Operation:
    return Operation(
        lambda s: (count, *s[1:]) if s and s[0] > count else None,
        lambda t: t[t.shape[0] - count :],
        f"t[t.shape[0] - {count} :]",
        f"the last {count} classes of a longer list, such as one that begins with a class for the background",
        f"t.dim() and t.shape[0] > {count}",
    )


def _first_channels(count: int) -> Operation:
    return Operation(
        lambda s: (s[0], count, *s[2:]) if len(s) == 4 and s[1] > count else None,
        lambda t: t[:, :count],
        f"t[:, :{count}]",
        f"the first {count} channels of a stem that takes more",
        f"t.dim() == 4 and t.shape[1] > {count}",
    )


def _repeated_channels(count: int) -> Operation:
    """As timm's `adapt_input_conv` (timm/models/_manipulate.py) does for more than three channels."""
    return Operation(
        lambda s: (s[0], count, *s[2:]) if len(s) == 4 and 0 < s[1] < count else None,
        lambda t: t.repeat(1, -(-count // t.shape[1]), 1, 1)[:, :count] * (t.shape[1] / count),
        f"(t.repeat(1, -(-{count} // t.shape[1]), 1, 1)[:, :{count}] * (t.shape[1] / {count}))",
        f"a stem's channels in turn until there are {count}, scaled so that the sum stays what it was",
        f"t.dim() == 4 and t.shape[1] < {count}",
    )


_SIZED: tuple[tuple[str, Callable[[int], Operation]], ...] = (
    ("first {} rows", _first_rows),
    ("last {} rows", _last_rows),
    ("first {} channels", _first_channels),
    ("repeat to {} channels", _repeated_channels),
)

NAMES = tuple(name.format("N") for name, _ in _SIZED)
"""How they are written, with N for the number."""

_FORMS = tuple((re.compile(re.escape(name).replace(r"\{\}", r"([1-9]\d{0,6})") + "$"), make) for name, make in _SIZED)


@lru_cache(maxsize=64)
def sized_operation(name: str) -> Operation | None:
    """The operation that `name` writes out, or None where it is of no such form."""
    for form, make in _FORMS:
        found = form.match(name)
        if found and int(found[1]) <= MAX_SIZE:
            return make(int(found[1]))
    return None
