"""From bytes to a Checkpoint. No code of the file runs, and no tensor is read."""

from __future__ import annotations

import os
from functools import cache, lru_cache

from ckpt_explorer.checkpoint import Checkpoint, Entry, Storage, TensorInfo
from ckpt_explorer.errors import Diagnosis, NotACheckpoint
from ckpt_explorer.reading.claims import tensor_info
from ckpt_explorer.reading.contents import Contents, graded, preferred
from ckpt_explorer.reading.pickled import PickledFile
from ckpt_explorer.reading.safetensors import read_safetensors
from ckpt_explorer.reading.signature import recognise
from ckpt_explorer.reading.source import Source, source_of
from ckpt_explorer.reading.torch_legacy import read_torch_legacy
from ckpt_explorer.reading.torch_objects import StorageClaim, TensorClaim
from ckpt_explorer.reading.torch_zip import read_torch_zip
from ckpt_explorer.text import plural, visible

__all__ = ["open_checkpoint"]


def open_checkpoint(given: str | os.PathLike[str] | bytes | memoryview, name: str | None = None) -> Checkpoint:
    """Open a checkpoint from a path, or from the buffer that an upload arrived in (`name` is its file name then).

    A path is memory-mapped and a buffer is read where it lies: opening costs what the metadata costs, whatever the
    file weighs. Nothing that the file says is executed, and no tensor is read before it is asked for.

    Raises:
        SourceError: there is no such file, or it may not be read.
        NotACheckpoint: it is another kind of file; the text says what, and what to do.
        CorruptCheckpoint: it is cut short or damaged, or its claims contradict its bytes.
    """
    source = source_of(given, name)
    kind = recognise(source)
    if kind == "safetensors":
        return _from_safetensors(source)
    if kind == "pickle":
        raise NotACheckpoint(
            Diagnosis(
                "F10",
                f"{visible(source.name)} is a plain pickle, not written by torch.save",
                "load it where it was made, and write its tensors with torch.save or safetensors.",
            )
        )
    read = read_torch_zip if kind == "torch zip" else read_torch_legacy
    return _from_pickled(source, kind, read(source))


def _from_safetensors(source: Source) -> Checkpoint:
    state_dict, metadata = read_safetensors(source)
    entries = tuple(
        Entry(f"__metadata__.{visible(key)}", "text", visible(text)) for key, text in list(metadata.items())[:1000]
    )
    return Checkpoint(
        name=source.name,
        format="safetensors",
        size=source.size,
        state_dicts=(state_dict,),
        selected="",
        entries=(
            Entry("(top)", "state dict", plural(len(state_dict), "tensor"), len(state_dict), state_dict.size),
            *entries,
        ),
        written_by=f"safetensors, for {visible(metadata['format'])}" if "format" in metadata else "safetensors",
    )


def _from_pickled(source: Source, kind: str, file: PickledFile) -> Checkpoint:
    @cache
    def storage(claim: StorageClaim) -> Storage:
        return file.storage(claim)

    def fact(key: str, claim: TensorClaim) -> TensorInfo:
        return tensor_info(source, key, claim, storage(claim.storage))

    contents = Contents(file.root, fact)
    if not contents.state_dicts:
        raise NotACheckpoint(_no_weights(source, contents))
    entries = contents.entries
    if contents.left_out:
        entries = [*entries, Entry("…", "more", plural(contents.left_out, "more entry", "more entries"))]
    return Checkpoint(
        name=source.name,
        format=kind,
        size=source.size,
        state_dicts=tuple(contents.state_dicts),
        selected=preferred(contents.state_dicts),
        entries=tuple(entries),
        globals=graded(file.globals),
        written_by=file.written_by,
    )


def _no_weights(source: Source, contents: Contents) -> Diagnosis:
    held = ", ".join(f"{entry.path} ({entry.kind})" for entry in contents.entries[:4])
    return Diagnosis(
        "F14",
        f"{visible(source.name)} was written by torch.save, but no state dict is in it: it holds {visible(held) or 'nothing'}",
        "give the file with the weights; this one may be an optimizer's state, a data set or a log.",
    )
