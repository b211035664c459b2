"""Damage at the level of what is written in headers: JSON, the literals of NumPy, the numbers of tar."""

from __future__ import annotations

import json
import re
import struct
from random import Random
from typing import Any

from tests.fuzz.of_bytes import NUMBERS

_TEXTS = (
    "",
    "F32",
    "F64",
    "F4",
    "F6_E2M3",
    "X9",
    "a\nb\x1b[2J",
    "../x",
    "/etc/passwd",
    "__metadata__",
    "\u202e",
    "x" * 5000,
    "model.pth",
)
_LITERALS = (
    "[" * 3000,
    "[" * 50_000,
    "1e999",
    "NaN",
    "-Infinity",
    '"\\ud800"',
    "1" + "0" * 5000,
    "{}",
    "[[]]",
    "null",
    "true",
    "1.0",
)


def mutated_json(raw: bytes, rng: Random) -> bytes:
    """The JSON with some of its values, keys or texts changed."""
    try:
        tree = json.loads(raw)
    except ValueError:
        return raw
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change(tree, rng)
    changed = json.dumps(tree)
    if rng.random() < 0.3:
        spots = [found.span() for found in re.finditer(r'\d+|"[^"]*"', changed)]
        start, end = rng.choice(spots or [(0, 0)])
        changed = changed[:start] + rng.choice(_LITERALS) + changed[end:]
    if rng.random() < 0.1:
        changed = changed[:1] + changed[1:-1] + "," + changed[1:]  # every key twice
    return changed.encode("utf-8", "surrogatepass")


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every place of the tree as (container, key)."""
    found, waiting = [], [node]
    while waiting:
        here = waiting.pop()
        keys = list(here) if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
        found += [(here, key) for key in keys]
        waiting += [here[key] for key in keys]
    return found


def _change(tree: Any, rng: Random) -> None:
    places = _places(tree)
    if not places:
        return
    holder, key = rng.choice(places)
    what = rng.randrange(5)
    other, there = rng.choice(places)
    if what == 0:
        holder[key] = rng.choice((*NUMBERS, *_TEXTS, None, [], {}, [0], [1, 2, 3], {"a": 1}, True, 0.5, 10**400))
    elif what == 1:
        holder[key] = json.loads(json.dumps(other[there]))
    elif what == 2:
        del holder[key]
    elif isinstance(holder, dict):
        holder[rng.choice(_TEXTS)] = json.loads(json.dumps(holder[key]))
    elif isinstance(holder[key], int):
        holder[key] += rng.choice((1, -1, 4))


def mutated_safetensors(data: bytes, rng: Random) -> bytes:
    """Another header, its length mended mostly."""
    length = struct.unpack_from("<Q", data)[0]
    header = mutated_json(data[8 : 8 + length], rng)
    header += b" " * (-len(header) % 8)
    said = len(header) if rng.random() < 0.95 else rng.choice(NUMBERS) % 2**64
    return struct.pack("<Q", said) + header + data[8 + length :]


def mutated_npy(data: bytes, rng: Random) -> bytes:
    """Another header, its length mended mostly."""
    header = data[10 : 10 + int.from_bytes(data[8:10], "little")].decode("latin-1")
    for _ in range(rng.choice((1, 1, 2))):
        spots = [found.span() for found in re.finditer(r"\d+|'[^']*'|True|False|\(|\)|,", header)]
        start, end = rng.choice(spots or [(0, 0)])
        values = (*map(str, NUMBERS), "'O'", "'<f4'", "'>V9'", "'|O'", "'<U999999999'", "'S0'", "'<c16'", "(" * 500, "9" * 5000, "__import__('os')", "-0", "1e5", "True", "[('a', '<f4')]", "()", "\\N{x}", "0x10", "'\\x00'", "b'f4'", "3L", "{", "#")  # fmt: skip
        header = header[:start] + rng.choice(values) + header[end:]
    raw = header.encode("latin-1", "replace")
    version = rng.choice((1, 1, 1, 2, 3, 0, 255))
    size = struct.pack(
        "<H" if version == 1 else "<I",
        (len(raw) if rng.random() < 0.9 else rng.choice(NUMBERS)) % (2**16 if version == 1 else 2**32),
    )
    return data[:6] + bytes([version, 0]) + size + raw + data[10 + int.from_bytes(data[8:10], "little") :]


BLOCK = 512
_FIELDS = {"name": (0, 100), "size": (124, 12), "checksum": (148, 8), "kind": (156, 1), "link": (157, 100), "magic": (257, 8), "prefix": (345, 155)}  # fmt: skip
_FIELD_VALUES = {
    "size": (b"77777777777\0", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"\x80" + bytes(11), b"-0000000001\0", b"00000000000\0", b" " * 12, b"9" * 12, b"00000000777 "),
    "kind": (b"0", b"\0", b"1", b"2", b"3", b"5", b"7", b"L", b"K", b"x", b"g", b"S", b"V", b"\xff"),
    "name": (b"../../evil", b"/abs", b"", b"pickle", b"storages", b"tensors", b"sys_info", b"a/" * 49, b"\xff\xfe", b"x\n\x1b"),
}  # fmt: skip


def mutated_tar(data: bytes, rng: Random) -> bytes:
    """Other numbers and names in headers, their checksums mended mostly; or a header before one, that speaks of it."""
    headers = [at for at in range(0, len(data) - BLOCK + 1, BLOCK) if data[at + 257 : at + 262] == b"ustar"]
    if not headers:
        return data
    raw = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.choice(headers)
        name = rng.choice(("size", "size", "kind", "name", "link", "magic", "prefix", "checksum"))
        start, size = _FIELDS[name]
        value = rng.choice(_FIELD_VALUES.get(name, (rng.randbytes(size), bytes(size))))
        raw[at + start : at + start + size] = value[:size].ljust(size, b"\0")
        if rng.random() < 0.85 and name != "checksum":
            _mend(raw, at)
    if rng.random() < 0.3:
        at = rng.choice(headers)
        raw[at:at] = _about_next(bytes(raw[at : at + BLOCK]), rng)
    return bytes(raw)


def _mend(raw: bytearray, at: int) -> None:
    raw[at + 148 : at + 156] = b" " * 8
    raw[at + 148 : at + 156] = b"%06o\0 " % sum(raw[at : at + BLOCK])


def _about_next(header: bytes, rng: Random) -> bytes:
    """A pax or GNU header, with what it says."""
    says = rng.choice(
        (
            b"19 size=4294967296\n",
            b"12 size=-1\n\n",
            b"30 path=../../../../etc/passwd\n",
            b"99999 a=b\n",
            b"0 =\n",
            b"21 GNU.sparse.size=9\n",
            b"long name\0",
            b"16 path=pickle\n\n",
            b"\xff" * 40,
        )
    )
    raw = bytearray(header)
    raw[156:157] = rng.choice((b"x", b"g", b"L", b"K"))
    raw[124:136] = b"%011o\0" % (len(says) if rng.random() < 0.9 else 2**30)
    _mend(raw, 0)
    return bytes(raw) + says + bytes(-len(says) % BLOCK)
