"""What the pickled formats share: the described objects, the names they import, and where storages lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ckpt_explorer.errors import CorruptCheckpoint, Diagnosis
from ckpt_explorer.reading.pickles.claims import FindStorages
from ckpt_explorer.reading.pickles.constructors import CONSTRUCTORS
from ckpt_explorer.reading.pickles.described import (
    Constructor,
    Global,
    PersistentLoad,
    PickleCutShort,
    PickleError,
    PickleTooLarge,
)
from ckpt_explorer.reading.pickles.grades import asks_for_code
from ckpt_explorer.reading.pickles.inert_pickle import MAX_OPCODES, Shortcut, Walk, walk_pickle
from ckpt_explorer.reading.pickles.numpy_arrays import with_arrays
from ckpt_explorer.reading.pickles.torch_objects import storage_claim
from ckpt_explorer.reading.refusals import cut_short, damaged, too_large
from ckpt_explorer.reading.sources.records import Records
from ckpt_explorer.reading.sources.source import Source


@dataclass(frozen=True)
class PickledFile:
    """The described root object of a file, the globals it names, and where its storages lie.

    `records` are the parts that have checksums. `here` names the storages that a file which was cut short still has,
    where only those are wanted; None where all are. `devices` are those that its storages were saved on.
    """

    root: Any
    globals: dict[str, Global]
    find_storages: FindStorages
    written_by: str
    diagnoses: tuple[Diagnosis, ...] = ()
    records: Records | None = None
    here: frozenset[str] | None = None
    devices: tuple[str, ...] = ()


def walk(
    source: Source,
    data: memoryview | bytes,
    start: int = 0,
    persistent_load: PersistentLoad = storage_claim,
    shortcut: Shortcut | None = None,
    constructors: Mapping[str, Constructor] = CONSTRUCTORS,
    opcodes: int = MAX_OPCODES,
) -> Walk:
    """Describe the pickle at byte `start` of `data`, which is `source` or a record of it, of at most `opcodes` instructions.

    Raises:
        CorruptCheckpoint: cut short (F5), not a pickle that can be described (F18), or either while it asks for code
            that could do harm (P5).
    """
    try:
        walked = walk_pickle(data, constructors, persistent_load, start, shortcut, opcodes, source.given)
    except PickleError as error:
        code = asks_for_code(source.name, error.globals)
        if code is not None:
            raise CorruptCheckpoint(code) from None
        if isinstance(error, PickleCutShort):
            raise cut_short(source, str(error)) from None
        if isinstance(error, PickleTooLarge):
            raise too_large(source, str(error)) from None
        raise damaged(source, str(error)) from None
    walked.root = with_arrays(walked.root, walked.globals)
    return walked


def walk_at(
    source: Source,
    start: int,
    persistent_load: PersistentLoad = storage_claim,
    constructors: Mapping[str, Constructor] = CONSTRUCTORS,
) -> Walk:
    """Describe the pickle at byte `start` of a source, whose end nobody knows: of a remote one, in growing parts."""
    step = source.step
    while step is not None and start + step < source.size:
        try:
            return walk_pickle(source.view(0, start + step), constructors, persistent_load, start)
        except PickleCutShort:
            step *= 4
        except PickleError:
            break
    return walk(source, source.view(), start, persistent_load, constructors=constructors)
