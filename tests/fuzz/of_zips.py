"""Damage at the level of a zip archive's fields: headers that disagree, sizes that lie, records that overlap."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from tests.fuzz.of_bytes import NUMBERS

STORED, DEFLATED = 0, 8


@dataclass(frozen=True)
class Header:
    """What is said of one record, in one of the two places that say it."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    extra: bytes = b""


@dataclass(frozen=True)
class Member:
    """One record: its bytes as they lie in the file, what its own header says, and what the directory does."""

    content: bytes
    local: Header
    central: Header
    position: int | None = None
    descriptor: bytes = b""
    comment: bytes = b""


@dataclass
class Archive:
    """An archive that can be written with lies in it. `end` are fields of the end record, by their place in it."""

    members: list[Member]
    end: dict[int, int] = field(default_factory=dict)
    zip64: dict[int, int] | None = None
    comment: bytes = b""
    before: bytes = b""
    gap: bytes = b""


def archive_of(data: bytes) -> dict[str, bytes] | None:
    """The members of an honest archive; None where it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            return {name: opened.read(name) for name in opened.namelist()}
    except Exception:  # noqa: BLE001  a mutant of a mutant: zipfile raises a dozen kinds of errors
        return None


def member(name: str, content: bytes, method: int = STORED) -> Member:
    """An honest record."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush() if method == DEFLATED else content
    said = Header(name.encode("utf-8", "surrogatepass"), 0, method, zlib.crc32(content), len(packed), len(content))
    return Member(packed, said, said)


def written(archive: Archive) -> bytes:
    """The archive as bytes."""
    body = bytearray(archive.before)
    directory = bytearray()
    for row in archive.members:
        here = len(body) if row.position is None else row.position
        head = row.local
        sizes = (head.crc & 0xFFFFFFFF, head.packed & 0xFFFFFFFF, head.size & 0xFFFFFFFF)
        body += struct.pack(
            "<4s5H3I2H", b"PK\x03\x04", 20, head.flags, head.method, 0, 0, *sizes, len(head.name), len(head.extra)
        )
        body += head.name + head.extra + row.content + row.descriptor
        head = row.central
        sizes = (head.crc & 0xFFFFFFFF, head.packed & 0xFFFFFFFF, head.size & 0xFFFFFFFF)
        directory += struct.pack(
            "<4s6H3I5H2I",
            b"PK\x01\x02",
            20,
            20,
            head.flags,
            head.method,
            0,
            0,
            *sizes,
            len(head.name),
            len(head.extra),
            len(row.comment),
            0,
            0,
            0,
            here & 0xFFFFFFFF,
        )
        directory += head.name + head.extra + row.comment
    body += archive.gap
    fields = [0, 0, len(archive.members), len(archive.members), len(directory), len(body), len(archive.comment)]
    start = len(body)
    body += directory
    if archive.zip64 is not None:
        large = [44, 45, 45, 0, 0, len(archive.members), len(archive.members), len(directory), start]
        for place, value in archive.zip64.items():
            if place < 9:
                large[place] = value
        end64 = archive.zip64.get(9, len(body))
        limits = (2**64, 2**16, 2**16, 2**32, 2**32, 2**64, 2**64, 2**64, 2**64)
        body += struct.pack(
            "<4sQ2H2I4Q", b"PK\x06\x06", *(value % most for value, most in zip(large, limits, strict=True))
        )
        body += struct.pack("<4sIQI", b"PK\x06\x07", 0, end64 % 2**64, 1)
    for place, value in archive.end.items():
        fields[place] = value
    limits16 = (2**16, 2**16, 2**16, 2**16, 2**32, 2**32, 2**16)
    body += struct.pack(
        "<4s4H2IH", b"PK\x05\x06", *(value % most for value, most in zip(fields, limits16, strict=True))
    )
    return bytes(body + archive.comment)


def repacked(members: dict[str, bytes], rng: Random) -> bytes:
    """The members as an honest archive, or as one with a wrong checksum or two."""
    rows = [member(name, content, rng.choice((STORED, STORED, STORED, DEFLATED))) for name, content in members.items()]
    if rng.random() < 0.1:
        at = rng.randrange(len(rows))
        rows[at] = replace(rows[at], central=replace(rows[at].central, crc=rng.choice((0, 1))))
    return written(Archive(rows))


def mutated_archive(members: dict[str, bytes], rng: Random) -> tuple[str, bytes]:
    """What was done, and the archive after it."""
    archive = Archive(
        [member(name, content, rng.choice((STORED, STORED, DEFLATED))) for name, content in members.items()]
    )
    names = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        name, change = rng.choice(_CHANGES)
        if archive.members:
            change(archive, rng)
        names.append(name)
    return " and ".join(dict.fromkeys(names)), written(archive)


def _pick(archive: Archive, rng: Random) -> int:
    """One of the members, the pickle more often than others."""
    pickles = [at for at, row in enumerate(archive.members) if row.central.name.endswith(b".pkl")]
    return rng.choice(pickles) if pickles and rng.random() < 0.4 else rng.randrange(len(archive.members))


def _lie(archive: Archive, rng: Random) -> None:
    """Another value in one field, in one header or in both."""
    at = _pick(archive, rng)
    row = archive.members[at]
    name = rng.choice(("flags", "method", "crc", "packed", "size"))
    limit = 2**16 if name in ("flags", "method") else 2**32
    value = rng.choice((*NUMBERS, 8, 9, 14, 99, getattr(row.central, name) + 1)) % limit
    where = rng.choice(("local", "central", "both"))
    for side in ("local", "central"):
        if where in (side, "both"):
            row = replace(row, **{side: replace(getattr(row, side), **{name: value})})
    archive.members[at] = row


def _rename(archive: Archive, rng: Random) -> None:
    at = _pick(archive, rng)
    row = archive.members[at]
    names = (
        row.local.name + b"\0",
        b"",
        b"../../data.pkl",
        b"/etc/x",
        b"\xff\xfe",
        b"a" * 65_000,
        b"archive/data/0",
        row.local.name.upper(),
        b"archive/data.pkl",
        b"x/.data/../data.pkl",
    )
    name = rng.choice(names)
    where = rng.choice(("local", "central", "both"))
    if where != "central":
        row = replace(row, local=replace(row.local, name=name))
    if where != "local":
        row = replace(row, central=replace(row.central, name=name))
    archive.members[at] = row


def _twice(archive: Archive, rng: Random) -> None:
    row = archive.members[_pick(archive, rng)]
    archive.members.insert(rng.randrange(len(archive.members) + 1), row)


def _drop(archive: Archive, rng: Random) -> None:
    del archive.members[_pick(archive, rng)]


def _overlap(archive: Archive, rng: Random) -> None:
    at = _pick(archive, rng)
    place = rng.choice((0, 4, 30, rng.randrange(5000), 2**31, 2**32 - 1, 2**32 - 31))
    archive.members[at] = replace(archive.members[at], position=place)


def _extra(archive: Archive, rng: Random) -> None:
    """A zip64 field, with sizes that are asked for and others."""
    at = _pick(archive, rng)
    row = archive.members[at]
    values = [rng.choice((row.central.size, row.central.packed, *NUMBERS)) % 2**64 for _ in range(rng.randrange(4))]
    raw = struct.pack(f"<2H{len(values)}Q", 1, rng.choice((8 * len(values), 0, 65_535, 7)), *values)
    packed, size = (rng.choice((said, 2**32 - 1)) for said in (row.central.packed, row.central.size))
    large = replace(row.central, extra=raw, packed=packed, size=size)
    archive.members[at] = replace(row, central=large, position=rng.choice((None, None, 2**32 - 1)))


def _end(archive: Archive, rng: Random) -> None:
    archive.end[rng.randrange(7)] = rng.choice(NUMBERS) % 2**32


def _zip64(archive: Archive, rng: Random) -> None:
    archive.zip64 = {rng.randrange(10): rng.choice(NUMBERS) for _ in range(rng.randrange(3))}


def _around(archive: Archive, rng: Random) -> None:
    archive.before = rng.choice((b"", b"MZ" + bytes(100), b"PK\x03\x04"))
    archive.gap = rng.choice((b"", bytes(10), b"PK\x01\x02" + bytes(42)))
    archive.comment = rng.choice((b"", b"PK\x05\x06" + bytes(18), bytes(65_535), b"note"))


def _descriptor(archive: Archive, rng: Random) -> None:
    at = _pick(archive, rng)
    row = archive.members[at]
    head = row.central
    raw = struct.pack("<4s3I", b"PK\x07\x08", head.crc, rng.choice((head.packed, 0, 2**32 - 1)), head.size)
    flagged = replace(row.local, flags=8, crc=0, packed=0, size=0)
    archive.members[at] = replace(row, local=flagged, descriptor=raw[rng.choice((0, 4)) :])


def _bomb(archive: Archive, rng: Random) -> None:
    """A record that unpacks to much more than it claims, or claims what it is."""
    at = _pick(archive, rng)
    grown = member(
        archive.members[at].central.name.decode("utf-8", "replace"),
        rng.choice((bytes, lambda size: b"N0" * (size // 2)))(rng.choice((1, 16, 70)) << 20),
        DEFLATED,
    )
    if rng.random() < 0.5:
        grown = replace(grown, central=replace(grown.central, size=100), local=replace(grown.local, size=100))
    archive.members[at] = grown


def _many(archive: Archive, rng: Random) -> None:
    """Many names for the same bytes."""
    row = archive.members[_pick(archive, rng)]
    for number in range(rng.choice((10, 3000))):
        name = b"archive/x/%d" % number
        archive.members.append(Member(b"", replace(row.local, name=name), replace(row.central, name=name), position=0))


_CHANGES: tuple[tuple[str, Callable[[Archive, Random], None]], ...] = (
    ("lie", _lie),
    ("lie", _lie),
    ("lie", _lie),
    ("rename", _rename),
    ("twice", _twice),
    ("drop", _drop),
    ("overlap", _overlap),
    ("extra", _extra),
    ("end", _end),
    ("zip64", _zip64),
    ("around", _around),
    ("descriptor", _descriptor),
    ("bomb", _bomb),
    ("many", _many),
)
