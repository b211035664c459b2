"""torch.save's zip archive, as PyTorch writes it since 1.6: `X/data.pkl` beside one record `X/data/N` a storage."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from operator import attrgetter, mul

from ckpt_explorer.checkpoint import Storage
from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.errors import Diagnosis, NotACheckpoint
from ckpt_explorer.reading.pickles.claims import unknown_storage
from ckpt_explorer.reading.pickles.pickled import PickledFile, walk
from ckpt_explorer.reading.pickles.tensor_runs import tensor_shortcut
from ckpt_explorer.reading.pickles.torch_objects import StorageClaim
from ckpt_explorer.reading.refusals import damaged
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.sources.zip_directory import STORED, Record, ZipDirectory
from ckpt_explorer.text import listed, visible

MAX_PICKLE = 512 << 20
MAX_UNPACKED_PICKLE = 64 << 20
SMALL_PICKLE = 8 << 20
"""Below this many bytes a copy is made, which is walked faster than a view of the file."""

_as_storage: Callable[[tuple[object, ...]], Storage] = partial(tuple.__new__, Storage)

_WEIGHTS = re.compile(r"\.(pth|pt|ckpt|th|bin|safetensors|tar|pkl)$", re.IGNORECASE)


def read_torch_zip(source: Source) -> PickledFile:
    """Describe a torch zip archive: reads its directory and its pickle, and no storage.

    Raises:
        NotACheckpoint: a zip archive of another kind (TorchScript, NumPy, Keras, a document, an archive to unpack).
        CorruptCheckpoint: cut short, or its records contradict one another.
    """
    directory = ZipDirectory(source)
    record = _pickle_record(source, directory)
    top = record.name.removesuffix("data.pkl")
    if f"{top}constants.pkl" in directory.records:
        raise NotACheckpoint(
            Diagnosis(
                "F11",
                f"{visible(source.name)} is a TorchScript archive, which holds code beside its weights",
                "save its state dict with torch.save(model.state_dict(), ...), and give that file.",
            )
        )

    find_storages = partial(_storages, directory, f"{top}data/", _says_big_endian(directory, top))
    pickle = directory.read(record, MAX_PICKLE if record.method == STORED else MAX_UNPACKED_PICKLE)
    walked = walk(source, bytes(pickle) if len(pickle) < SMALL_PICKLE else pickle, shortcut=tensor_shortcut())
    return PickledFile(walked.root, walked.globals, find_storages, "torch.save since PyTorch 1.6 (zip)")


def _storages(directory: ZipDirectory, folder: str, big_endian: bool, claims: Sequence[StorageClaim]) -> list[Storage]:
    """The records in `folder` that `claims` name, each checked to be as large as claimed."""
    keys, dtypes, elements, _ = zip(*claims, strict=True)
    found = [directory.records.get(folder + key) for key in keys]
    sizes = list(map(mul, elements, map(ITEM_BYTES.__getitem__, dtypes)))
    for key, record, claimed in zip(keys, found, sizes, strict=True):
        if record is None:
            raise unknown_storage(directory.source, key)
        if not 0 <= claimed <= record.size:
            raise damaged(
                directory.source,
                f"storage {visible(key)!r} should have {visible(format(claimed, ','), 40)} bytes, and its record has {record.size:,}",
            )
    names = map(attrgetter("name"), found)
    reads = map(partial, repeat(directory.first_bytes), found, sizes)
    return list(map(_as_storage, zip(names, sizes, reads, repeat(big_endian), strict=False)))


def _pickle_record(source: Source, directory: ZipDirectory) -> Record:
    """The archive's `data.pkl`, in whatever folder it lies: people unpack and re-zip these files."""
    names = [name for name in directory.records if name == "data.pkl" or name.endswith("/data.pkl")]
    names = [name for name in names if not name.startswith("__MACOSX/")]
    if not names:
        raise NotACheckpoint(_other_archive(source, directory))
    depth = min(name.count("/") for name in names)
    shallow = [name for name in names if name.count("/") == depth]
    if len(shallow) > 1:
        raise damaged(source, f"it has {len(shallow)} pickles where a checkpoint has one: {listed(shallow)}")
    return directory.records[shallow[0]]


def _says_big_endian(directory: ZipDirectory, top: str) -> bool:
    record = directory.records.get(f"{top}byteorder")
    return record is not None and bytes(directory.read(record, 64)).strip() == b"big"


def _other_archive(source: Source, directory: ZipDirectory) -> Diagnosis:
    names, shown = list(directory.records), visible(source.name)
    inside = [name for name in names if _WEIGHTS.search(name)]
    if inside:
        return Diagnosis(
            "F17", f"{shown} is a zip archive with {listed(inside)} in it", "unpack it, and give that file."
        )
    if names and all(name.endswith(".npy") for name in names):
        return Diagnosis(
            "F17",
            f"{shown} is a NumPy archive (.npz) of {len(names):,} arrays",
            "convert its arrays to tensors under their names, and torch.save them.",
        )
    if any(name.endswith((".weights.h5", "keras_metadata.pb")) for name in names):
        return Diagnosis("F17", f"{shown} is a Keras model", "open it with Keras, and save its weights for PyTorch.")
    if "[Content_Types].xml" in names:
        return Diagnosis("F17", f"{shown} is an office document", "give the checkpoint file.")
    held = f"it holds {listed(names)}" if names else "it is empty"
    return Diagnosis(
        "F17",
        f"{shown} is a zip archive without a checkpoint: {held}",
        "give the file that torch.save or safetensors wrote.",
    )
