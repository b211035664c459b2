"""Is the file what was written? Checksums of every record, the hash in its name, and blocks that look like a bad download.

torch.load leaves the checksums of its archives alone, so a flipped bit loads without a word. Here all are computed. A
format without checksums (safetensors, the legacy one) can only be compared with a hash that somebody published.

Source: the names of torchvision's and OpenMMLab's files end in the first digits of their sha256
(`torch/hub.py`, `HASH_REGEX`); a stored CRC of 0 means that the writer computed none
(`torch.serialization.set_crc32_options`).
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ckpt_explorer.checkpoint import Checkpoint, Part, TensorInfo
from ckpt_explorer.errors import CorruptCheckpoint, Diagnosis
from ckpt_explorer.reading.sources.records import Record, Records
from ckpt_explorer.reading.sources.source import Progress
from ckpt_explorer.text import bytes_as_text, listed, plural, visible

CHUNK = 8 << 20
BLOCK = 4096
"""Bytes of the blocks in which a disk or a download loses things."""

_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.")


@dataclass(frozen=True)
class Damaged:
    """A record whose bytes are not those that were written, and the keys of the tensors in it."""

    record: str
    keys: tuple[str, ...]
    says: str


@dataclass(frozen=True)
class Integrity:
    """What was found when every byte of a checkpoint was looked at.

    `sha256` is of the whole file, as 64 hexadecimal digits; None for a checkpoint in several files. `named` are the digits
    that its name carries. `checked` records agreed with their checksum, of `not_computed` none was stored.
    `zero_blocks` and `repeated_blocks` are keys with how many blocks of 4 KiB in them are empty, or the same as the one
    before: holes of a download, unless somebody pruned or filled the tensor.
    """

    size: int
    sha256: str | None
    named: str | None
    checked: int
    not_computed: int
    damaged: tuple[Damaged, ...]
    zero_blocks: tuple[tuple[str, int], ...]
    repeated_blocks: tuple[tuple[str, int], ...]

    @property
    def name_agrees(self) -> bool | None:
        """Whether the hash in the name is the file's; None where the name carries none."""
        return None if not self.named or not self.sha256 else self.sha256.startswith(self.named)

    @property
    def is_whole(self) -> bool:
        """Nothing contradicts what was written. (Where there is no checksum, nothing could.)"""
        return not self.damaged and self.name_agrees is not False

    @property
    def says(self) -> str:
        """The result in a sentence."""
        if self.damaged:
            keys = [key for row in self.damaged for key in row.keys]
            names = listed(keys or [row.record for row in self.damaged])
            has = "does not have its" if len(self.damaged) == 1 else "do not have their"
            return (
                f"{len(self.damaged):,} of {plural(self.checked + len(self.damaged), 'record')} {has} checksum: {names}"
            )
        if self.name_agrees is False:
            return "the file's sha256 is not the one in its name"
        agrees = ", and the hash in the name is the file's" if self.name_agrees else ""
        if self.checked:
            without = f" ({self.not_computed:,} carry none)" if self.not_computed else ""
            return f"all {plural(self.checked, 'record')} have the checksum that was stored with them{without}{agrees}"
        return f"this format stores no checksums{agrees or ': compare the sha256 with the one published'}"

    def diagnoses(self, name: str) -> tuple[Diagnosis, ...]:
        """What is to be said of it, in the catalogue's words."""
        return tuple(self._diagnoses(visible(name)))

    def _diagnoses(self, name: str) -> Iterator[Diagnosis]:
        if self.damaged:
            yield Diagnosis("F6", f"{name} is damaged: {self.says}", "fetch the file again.")
        if self.name_agrees is False:
            yield Diagnosis(
                "F6",
                f"the name of {name} promises the sha256 {self.named}…, and it is {str(self.sha256)[: len(self.named or '')]}…",
                "fetch the file again; if it was changed on purpose, give it another name.",
            )
        for what, rows in (("empty", self.zero_blocks), ("the same as the one before", self.repeated_blocks)):
            if rows:
                keys = [f"{key} ({count:,})" for key, count in rows]
                yield Diagnosis(
                    "F7",
                    f"blocks of {bytes_as_text(BLOCK)} in {plural(len(rows), 'tensor')} are {what}: {listed(keys)}",
                    "if nobody pruned or filled them, the download has holes: fetch it again.",
                )

    def as_json(self) -> dict[str, Any]:
        """As the command line gives it."""
        return {
            "says": self.says,
            "sha256": self.sha256,
            "named": self.named,
            "name_agrees": self.name_agrees,
            "checked": self.checked,
            "not_computed": self.not_computed,
            "damaged": [{"record": row.record, "keys": list(row.keys), "says": row.says} for row in self.damaged],
            "zero_blocks": dict(self.zero_blocks),
            "repeated_blocks": dict(self.repeated_blocks),
        }


def check_integrity(checkpoint: Checkpoint, progress: Progress | None = None) -> Integrity:
    """Look at every byte of the checkpoint's files: hash them, check every record, look for holes in every tensor.

    Reads each file once more than it has records; of a remote one, all of it is fetched.
    """
    size = sum(part.source.size for part in checkpoint.parts)
    rows = [(part.records, record) for part in checkpoint.parts if part.records for record in _rows(part.records)]
    alone = len(checkpoint.parts) == 1 and size > 0
    steps = _Steps(size * alone + sum(record.size for _, record in rows) or size, progress)
    digest = _sha256(checkpoint.parts[0], steps) if alone else None
    keys = _keys_by_storage(checkpoint)
    checked, not_computed, damaged = 0, 0, []
    for records, record in rows:
        try:
            content = records.read(record)
        except CorruptCheckpoint as error:
            damaged.append(Damaged(record.name, tuple(keys.get(record.name, ())), error.diagnosis.says))
            continue
        finally:
            steps.done(record.size)
        if record.crc or not len(content) or zlib.crc32(content) == 0:
            checked += 1
        else:
            not_computed += 1
    named = _HASH_IN_NAME.search(checkpoint.name.rpartition("/")[2])
    bad = {key for row in damaged for key in row.keys}
    zero, repeated = _blocks(checkpoint, bad)
    return Integrity(
        size, digest, named[1] if named and alone else None, checked, not_computed, tuple(damaged), zero, repeated
    )


def _rows(records: Records) -> list[Record]:
    return list(records.records.values())


class _Steps:
    """Progress over all files."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total, self.progress, self.so_far = total, progress, 0

    def done(self, count: int) -> None:
        self.so_far = min(self.so_far + count, self.total)
        if self.progress and count:
            self.progress(self.so_far, self.total)


def _sha256(part: Part, steps: _Steps) -> str:
    digest = hashlib.sha256()
    for start in range(0, part.source.size, CHUNK):
        piece = part.source.view(start, start + CHUNK)
        digest.update(piece)
        steps.done(len(piece))
    return digest.hexdigest()


def _infos(checkpoint: Checkpoint) -> Iterator[TensorInfo]:
    for state_dict in checkpoint.state_dicts:
        for info in state_dict.values():
            yield from info.composed.parts if info.composed is not None else (info,)


def _keys_by_storage(checkpoint: Checkpoint) -> dict[str, list[str]]:
    keys: dict[str, list[str]] = defaultdict(list)
    for info in _infos(checkpoint):
        keys[info.storage.name].append(info.key)
    return keys


def _blocks(checkpoint: Checkpoint, bad: set[str]) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]:
    """Keys of learned tensors with empty blocks among full ones, and with blocks that repeat the one before."""
    import numpy as np

    zero: list[tuple[str, int]] = []
    repeated: list[tuple[str, int]] = []
    seen: set[tuple[str, int]] = set()
    for info in _infos(checkpoint):
        place = (info.storage.name, info.offset)
        if info.key in bad or place in seen or info.storage.size < 4 * BLOCK or len(info.shape) < 2:
            continue
        seen.add(place)
        try:
            data = info.storage.read()
        except CorruptCheckpoint:
            continue  # it is among the damaged ones, or it is no record of ours: nothing is known of its blocks
        count = len(data) // BLOCK
        blocks = np.frombuffer(data[: count * BLOCK], dtype=np.uint64).reshape(count, -1)
        empty = np.all(blocks == 0, axis=1)
        same = np.all(blocks[1:] == blocks[:-1], axis=1) & ~empty[1:]
        if 0 < int(empty.sum()) < count:
            zero.append((info.key, int(empty.sum())))
        if int(same.sum()):
            repeated.append((info.key, int(same.sum())))
    return tuple(zero), tuple(repeated)
