"""Damage at the level of bytes: what disks, downloads and attackers do who know nothing of the format."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

NUMBERS = (0, 1, -1, 2, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**27, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1, -(2**63))  # fmt: skip
"""Integers at which programs break."""

MAX_GROWTH = 1 << 16


def mutated_bytes(data: bytes, other: bytes, rng: Random) -> tuple[str, bytes]:
    """What was done, and `data` after it; `other` is a second honest file, for splices."""
    names = []
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        name, change = rng.choice(_CHANGES)
        data = change(data or b"\0", other or b"\0", rng)
        names.append(name)
    return " and ".join(dict.fromkeys(names)), data


def _span(data: bytes, rng: Random) -> tuple[int, int]:
    start = rng.randrange(len(data))
    return start, min(len(data), start + rng.choice((1, 2, 4, 8, 30, 64, 512, 4096)))


def _flip(data: bytes, _: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _set(data: bytes, _: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.choice((0, 255, 0x80, 0x7F, 0x2E, 0x28, rng.randrange(256)))]) + data[at + 1 :]


def _insert(data: bytes, _: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 2, 4, 8, 64))) + data[at:]


def _delete(data: bytes, _: bytes, rng: Random) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _duplicate(data: bytes, _: bytes, rng: Random) -> bytes:
    start, end = _span(data, rng)
    times = min(rng.choice((1, 2, 10, 1000)), MAX_GROWTH // (end - start) + 1)
    return data[:end] + data[start:end] * times + data[end:]


def _splice(data: bytes, other: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :][:MAX_GROWTH]


def _truncate(data: bytes, _: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _zeros(data: bytes, _: bytes, rng: Random) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + bytes(end - start) + data[end:]


def _number(data: bytes, _: bytes, rng: Random) -> bytes:
    size = rng.choice((1, 2, 4, 8))
    at = rng.randrange(max(len(data) - size, 0) + 1)
    raw = struct.pack("<q", rng.choice(NUMBERS) if rng.random() < 0.8 else rng.randrange(len(data) * 2))[:size]
    return data[:at] + (raw if rng.random() < 0.8 else raw[::-1]) + data[at + size :]


def _swap(data: bytes, _: bytes, rng: Random) -> bytes:
    a, b, c = sorted(rng.randrange(len(data) + 1) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


_CHANGES: tuple[tuple[str, Callable[[bytes, bytes, Random], bytes]], ...] = (
    ("flip", _flip),
    ("set", _set),
    ("set", _set),
    ("insert", _insert),
    ("delete", _delete),
    ("duplicate", _duplicate),
    ("splice", _splice),
    ("truncate", _truncate),
    ("zeros", _zeros),
    ("number", _number),
    ("number", _number),
    ("swap", _swap),
)
