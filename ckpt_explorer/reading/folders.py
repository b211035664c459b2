"""Opening a folder: on disk, in an archive, in an upload of several files. Which file in it is the checkpoint?

Some folders are one checkpoint (an archive that was unpacked, shards with an index, torch.distributed's), others hold
one or several. What a file is, its first bytes tell, not its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.errors import CheckpointExplorerError, Diagnosis, NotACheckpoint, RefusedFile, SourceError
from ckpt_explorer.reading.as_checkpoint import from_pickled
from ckpt_explorer.reading.formats.distributed import read_distributed
from ckpt_explorer.reading.formats.torch_tar import read_torch_tar
from ckpt_explorer.reading.formats.torch_zip import pickle_record, read_torch_records
from ckpt_explorer.reading.refusals import inside_of
from ckpt_explorer.reading.shards import numbered_shards, open_shards, shards_of_index
from ckpt_explorer.reading.signature import may_hold_weights
from ckpt_explorer.reading.sources.folder import Folder
from ckpt_explorer.reading.sources.records import FolderRecords
from ckpt_explorer.reading.sources.source import Source, source_of
from ckpt_explorer.text import listed, plural, visible

OpenSource = Callable[[Source], Checkpoint]

MAX_PEEKED = 2000
MAX_TRIED = 8
_TORCH_TAR = frozenset({"sys_info", "pickle", "tensors", "storages"})
_SPLIT_BY_DEEPSPEED = re.compile(r"(^|/)(bf16_)?zero_pp_rank_\d+_mp_rank_\d+_optim_states\.pt$")
_MODEL_OF_DEEPSPEED = re.compile(r"(^|/)mp_rank_\d+_model_states\.pt$")
_TENSORFLOW = re.compile(r"(^|/)(saved_model\.pb|[^/]+\.data-\d{5}-of-\d{5}|[^/]+\.ckpt(-\d+)?\.(index|meta))$")


def open_folder(folder: Folder, member: str | None, open_source: OpenSource, salvage: bool) -> Checkpoint:
    """The checkpoint in a folder; `member` says which where it holds several.

    Raises:
        SourceError: a folder on disk holds none, or not the one that was asked for.
        NotACheckpoint: an archive holds none; the text says what it holds.
        CorruptCheckpoint: the one that it holds is broken.
    """
    if member is not None and member.endswith(".index.json"):
        return open_shards(folder, shards_of_index(folder, member), open_source, salvage, index=member)
    if member is not None:
        return _opened(folder, member, _weights(folder), open_source)
    for opened in (_unpacked, _distributed, _torch_tar):
        found = opened(folder)
        if found is not None:
            return found
    index = next((file for file in sorted(folder, reverse=True) if file.endswith(".index.json")), None)
    if index is not None:
        return open_shards(folder, shards_of_index(folder, index), open_source, salvage, index=index)
    shards = numbered_shards(folder)
    if shards is not None:
        return open_shards(folder, shards, open_source, salvage)
    return _one_of(folder, open_source)


def _unpacked(folder: Folder) -> Checkpoint | None:
    """A torch zip archive that somebody unpacked: `data.pkl` and `data/N` as files."""
    if not any(file.rpartition("/")[2] == "data.pkl" for file in folder):
        return None
    whole = source_of(b"", folder.name)
    records = FolderRecords(folder, whole)
    pickle = pickle_record(records)
    if pickle is None:
        return None
    opened = from_pickled(whole, "torch zip, unpacked", read_torch_records(records, pickle))
    size = sum(record.size for record in records.records.values())
    word = Diagnosis(
        "F13",
        f"{visible(folder.name)} is a checkpoint that was unpacked: a {folder.kind} with data.pkl in it",
        "it was opened as it lies; convert writes it as one file again.",
    )
    return replace(opened, size=size, diagnoses=(word, *opened.diagnoses))


def _distributed(folder: Folder) -> Checkpoint | None:
    """A checkpoint of torch.distributed.checkpoint: `.metadata` beside `.distcp` files."""
    metadata = next((file for file in folder if file.rpartition("/")[2] == ".metadata"), None)
    parts = [file for file in folder if file.endswith(".distcp")]
    if metadata is not None:
        whole = source_of(b"", folder.name)
        opened = from_pickled(whole, "torch.distributed.checkpoint", read_distributed(folder, metadata))
        return replace(opened, size=sum(folder.peek(file).size for file in (metadata, *parts)))
    if not parts:
        return None
    raise NotACheckpoint(
        Diagnosis(
            "F15",
            f"{visible(folder.name)} holds {plural(len(parts), 'part')} of a distributed checkpoint ({listed(parts)}), and not its .metadata, which says what lies where",
            "give the whole folder, with .metadata in it.",
        )
    )


def _torch_tar(folder: Folder) -> Checkpoint | None:
    """What torch 0.1 wrote: a tar archive of four parts."""
    if not frozenset(folder) >= _TORCH_TAR:
        return None
    return from_pickled(source_of(b"", folder.name), "torch tar", read_torch_tar(folder))


def _weights(folder: Folder) -> list[str]:
    """The files that may hold weights by their first bytes, the largest first."""
    found = []
    for file in list(folder)[:MAX_PEEKED]:
        try:
            start, size = folder.peek(file)
        except CheckpointExplorerError:
            continue  # a member that can't be read is none that can be opened: the others may be
        if may_hold_weights(start, size):
            found.append((-size, file))
    return [file for _, file in sorted(found)]


def _one_of(folder: Folder, open_source: OpenSource) -> Checkpoint:
    """The largest file that opens; the others are offered."""
    weights = _weights(folder)
    deepspeed = sorted(file for file in weights if _MODEL_OF_DEEPSPEED.search(file))
    weights = [*deepspeed[:1], *(file for file in weights if file not in deepspeed[:1])]
    refused: RefusedFile | None = None
    for file in weights[:MAX_TRIED]:
        try:
            return _opened(folder, file, weights, open_source)
        except RefusedFile as error:
            refused = refused or error
    if refused is not None:
        raise refused
    raise _nothing_in(folder, open_source)


def _opened(folder: Folder, file: str, weights: list[str], open_source: OpenSource) -> Checkpoint:
    """The checkpoint that is the file `file` of the folder, with a word on where it lies."""
    if file not in folder:
        raise SourceError(f"{visible(folder.name)} holds no {visible(file)}: it has {listed(weights or folder, 5)}.")
    try:
        opened = open_source(folder.open(file))
    except RefusedFile as error:
        raise inside_of(folder.name, folder.kind, error) from None
    what = "holds several files" if folder.kind == "upload" else f"is a {folder.kind}"
    inside = f"{visible(folder.name)} {what}, and {visible(file)} in it was opened where it lies"
    others = [other for other in weights if other != file]
    if others:
        step = f"it holds {len(others):,} more ({listed(others)}): choose one with --member, or on the page."
    else:
        step = "nothing needs to be unpacked here; torch.load wants it unpacked first."
    words = [Diagnosis("F17", inside, step)] if others or folder.kind not in ("folder", "upload") else []
    if any(_SPLIT_BY_DEEPSPEED.search(other) for other in folder):
        words.append(
            Diagnosis(
                "F15",
                f"{visible(folder.name)} was saved by DeepSpeed, with the optimizer in parts",
                "of ZeRO 1 and 2 this file holds all weights; of ZeRO 3 none of them: zero_to_fp32.py puts them together.",
            )
        )
    return replace(
        opened,
        name=f"{folder.name}/{opened.name if opened.name.startswith(file) else file}",
        format=f"{opened.format} in a {folder.kind}",
        members=tuple(weights),
        member=file,
        diagnoses=(*words, *(row for row in opened.diagnoses if row.id != "F17")),  # the outermost archive says it
    )


def _nothing_in(folder: Folder, open_source: OpenSource) -> CheckpointExplorerError:
    """What to say of a folder without a checkpoint; of a single file in an archive, what that is."""
    files = list(folder)
    if any(_TENSORFLOW.search(file) for file in files):
        return NotACheckpoint(
            Diagnosis(
                "F8",
                f"{visible(folder.name)} is a TensorFlow checkpoint ({listed(files)})",
                "read its variables with TensorFlow by the common prefix of its files, transpose the kernels (HWIO to OIHW), and save them with PyTorch.",
            )
        )
    if len(files) == 1:
        try:
            open_source(folder.open(files[0]))
        except RefusedFile as error:
            return inside_of(folder.name, folder.kind, error)
    held = f"it holds {listed(files)}" if files else "it is empty"
    if folder.kind == "folder":
        return SourceError(f"{visible(folder.name)} is a folder without a checkpoint ({held}): give a checkpoint file.")
    return NotACheckpoint(
        Diagnosis(
            "F17",
            f"{visible(folder.name)} is a {folder.kind} without a checkpoint: {held}",
            "give the file that torch.save or safetensors wrote.",
        )
    )
