"""From an honest file to a damaged one: what lies in what is opened, one layer is changed, and all is packed again."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random

from tests.fuzz.corpus import Files
from tests.fuzz.of_bytes import mutated_bytes
from tests.fuzz.of_headers import mutated_json, mutated_npy, mutated_safetensors, mutated_tar
from tests.fuzz.of_pickles import mutated_pickle, pickles_of
from tests.fuzz.of_zips import archive_of, mutated_archive, repacked


@dataclass(frozen=True)
class Mutant:
    """A damaged file. `core` is the part that was changed, and `whole` puts any such part where it was."""

    seed: str
    how: str
    core: bytes
    whole: Callable[[bytes], Files]

    @property
    def format(self) -> str:
        """The format of the honest file that it was."""
        return self.seed.partition(":")[0]


_Layer = tuple[str, bytes, Callable[[bytes], bytes]]
"""What was done, the part that was changed, and how it is put where it was."""


def mutant(seeds: Mapping[str, Files], rng: Random) -> Mutant:
    """One damaged file of one of `seeds`; the same for the same state of `rng`."""
    seed = rng.choice(list(seeds))
    files = seeds[seed]
    other = _some_bytes(seeds[rng.choice(list(seeds))], rng)
    if isinstance(files, bytes):
        how, core, whole = _changed(files, other, rng)
        return Mutant(seed, how, core, whole)
    name = rng.choice(list(files))
    how, core, put = _changed(files[name], other, rng)
    left = dict(files)
    if rng.random() < 0.1:
        del left[rng.choice(list(left))]
    return Mutant(seed, f"{name.rpartition('/')[2]}: {how}", core, lambda changed: {**left, name: put(changed)})


def _some_bytes(files: Files, rng: Random) -> bytes:
    return files if isinstance(files, bytes) else files[rng.choice(list(files))]


def _changed(data: bytes, other: bytes, rng: Random, depth: int = 0) -> _Layer:
    """`data` with a change at a level that suits it; in an archive, mostly one in a member of it."""
    if rng.random() < 0.2 or not data:
        return _of_bytes(data, other, rng)
    for begins, change in _LEVELS:
        if begins(data):
            return change(data, other, rng, depth)
    return _of_bytes(data, other, rng)


def _of_bytes(data: bytes, other: bytes, rng: Random) -> _Layer:
    how, changed = mutated_bytes(data, other, rng)
    return f"bytes ({how})", changed, _as_it_is


def _as_it_is(changed: bytes) -> bytes:
    return changed


def _of_zip(data: bytes, other: bytes, rng: Random, depth: int) -> _Layer:
    members = archive_of(data)
    if not members or depth > 3:
        return _of_bytes(data, other, rng)
    if rng.random() < 0.3:
        how, changed = mutated_archive(members, rng)
        return f"zip ({how})", changed, _as_it_is
    state = rng.getrandbits(32)
    name = _member(list(members), rng)
    how, core, put = _changed(members[name], other, rng, depth + 1)
    return f"{name}: {how}", core, lambda changed: repacked({**members, name: put(changed)}, Random(state))


def _member(names: list[str], rng: Random) -> str:
    """One of the members: where there is a pickle, mostly that."""
    pickles = [name for name in names if name.endswith(".pkl")]
    code = [name for name in names if name.endswith((".py", ".npy"))]
    return rng.choice(rng.choice([part for part in (pickles, pickles, pickles, code, names) if part]))


def _of_pickle(data: bytes, other: bytes, rng: Random, _: int) -> _Layer:
    pickles, rest = pickles_of(data)
    if not pickles:
        return _of_bytes(data, other, rng)
    strange, _rest = pickles_of(other)
    at = (
        max(range(len(pickles)), key=lambda index: len(pickles[index]))
        if rng.random() < 0.7
        else rng.randrange(len(pickles))
    )
    how, code = mutated_pickle(pickles[at], rng.choice(strange) if strange else pickles[at], rng)
    before = b"".join(map(b"".join, pickles[:at]))
    after = b"".join(map(b"".join, pickles[at + 1 :])) + rest
    return f"pickle ({how})", b"".join(code), lambda changed: before + changed + after


def _whole(name: str, change: Callable[[bytes, Random], bytes]) -> Callable[[bytes, bytes, Random, int], _Layer]:
    """A level at which all of the file is changed in one step."""
    return lambda data, other, rng, depth: (name, change(data, rng), _as_it_is)  # noqa: ARG005


def _of_tar(data: bytes, other: bytes, rng: Random, depth: int) -> _Layer:
    if rng.random() < 0.4 or depth > 3:
        return "tar header", mutated_tar(data, rng), _as_it_is
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            rows = [
                (row, file.read()) for row in archive.getmembers() if (file := archive.extractfile(row)) is not None
            ]
    except Exception:  # noqa: BLE001  a mutant of a mutant
        rows = []
    if not rows:
        return _of_bytes(data, other, rng)
    at = rng.randrange(len(rows))
    how, core, put = _changed(rows[at][1], other, rng, depth + 1)

    def packed(changed: bytes) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            for index, (row, content) in enumerate(rows):
                now = put(changed) if index == at else content
                member = tarfile.TarInfo(row.name)
                member.size = len(now)
                archive.addfile(member, io.BytesIO(now))
        return file.getvalue()

    return f"{rows[at][0].name}: {how}", core, packed


def _of_packed(
    unpack: Callable[[bytes], bytes], pack: Callable[[bytes], bytes]
) -> Callable[[bytes, bytes, Random, int], _Layer]:
    def changed(data: bytes, other: bytes, rng: Random, depth: int) -> _Layer:
        try:
            inside = unpack(data)
        except Exception:  # noqa: BLE001  a mutant of a mutant
            return _of_bytes(data, other, rng)
        how, core, put = _changed(inside, other, rng, depth + 1)
        return how, core, lambda now: pack(put(now))

    return changed


def _is_tar(data: bytes) -> bool:
    return data[257:262] == b"ustar"


def _is_pickle(data: bytes) -> bool:
    return data[:1] == b"\x80" or (data[:1] in (b"(", b"}", b"]") and data[-1:] == b".")


def _is_safetensors(data: bytes) -> bool:
    return data[8:9] == b"{" and data[3:8] == bytes(5)


_LEVELS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes, bytes, Random, int], _Layer]], ...] = (
    (lambda data: data[:4] == b"PK\x03\x04", _of_zip),
    (_is_tar, _of_tar),
    (lambda data: data[:2] == b"\x1f\x8b", _of_packed(gzip.decompress, gzip.compress)),
    (lambda data: data[:3] == b"BZh", _of_packed(bz2.decompress, bz2.compress)),
    (lambda data: data[:5] == b"\xfd7zXZ", _of_packed(lzma.decompress, lzma.compress)),
    (lambda data: data[:6] == b"\x93NUMPY", _whole("npy header", mutated_npy)),
    (_is_safetensors, _whole("safetensors header", mutated_safetensors)),
    (lambda data: data[:1] == b"{", _whole("json", mutated_json)),
    (_is_pickle, _of_pickle),
)


def smaller(mutant: Mutant, core: bytes) -> Mutant:
    """The same mutant with less of what was changed."""
    return replace(mutant, core=core)
