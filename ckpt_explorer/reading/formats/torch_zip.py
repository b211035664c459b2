"""torch.save's zip archive, as PyTorch writes it since 1.6: `X/data.pkl` beside one record `X/data/N` a storage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from operator import le, mul

from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.errors import Diagnosis
from ckpt_explorer.reading.pickles.claims import unknown_storage
from ckpt_explorer.reading.pickles.pickled import PickledFile, walk
from ckpt_explorer.reading.pickles.tensor_runs import tensor_shortcut
from ckpt_explorer.reading.pickles.torch_objects import StorageClaim, Storages
from ckpt_explorer.reading.refusals import damaged
from ckpt_explorer.reading.sources.records import STORED, Record, Records
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory
from ckpt_explorer.reading.storages import RecordStorage, record_storages
from ckpt_explorer.text import listed, visible

MAX_PICKLE = 512 << 20
MAX_UNPACKED_PICKLE = 64 << 20
SMALL_PICKLE = 8 << 20
"""Below this many bytes a copy is made, which is walked faster than a view of the file."""


def read_torch_zip(source: Source) -> PickledFile:
    """Describe a torch zip archive: reads its directory and its pickle, and no storage.

    Raises:
        CorruptCheckpoint: cut short, no pickle in it, or its records contradict one another.
    """
    directory = ZipDirectory(source)
    pickle = pickle_record(directory)
    if pickle is None:
        raise damaged(source, "it is a zip archive without the pickle of a checkpoint")
    return read_torch_records(directory, pickle)


def read_torch_records(records: Records, record: Record, salvage: bool = False) -> PickledFile:
    """Describe what torch.save wrote as `record` and the records around it, in an archive or in an unpacked one.

    With `salvage`, storages that are not there are `lost` instead of a refusal.

    Raises:
        CorruptCheckpoint: the pickle can't be described, or a record contradicts it.
    """
    top = record.name.removesuffix("data.pkl")
    pickle = records.read(record, MAX_PICKLE if record.method == STORED else MAX_UNPACKED_PICKLE)
    content = bytes(pickle) if len(pickle) < SMALL_PICKLE else pickle
    if content is not pickle and isinstance(records, ZipDirectory) and record.method == STORED:
        start = records.position(record)
        records.source.forget(start, start + record.packed)
    slash = "\\" if top.endswith("\\") else "/"  # some packers on Windows write names as Windows does
    place = records, f"{top}data{slash}", says_big_endian(records, top)
    storages = Storages()
    walked = walk(
        records.source, content, persistent_load=storages, shortcut=tensor_shortcut(partial(storages_named, *place))
    )
    find_storages = partial(storages_in, *place)
    here = frozenset(name.removeprefix(f"{top}data{slash}") for name in records.records) if salvage else None
    return PickledFile(
        walked.root,
        walked.globals,
        find_storages,
        _writer(records, top),
        records=records,
        here=here,
        devices=tuple(storages.devices),
    )


def storages_in(
    records: Records, folder: str, big_endian: bool, claims: Sequence[StorageClaim]
) -> Sequence[RecordStorage]:
    """The records in `folder` that `claims` name, each checked to be as large as claimed."""
    keys, dtypes, elements, _ = zip(*claims, strict=True)
    found = storages_named(records, folder, big_endian, keys, dtypes, elements)
    if found is not None:
        return found
    for key, dtype, count in zip(keys, dtypes, elements, strict=True):
        record, claimed = records.records.get(folder + key), count * ITEM_BYTES[dtype]
        if record is None:
            raise unknown_storage(records.source, key)
        if not 0 <= claimed <= record.size:
            raise damaged(
                records.source,
                f"storage {visible(key)!r} should have {visible(format(claimed, ','), 40)} bytes, and its record has {record.size:,}",
            )
    raise AssertionError("one of them is not there, or too short")


def storages_named(
    records: Records,
    folder: str,
    big_endian: bool,
    keys: Sequence[str],
    dtypes: Sequence[str],
    elements: Sequence[int],
) -> Sequence[RecordStorage] | None:
    """The same of storages that are given by columns; None where one is not there, or not as large as claimed."""
    found = records.records.rows_of(map(folder.__add__, keys))
    if None in found:
        return None
    rows: list[int] = found  # type: ignore[assignment]
    sizes = list(map(mul, elements, map(ITEM_BYTES.__getitem__, dtypes)))
    if min(sizes) < 0 or not all(map(le, sizes, records.records.sizes_of(rows))):
        return None
    return record_storages(records, rows, sizes, big_endian)


def pickle_record(records: Records) -> Record | None:
    """The archive's `data.pkl`, in whatever folder it lies: people unpack and re-zip these files. None where it has none.

    Raises:
        CorruptCheckpoint: it has several.
    """
    names = [
        name
        for name in records.records.ending("data.pkl")
        if name == "data.pkl" or name.endswith(("/data.pkl", "\\data.pkl"))
    ]
    names = [name for name in names if not name.startswith("__MACOSX/")] or names
    if not names:
        return None
    depth = min(len(re.findall(r"[/\\]", name)) for name in names)
    shallow = [name for name in names if len(re.findall(r"[/\\]", name)) == depth]
    if len(shallow) > 1:
        raise damaged(records.source, f"it has {len(shallow)} pickles where a checkpoint has one: {listed(shallow)}")
    return records.records[shallow[0]]


def was_packed_by_hand(records: Records, record: Record) -> bool:
    """Whether somebody unpacked and re-zipped it: torch compresses nothing, and never leaves out `version`."""
    top = record.name.removesuffix("data.pkl")
    if f"{top}version" not in records.records:
        return True
    if records.records.nothing_packed:
        return False
    return any(row.method != STORED for name, row in records.records.items() if name.startswith(top))


_WRITERS = (
    (".storage_alignment", "2.7 or later"),
    (".data/serialization_id", "2.1 or later"),
    ("byteorder", "2.1 or later"),
)
"""Records, by the version of PyTorch whose torch.save first wrote them."""


def _writer(records: Records, top: str) -> str:
    """Which PyTorch wrote it, as far as its records tell."""
    version = next((version for name, version in _WRITERS if f"{top}{name}" in records.records), "1.6 to 2.0")
    return f"torch.save of PyTorch {version} (zip)"


def says_big_endian(records: Records, top: str) -> bool:
    record = records.records.get(f"{top}byteorder")
    return record is not None and bytes(records.read(record, 64)).strip() == b"big"


_OTHER_ARCHIVES: tuple[tuple[str, str, str], ...] = (
    (r"(\.weights\.h5|keras_metadata\.pb|^metadata\.json$.*^config\.json$)", "a Keras model", "open it with Keras, and save its weights for PyTorch"),
    (r"^\[Content_Types\]\.xml$", "an office document", "give the checkpoint file"),
    (r"^(META-INF/MANIFEST\.MF|AndroidManifest\.xml)$", "a Java or Android program", "give the checkpoint file"),
    (r"^(.*/)?Manifest\.json$.*\.mlmodel$", "a Core ML model", "open it with coremltools; the weights are best taken from the PyTorch checkpoint it was made of"),
    (r"^(.*/)?saved_model\.pb$", "a TensorFlow SavedModel", "read its variables with TensorFlow, transpose the kernels (HWIO to OIHW), and save them with PyTorch"),
)  # fmt: skip
"""Archives that are known by the names in them: a pattern for those names, one a line; what it is; what to do."""


def other_archive(directory: Records) -> Diagnosis | None:
    """What to say of a zip archive that is some other program's; None for one of files that may be anything."""
    names, shown = list(directory.records), visible(directory.source.name)
    joined = "\n".join(names[:1000])
    for pattern, what, step in _OTHER_ARCHIVES:
        if re.search(pattern, joined, re.MULTILINE | re.DOTALL):
            return Diagnosis("F17", f"{shown} is {what}, no PyTorch checkpoint", f"{step}.")
    return None
