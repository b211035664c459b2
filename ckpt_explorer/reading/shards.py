"""A checkpoint in several files, opened as one: an index that says which key lies in which file, or numbered files.

Source: transformers' `*.index.json` (`{"metadata": ..., "weight_map": {key: file}}`), and its shards' names
(`model-00001-of-00003.safetensors`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from ckpt_explorer.checkpoint import Checkpoint, Entry, StateDict, TensorInfo
from ckpt_explorer.errors import Diagnosis, NotACheckpoint
from ckpt_explorer.reading.refusals import damaged
from ckpt_explorer.reading.sources.folder import Folder
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.text import bytes_as_text, listed, plural, visible

MAX_INDEX = 100_000_000
MAX_SHARDS = 10_000
_NUMBERED = re.compile(r"(?P<stem>.*?)[-_.](?P<number>\d{2,6})[-_]of[-_](?P<count>\d{2,6})(?P<end>\.[A-Za-z.]+)?$")

Shards = dict[str, list[str] | None]
"""Files of a folder, each with the keys that it is said to hold; None where nobody says."""


def shards_of_index(folder: Folder, index: str) -> Shards:
    """The shards that an index names, as files of `folder`.

    Raises:
        SourceError: there is no such index.
        CorruptCheckpoint: it is no index, or names files outside of the folder.
        NotACheckpoint: F15, some of its files are not there.
    """
    source = folder.open(index)
    if source.size > MAX_INDEX:
        raise damaged(source, f"an index of {bytes_as_text(source.size)}")
    try:
        found = json.loads(bytes(source.view()))
        weight_map = found["weight_map"]
        rows = [(key, file) for key, file in weight_map.items() if isinstance(file, str)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise damaged(source, 'it is no index of shards: its "weight_map" is missing or no mapping') from None
    if not rows or len(rows) != len(weight_map):
        raise damaged(source, 'its "weight_map" does not give a file for each key')
    return _present(folder, source, index, rows)


def _present(folder: Folder, source: Source, index: str, rows: list[tuple[str, str]]) -> Shards:
    keys: dict[str, list[str]] = {}
    for key, file in rows:
        keys.setdefault(file, []).append(key)
    if len(keys) > MAX_SHARDS:
        raise damaged(source, f"it names {len(keys):,} files")
    places = {file: folder.beside(index, file) for file in keys}
    outside = [file for file in keys if file.startswith("/") or ".." in re.split(r"[/\\]", file) or ":" in file]
    if outside:
        raise damaged(source, f"it names a file outside of its folder: {listed(outside)}")
    missing = [file for file, place in places.items() if place is None]
    if missing:
        raise NotACheckpoint(
            Diagnosis(
                "F15",
                f"{visible(source.name)} is the index of {plural(len(keys), 'part')}, of which {plural(len(missing), 'is', 'are')} not beside it: {listed(missing)}",
                "put all parts into one folder with the index, and give the index or the folder; on the page, drop them together.",
            )
        )
    return {place: keys[file] for file, place in places.items() if place is not None}


def numbered_shards(folder: Folder) -> Shards | None:
    """The files of a folder that count up as parts of one checkpoint; None where there are none, or not all of them."""
    sets: dict[tuple[str, str, str], list[str]] = {}
    for file in folder:
        found = _NUMBERED.fullmatch(file)
        if found and int(found["count"]) > 1:
            sets.setdefault((found["stem"], found["count"], found["end"] or ""), []).append(file)
    for (_, count, _), files in sets.items():
        if len(files) == int(count):
            return dict.fromkeys(sorted(files))
    return None


def part_of_many(name: str) -> Diagnosis | None:
    """F15: a word on a single file whose name says that it is one of several parts."""
    found = _NUMBERED.fullmatch(name)
    if not found or int(found["count"]) < 2:
        return None
    return Diagnosis(
        "F15",
        f"{visible(name)} is part {int(found['number']):,} of {int(found['count']):,}: it holds some of the weights",
        "put all parts into one folder and give the folder or its index; on the page, drop them together.",
    )


def open_shards(
    folder: Folder, shards: Shards, open_source: Callable[[Source], Checkpoint], salvage: bool, index: str = ""
) -> Checkpoint:
    """All shards as one checkpoint with one state dict.

    Raises:
        CorruptCheckpoint: a shard is broken, lacks a key that the index promises, or two hold the same key. With
            `salvage`, missing keys are lost instead.
    """
    tensors: dict[str, TensorInfo] = {}
    opened: list[Checkpoint] = []
    lost: list[str] = []
    for file, keys in shards.items():
        shard = open_source(folder.open(file))
        opened.append(shard)
        state_dict = shard.state_dict
        absent = [key for key in keys or () if key not in state_dict]
        lost.extend(absent)
        if absent and not salvage:
            raise damaged(folder.open(file), f"its index promises {listed(absent)}, which is not in it")
        for key, info in state_dict.items():
            if key in tensors:
                raise damaged(folder.open(file), f"the key {visible(key)!r} is in another part too")
            tensors[key] = info
    return _merged(folder, index, shards, opened, tensors, lost)


def _merged(
    folder: Folder,
    index: str,
    shards: Shards,
    opened: list[Checkpoint],
    tensors: dict[str, TensorInfo],
    lost: list[str],
) -> Checkpoint:
    whole = StateDict("", tensors)
    formats = sorted({shard.format for shard in opened})
    globals_ = {row.name: row for shard in opened for row in shard.globals}
    notes = {(row.id, row.next): row for shard in opened for row in shard.diagnoses if row.id not in ("F15",)}
    entries = [
        Entry("(top)", "state dict", f"{plural(len(whole), 'tensor')} in {len(shards):,} files", len(whole), whole.size)
    ]
    for file, shard in zip(shards, opened, strict=True):
        part = shard.state_dict
        entries.append(Entry(visible(file), "part", plural(len(part), "tensor"), len(part), part.size))
    return Checkpoint(
        name=(index.rpartition("/")[2] or folder.name),
        format=f"{' and '.join(formats)}, in {len(shards):,} parts",
        size=sum(shard.size for shard in opened),
        state_dicts=(whole,),
        selected="",
        entries=tuple(entries),
        globals=tuple(globals_.values()),
        diagnoses=tuple(notes.values()),
        written_by=opened[0].written_by,
        lost=tuple(lost),
        parts=tuple(part for shard in opened for part in shard.parts),
    )
