"""Opening: what kind of file is it, who reads it, and what is to be said of it. No code of the file runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.collector import collector_paused
from ckpt_explorer.errors import CorruptCheckpoint, NotACheckpoint, RefusedFile
from ckpt_explorer.reading.as_checkpoint import from_pickled, from_safetensors
from ckpt_explorer.reading.folders import open_folder
from ckpt_explorer.reading.formats.exported import holds_exported, read_exported
from ckpt_explorer.reading.formats.numpy_files import read_npy, read_npz
from ckpt_explorer.reading.formats.plain_pickle import read_plain_pickle
from ckpt_explorer.reading.formats.safetensors import read_safetensors
from ckpt_explorer.reading.formats.torch_legacy import read_torch_legacy
from ckpt_explorer.reading.formats.torch_zip import (
    other_archive,
    pickle_record,
    read_torch_records,
    was_packed_by_hand,
)
from ckpt_explorer.reading.formats.torchscript import read_torchscript
from ckpt_explorer.reading.formats.torchscript_json import read_torchscript_json, torchscript_json_top
from ckpt_explorer.reading.refusals import (
    inside_of,
    nested_too_deep,
    packed_by_hand,
    still_readable,
    unpacked_for_reading,
)
from ckpt_explorer.reading.signature import known_format, recognise, unrecognised
from ckpt_explorer.reading.sources.address import address_of, is_address
from ckpt_explorer.reading.sources.archives import zip_folder
from ckpt_explorer.reading.sources.folder import Folder, folder_at, folder_of_files
from ckpt_explorer.reading.sources.source import Progress, Source, source_of
from ckpt_explorer.reading.sources.tar import tar_folder
from ckpt_explorer.reading.sources.unpacked import first_unpacked, unpacked
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory
from ckpt_explorer.reading.sources.zip_remains import ZipRemains

MAX_DEPTH = 4
"""Archives within archives: one that holds itself would never end."""

Given = str | os.PathLike[str] | bytes | memoryview | Mapping[str, bytes | memoryview]


@dataclass(frozen=True)
class Wanted:
    """How a file is to be opened: which member of an archive, whether what is left of a broken file will do, and how deep
    in archives we are."""

    member: str | None = None
    salvage: bool = False
    progress: Progress | None = None
    depth: int = 0


def open_checkpoint(
    given: Given,
    name: str | None = None,
    *,
    member: str | None = None,
    salvage: bool = False,
    progress: Progress | None = None,
    within: Path | None = None,
    fetch_all: bool = False,
) -> Checkpoint:
    """Open a checkpoint: from a path, a folder, an address, or the buffers that an upload arrived in (with its `name`).

    A path is memory-mapped and a buffer is read where it lies: opening costs what the metadata costs, whatever the file
    weighs. Nothing that the file says is executed, and no tensor is read before it is asked for. A checkpoint inside
    an archive is opened there; `member` says which, where it holds several. With `salvage`, what is left of a file that
    was cut short is opened. Of a file at an address (`https://`, `s3://`, ...) only the parts that are looked at are
    fetched, or all of it with `fetch_all`. `progress` is called while something is fetched or unpacked. Links of a
    folder that lead out of `within` are not followed.

    Raises:
        SourceError: there is no such file, or it may not be read. (NoRanges: only `fetch_all` would open it.)
        NotACheckpoint: it is another kind of file; the text says what, and what to do.
        CorruptCheckpoint: it is cut short or damaged, or its claims contradict its bytes. Where something can still be
            read, `readable` says how much.
    """
    wanted = Wanted(member, salvage, progress)
    with collector_paused():
        if isinstance(given, Mapping):
            return _open_folder(folder_of_files(name or "upload", given), wanted)
        if isinstance(given, str) and is_address(given):
            return _open_address(given, wanted, fetch_all)
        if not isinstance(given, bytes | memoryview) and _is_folder(given):
            return _open_folder(folder_at(Path(given), within), wanted)
        source = source_of(given, name)
        if source.path is not None and source.name.endswith(".index.json"):
            beside = folder_at(source.path.parent, within, deep=False)
            return _open_folder(beside, replace(wanted, member=source.path.name))
        return _open_source(source, wanted)


def _is_folder(given: str | os.PathLike[str]) -> bool:
    try:
        return Path(given).is_dir()
    except (OSError, ValueError):  # a name that no file can have: opening it says so
        return False


def _open_address(address: str, wanted: Wanted, fetch_all: bool) -> Checkpoint:
    from ckpt_explorer.reading.sources.remote import remote_source
    from ckpt_explorer.reading.sources.remote_folder import remote_folder, remote_siblings

    place = address_of(address)
    folder = remote_folder(address, progress=wanted.progress)
    if folder is not None:
        return _open_folder(folder, wanted)
    if place.name.endswith(".index.json"):
        siblings = remote_siblings(address, progress=wanted.progress)
        return _open_folder(siblings, replace(wanted, member=next(iter(siblings))))
    return _open_source(remote_source(place, progress=wanted.progress, fetch_all=fetch_all), wanted)


def _open_folder(folder: Folder, wanted: Wanted) -> Checkpoint:
    if wanted.depth > MAX_DEPTH:
        raise nested_too_deep(source_of(b"", folder.name))
    deeper = replace(wanted, depth=wanted.depth + 1, member=None)
    return open_folder(folder, wanted.member, partial(_open_source, wanted=deeper), wanted.salvage)


def _open_source(source: Source, wanted: Wanted) -> Checkpoint:
    try:
        kind = recognise(source)
        return _OPENERS[kind](source, wanted)
    except CorruptCheckpoint as error:
        if wanted.salvage or source.step is not None or error.diagnosis.id not in ("F4", "F5"):
            raise
        raise _with_what_is_left(source, wanted, error) from None


def _with_what_is_left(source: Source, wanted: Wanted, error: CorruptCheckpoint) -> CorruptCheckpoint:
    """The same refusal, with a word on how much can still be read, where anything can."""
    try:
        left = _open_source(source, replace(wanted, salvage=True))
    except RefusedFile:
        return error
    return still_readable(error, left) if any(map(len, left.state_dicts)) else error


def _open_safetensors(source: Source, wanted: Wanted) -> Checkpoint:
    return from_safetensors(source, read_safetensors(source, wanted.salvage))


def _open_legacy(source: Source, wanted: Wanted) -> Checkpoint:
    return from_pickled(source, "torch legacy", read_torch_legacy(source, wanted.salvage))


def _open_pickle(source: Source, _: Wanted) -> Checkpoint:
    return from_pickled(source, "pickle", read_plain_pickle(source))


def _open_maybe_pickle(source: Source, _: Wanted) -> Checkpoint:
    """Protocols 0 and 1 have no signature: whether it is one, the walk tells."""
    try:
        return from_pickled(source, "pickle", read_plain_pickle(source))
    except CorruptCheckpoint as error:
        raise (error if error.diagnosis.id == "P5" else NotACheckpoint(unrecognised(source))) from None


def _open_npy(source: Source, _: Wanted) -> Checkpoint:
    return from_pickled(source, "npy", read_npy(source))


def _open_zip(source: Source, wanted: Wanted) -> Checkpoint:
    directory = _directory(source, wanted.salvage)
    broken = isinstance(directory, ZipRemains)
    pickle = pickle_record(directory)
    names = directory.records
    if pickle is not None:
        top = pickle.name.removesuffix("data.pkl")
        if f"{top}constants.pkl" in names or names.any_begins(f"{top}code/"):
            return from_pickled(source, "TorchScript", read_torchscript(source, directory, top))
        file = read_torch_records(directory, pickle, broken)
        opened = from_pickled(source, "torch zip", file)
        if was_packed_by_hand(directory, pickle) and not broken:
            opened = replace(opened, diagnoses=(*opened.diagnoses, packed_by_hand(source)))
        return opened
    old_top = torchscript_json_top(directory)
    if old_top is not None:
        return from_pickled(source, "TorchScript", read_torchscript_json(source, directory, old_top))
    if holds_exported(directory):
        return from_pickled(source, "torch.export", read_exported(source, directory))
    if names and all(name.endswith(".npy") for name in names):
        return from_pickled(source, "npz", read_npz(source, directory))
    other = other_archive(directory)
    if other is not None:
        raise NotACheckpoint(other)
    return _open_folder(zip_folder(directory, wanted.progress), wanted)


def _directory(source: Source, salvage: bool) -> ZipDirectory:
    """The archive's directory; with `salvage`, what is left of one whose end is missing."""
    try:
        return ZipDirectory(source)
    except CorruptCheckpoint as error:
        if not salvage or error.diagnosis.id != "F4":
            raise
    return ZipRemains(source)


def _open_tar(source: Source, wanted: Wanted) -> Checkpoint:
    return _open_folder(tar_folder(source), wanted)


def _open_compressed(compression: str) -> Callable[[Source, Wanted], Checkpoint]:
    kind = f"{compression} archive"

    def opened(source: Source, wanted: Wanted) -> Checkpoint:
        if wanted.depth > MAX_DEPTH:
            raise nested_too_deep(source)
        inside = re.sub(r"\.(gz|tgz|bz2|xz)$", "", source.name, flags=re.IGNORECASE)
        start = Source(inside, memoryview(first_unpacked(source, compression)))
        other = known_format(start)
        if other is not None:
            raise inside_of(source.name, kind, NotACheckpoint(other))
        whole = unpacked(source, compression, inside, progress=wanted.progress, salvage=wanted.salvage)
        try:
            found = _open_source(whole, replace(wanted, depth=wanted.depth + 1))
        except RefusedFile as error:
            raise inside_of(source.name, kind, error) from None
        return replace(
            found,
            name=source.name,
            size=source.size,
            format=f"{found.format} in a {kind}",
            diagnoses=(unpacked_for_reading(source, kind), *(row for row in found.diagnoses if row.id != "F17")),
        )

    return opened


_OPENERS: dict[str, Callable[[Source, Wanted], Checkpoint]] = {
    "zip": _open_zip,
    "torch legacy": _open_legacy,
    "safetensors": _open_safetensors,
    "pickle": _open_pickle,
    "maybe a pickle": _open_maybe_pickle,
    "npy": _open_npy,
    "tar": _open_tar,
    "gzip": _open_compressed("gzip"),
    "bzip2": _open_compressed("bzip2"),
    "xz": _open_compressed("xz"),
}
