"""How names, sizes and counts are written for a person."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_NUMBER = re.compile(r"(\d+)")
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def visible(untrusted: str, limit: int = 300) -> str:
    """`untrusted` with control, bidirectional and zero-width characters written as escapes, cut at `limit` characters.

    Keys, file names and labels come from people nobody trusts: a raw escape could repaint a terminal, and a
    bidirectional override could make one key look like another.
    """
    cut = untrusted if len(untrusted) <= limit else untrusted[: limit - 1] + "…"
    return _INVISIBLE.sub(
        lambda found: f"\\u{ord(found[0]):04x}" if ord(found[0]) > 255 else f"\\x{ord(found[0]):02x}", cut
    )


def bytes_as_text(size: int) -> str:
    """A number of bytes in the largest unit that keeps it above 1: `130 bytes`, `97.8 MiB`."""
    value = float(min(size, 1 << 80))  # a size that a file claims may have any number of digits
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            return f"{size} {'byte' if size == 1 else 'bytes'}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable: the last unit always returns")


def plural(count: int, noun: str, many: str = "") -> str:
    """`1 tensor`, `3 tensors`, `2 classes` (with `many` where an s does not do it)."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def shape_as_text(shape: Sequence[int] | None) -> str:
    """`(64, 3, 7, 7)`, `()` for a scalar, a dash for none."""
    return "–" if shape is None else f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def listed(names: Iterable[str], limit: int = 3) -> str:
    """`a, b, c and 4 more`: the first `limit` names, made visible."""
    all_names = list(names)
    shown = ", ".join(visible(name) for name in all_names[:limit])
    return shown if len(all_names) <= limit else f"{shown} and {len(all_names) - limit:,} more"


def natural_order(key: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key under which `layer2` comes before `layer10`."""
    return tuple(
        (0, int(part), "") if part.isdigit() and part.isascii() else (1, 0, part) for part in _NUMBER.split(key) if part
    )
