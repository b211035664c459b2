"""Damage at the level of a pickle's instructions: those that are there are moved, and those that hurt are put between."""

from __future__ import annotations

import io
import pickletools
import struct
from collections.abc import Callable
from random import Random

from tests.fuzz.programs import (
    HARMFUL,
    KNOWN,
    MARKER,
    any_number,
    any_program,
    any_tensor,
    any_value,
    named,
    number,
    text,
)

Instructions = list[bytes]

MAX_INSTRUCTIONS = 20_000


def instructions(data: bytes, start: int = 0) -> tuple[Instructions, int]:
    """The instructions of the pickle at `start`, each with its operands, and where it ends; none where it is none."""
    file = io.BytesIO(data)
    file.seek(start)
    places: list[int] = []
    try:
        for _, _, position in pickletools.genops(file):
            places.append(position or 0)
            if len(places) > MAX_INSTRUCTIONS:
                return [], start
    except Exception:  # noqa: BLE001  a mutant of a mutant: whatever pickletools says of it, it has no instructions
        return [], start
    ends = [*places[1:], file.tell()]
    return [data[place:end] for place, end in zip(places, ends, strict=True)], file.tell()


def pickles_of(data: bytes) -> tuple[list[Instructions], bytes]:
    """All pickles at the start of `data`, one behind the other, and what is behind them (a legacy file's storages)."""
    found: list[Instructions] = []
    position = 0
    while len(found) < 8 and data[position : position + 1] == b"\x80":
        code, end = instructions(data, position)
        if not code:
            break
        found.append(code)
        position = end
    if not found:
        code, position = instructions(data)
        found = [code] if code else []
    return found, data[position:]


def mutated_pickle(code: Instructions, other: Instructions, rng: Random) -> tuple[str, Instructions]:
    """What was done, and the instructions after it."""
    if rng.random() < 0.15:
        return "program", [any_program(rng)]
    names = []
    code = list(code)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        name, change = rng.choice(_CHANGES)
        change(code, other, rng)
        names.append(name)
    return " and ".join(dict.fromkeys(names)), code


def _delete(code: Instructions, _: Instructions, rng: Random) -> None:
    at = rng.randrange(len(code) + 1)
    del code[at : at + rng.choice((1, 1, 1, 2, 5, 40))]


def _duplicate(code: Instructions, _: Instructions, rng: Random) -> None:
    at = rng.randrange(len(code) + 1)
    part = code[at : at + rng.choice((1, 1, 2, 5, 40))]
    code[at:at] = part * (rng.choice((1, 2, 50)) if sum(map(len, part)) < 1000 else 1)


def _swap(code: Instructions, _: Instructions, rng: Random) -> None:
    if len(code) > 1:
        a, b = rng.randrange(len(code)), rng.randrange(len(code))
        code[a], code[b] = code[b], code[a]


def _move(code: Instructions, _: Instructions, rng: Random) -> None:
    at = rng.randrange(len(code) + 1)
    part = code[at : at + rng.choice((1, 3, 10, 40))]
    del code[at : at + len(part)]
    to = rng.randrange(len(code) + 1)
    code[to:to] = part


def _splice(code: Instructions, other: Instructions, rng: Random) -> None:
    start, at = rng.randrange(len(other) + 1), rng.randrange(len(code) + 1)
    code[at:at] = other[start : start + rng.choice((1, 3, 10, 40))]


def _insert(code: Instructions, _: Instructions, rng: Random) -> None:
    code.insert(rng.randrange(len(code) + 1), rng.choice(NASTY)(rng))


def _replace(code: Instructions, _: Instructions, rng: Random) -> None:
    if code:
        code[rng.randrange(len(code))] = rng.choice(NASTY)(rng)


def _operand(code: Instructions, _: Instructions, rng: Random) -> None:
    """Other operands for an instruction that has some: numbers mostly, as shapes, offsets and counts are."""
    numbers = [at for at, raw in enumerate(code) if raw[:1] in b"KMJ\x8aI" and len(raw) > 1]
    texts = [at for at, raw in enumerate(code) if raw[:1] in b"X\x8cU"]
    names = [at for at, raw in enumerate(code) if raw[:1] == b"c"]
    kind = rng.choice([kind for kind in (numbers, numbers, texts, names) if kind] or [[]])
    if kind is numbers and numbers:
        code[rng.choice(numbers)] = number(any_number(rng))
    elif kind and kind is texts:
        code[rng.choice(texts)] = rng.choice(
            (text(str(rng.randrange(6))), code[rng.choice(texts)], text("a\nb\x1b[0m"), any_value(rng, 1))
        )
    elif kind:
        code[rng.choice(names)] = named(rng.choice(KNOWN + HARMFUL))


def _byte(code: Instructions, _: Instructions, rng: Random) -> None:
    if code:
        at = rng.randrange(len(code))
        raw = bytearray(code[at] or b"N")
        raw[rng.randrange(len(raw))] = rng.randrange(256)
        code[at] = bytes(raw)


def _after(code: Instructions, _: Instructions, rng: Random) -> None:
    """Something done to whatever stands on the stack: called, built on, appended to, made a key."""
    value = any_value(rng, 2)
    code.insert(
        rng.randrange(len(code) + 1),
        rng.choice(
            (
                value + b"b",
                value + b"R",
                value + b"a",
                b"2\x86",
                b"Q",
                text("k") + value + b"s",
                b"0" + value,
                b"2s",
                b"2a",
                b"(e",
                b"(u",
                b"2R",
                b"\x81",
                b"\x93",
                b"1",
            )
        ),
    )


_CHANGES: tuple[tuple[str, Callable[[Instructions, Instructions, Random], None]], ...] = (
    ("delete", _delete),
    ("duplicate", _duplicate),
    ("swap", _swap),
    ("move", _move),
    ("splice", _splice),
    ("insert", _insert),
    ("replace", _replace),
    ("operand", _operand),
    ("operand", _operand),
    ("operand", _operand),
    ("byte", _byte),
    ("after", _after),
)


def _length(opcode: bytes, size: int) -> Callable[[Random], bytes]:
    """An instruction that announces more bytes than there are."""

    def made(rng: Random) -> bytes:
        claimed = rng.choice((2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1, 256, 65_537)) % (1 << 8 * size)
        return opcode + claimed.to_bytes(size, "little") + rng.randbytes(8)

    return made


def _many(part: bytes, end: bytes = b"") -> Callable[[Random], bytes]:
    def made(rng: Random) -> bytes:
        times = rng.choice((2, 60, 1000, 20_000))
        return part * times + end * (times - 1)

    return made


NASTY: tuple[Callable[[Random], bytes], ...] = (
    *(_length(opcode, size) for opcode, size in ((b"X", 4), (b"B", 4), (b"\x8b", 4), (b"T", 4), (b"\x8d", 8), (b"\x8e", 8), (b"\x96", 8), (b"\x95", 8), (b"U", 1), (b"C", 1), (b"\x8a", 1))),
    lambda rng: b"r" + struct.pack("<I", rng.choice((2**27, 2**30, 2**32 - 2))),
    lambda rng: b"j" + struct.pack("<I", rng.choice((0, 1, 2**30, 2**32 - 1))),
    lambda rng: rng.choice((b"p", b"g")) + str(rng.choice((0, -1, 2**64, 10**4000))).encode() + b"\n",
    lambda rng: b"I" + b"9" * rng.choice((20, 5000, 70_000)) + b"\n",
    lambda rng: b"L" + b"7" * rng.choice((20, 1024, 5000)) + b"L\n",
    lambda rng: rng.choice((b"Fnan\n", b"Finf\n", b"F1e999\n", b"Fx\n", b"I0x10\n", b"I1_0\n", b"S'\\x1b'\n", b"S'\n", b"V\\U00110000\n", b"I01\n", b"Lx\n", b"I\n")),
    lambda rng: number(rng.choice((10**1000, -(10**1000), 2**63, -1))),
    lambda rng: b"\x8b" + struct.pack("<i", rng.choice((-1, -(2**31), 1024, 1025))) + bytes(1025),
    lambda rng: named(rng.choice(HARMFUL)) + b"(" + text(MARKER) + b"tR",
    lambda rng: b"(" + text(MARKER) + b"i" + "\n".join(rng.choice(HARMFUL)).encode() + b"\n",
    lambda rng: text(rng.choice(HARMFUL)[0]) + text("system") + b"\x93",
    lambda rng: named(rng.choice(KNOWN)) + rng.choice((b")R", b"N\x85R", b")\x81", b")\x81}b", b")R}b")),
    _many(b"]", b"a"),
    _many(b"("),
    _many(b"2\x86"),
    _many(b"\x85"),
    _many(b"}"),
    _many(b")\x8f\x90"),
    _many(b"]2a"),
    _many(b"N}\x86"),
    _many(b"]q\xfa"),
    lambda rng: rng.choice(
        (b"]q\xfa" + b"](h\xfah\xfaeq\xfa" * 60, b"]q\xfbh\xfba", b"}q\xfb" + text("x") + b"h\xfbs", b"]q\xfb(h\xfbtq\xfbR")
    ),
    lambda rng: b"(" + any_value(rng, 2) + any_value(rng, 1) + b"tQ",
    lambda rng: any_value(rng, 3),
    lambda rng: any_tensor(rng),
    lambda rng: rng.choice((b"\x82\1", b"\x83\1\0", b"\x84\xff\xff\xff\xff", b"\x97", b"\x98", b"\x91", b"\x90", b"\x92", b"o", b"l", b"d", b"u", b"e", b"s", b"a", b"t", b"\x80\5", b"\x80\xff", b"\x94", b"1", b"0", b".", b"\xff")),
)  # fmt: skip
"""What is put among the instructions of an honest pickle."""
