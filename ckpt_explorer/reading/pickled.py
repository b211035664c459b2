"""What the two pickled formats share: the described objects, the names they import, and where storages lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ckpt_explorer.errors import CorruptCheckpoint, Diagnosis
from ckpt_explorer.reading.claims import FindStorage
from ckpt_explorer.reading.inert_pickle import Global, PersistentLoad, PickleCutShort, PickleError, walk_pickle
from ckpt_explorer.reading.source import Source
from ckpt_explorer.reading.torch_objects import CONSTRUCTORS, storage_claim
from ckpt_explorer.reading.zip_directory import damaged
from ckpt_explorer.text import bytes_as_text, visible


@dataclass(frozen=True)
class PickledFile:
    """The described root object of a file, the globals it names, and the function that finds its storages."""

    root: Any
    globals: dict[str, Global]
    storage: FindStorage
    written_by: str


def walk(
    source: Source, data: memoryview, start: int = 0, persistent_load: PersistentLoad = storage_claim
) -> tuple[Any, dict[str, Global], int]:
    """Describe the pickle at byte `start` of `data`, which is `source` or a record of it.

    Raises:
        CorruptCheckpoint: cut short (F5), or not a pickle that can be described (F18).
    """
    try:
        return walk_pickle(data, CONSTRUCTORS, persistent_load, start)
    except PickleCutShort as error:
        raise cut_short(source, str(error)) from None
    except PickleError as error:
        raise damaged(source, str(error)) from None


def cut_short(source: Source, where: str) -> CorruptCheckpoint:
    """The refusal of a file that ends too early."""
    return CorruptCheckpoint(
        Diagnosis(
            "F5",
            f"{visible(source.name)} is cut short at {bytes_as_text(source.size)}: {where}",
            "fetch it again, and compare the size with the one published.",
        )
    )
