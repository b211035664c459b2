"""pickle.dump of NumPy arrays or of tensors, with no torch.save around it: Detectron2, Caffe2 and VGGFace2 ship such files.

A tensor's storage is a call to torch's `_load_from_bytes` with a whole legacy file as a byte string: it becomes a claim
on bytes inside this file, as the arrays do.

Source: `torch/storage.py` (`_load_from_bytes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt_explorer.checkpoint import Storage
from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.reading.formats.torch_legacy import read_torch_legacy
from ckpt_explorer.reading.formats.torch_zip import read_torch_zip
from ckpt_explorer.reading.pickles.claims import unknown_storage
from ckpt_explorer.reading.pickles.constructors import CONSTRUCTORS
from ckpt_explorer.reading.pickles.described import Global
from ckpt_explorer.reading.pickles.pickled import PickledFile, walk
from ckpt_explorer.reading.pickles.torch_objects import StorageClaim
from ckpt_explorer.reading.sources.source import Source

LOAD_FROM_BYTES = "torch.storage._load_from_bytes"


def read_plain_pickle(source: Source, start: int = 0, nested: NestedFiles | None = None) -> PickledFile:
    """Describe a plain pickle; its arrays and tensors are views of the file where it holds their bytes as they are.

    Several pickles of one file share `nested`, so that their storages have one name each.

    Raises:
        CorruptCheckpoint: cut short, or not a pickle that can be described.
    """
    found = nested or NestedFiles(source)
    walked = walk(source, source.view(), start, constructors={**CONSTRUCTORS, LOAD_FROM_BYTES: found.storage})
    return PickledFile(walked.root, {**walked.globals, **found.globals}, found.storages, "pickle.dump")


class NestedFiles:
    """The storages that lie in a pickle as whole files of torch's in byte strings."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.globals: dict[str, Global] = {}
        self.places: dict[str, Storage] = {}

    def storages(self, claims: Sequence[StorageClaim]) -> list[Storage]:
        """Where the storages of `claims` lie; a name that a pickle made up leads nowhere."""
        missing = next((claim for claim in claims if claim.key not in self.places), None)
        if missing is not None:
            raise unknown_storage(self.source, missing.key)
        return [self.places[claim.key] for claim in claims]

    def storage(self, arguments: tuple[Any, ...]) -> Any:
        """The storage that `_load_from_bytes` would make: a file of torch.save's, with nothing else in it."""
        try:
            (data,) = arguments
            inside = Source(self.source.name, memoryview(data))
            read = read_torch_zip if bytes(inside.view(0, 4)) == b"PK\x03\x04" else read_torch_legacy
            inner = read(inside)
            (place,) = inner.find_storages([inner.root])
        except (CheckpointExplorerError, TypeError, ValueError, AttributeError):
            self.globals["torch.load"] = Global("torch", "load")  # what would be called on bytes that we can't describe
            return NotImplemented
        self.globals.update(inner.globals)
        key = f"storage {len(self.places)}"
        self.places[key] = place
        return inner.root._replace(key=key)
