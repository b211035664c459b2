"""From bytes to a Checkpoint. No code of the file runs, and no tensor is read."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from ckpt_explorer.checkpoint import Checkpoint, Entry, StateDict
from ckpt_explorer.errors import CorruptCheckpoint, Diagnosis, NotACheckpoint
from ckpt_explorer.reading.contents import Contents, preferred
from ckpt_explorer.reading.formats.plain_pickle import read_plain_pickle
from ckpt_explorer.reading.formats.safetensors import read_safetensors
from ckpt_explorer.reading.formats.torch_legacy import read_torch_legacy
from ckpt_explorer.reading.formats.torch_zip import read_torch_zip
from ckpt_explorer.reading.pickles.claims import tensor_infos
from ckpt_explorer.reading.pickles.grades import asks_for_code, diagnoses_of_globals, graded
from ckpt_explorer.reading.pickles.pickled import PickledFile
from ckpt_explorer.reading.signature import recognise, unrecognised
from ckpt_explorer.reading.sources.source import Source, source_of
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
    with _collector_paused():
        return _open(source_of(given, name))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Describing a checkpoint makes thousands of small objects, none of which is garbage: looking for it costs a tenth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _open(source: Source) -> Checkpoint:
    kind = recognise(source)
    if kind == "safetensors":
        return _from_safetensors(source)
    if kind == "maybe a pickle":
        try:
            return _from_pickled(source, "pickle", read_plain_pickle(source))
        except CorruptCheckpoint as error:
            raise (error if error.diagnosis.id == "P5" else NotACheckpoint(unrecognised(source))) from None
    return _from_pickled(source, kind, _READERS[kind](source))


_READERS: dict[str, Callable[[Source], PickledFile]] = {
    "torch zip": read_torch_zip,
    "torch legacy": read_torch_legacy,
    "pickle": read_plain_pickle,
}


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
    contents = Contents(file.root, partial(tensor_infos, source, file.find_storages))
    if not contents.state_dicts:
        raise NotACheckpoint(asks_for_code(source.name, file.globals) or _no_weights(source, contents))
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
        diagnoses=(
            *diagnoses_of_globals(source.name, file.globals, contents.whole_model),
            *_of_weights(source, kind, contents.state_dicts),
        ),
        written_by=file.written_by,
    )


def _of_weights(source: Source, kind: str, state_dicts: list[StateDict]) -> Iterator[Diagnosis]:
    if kind == "pickle":
        yield Diagnosis(
            "F10",
            f"{visible(source.name)} is a plain pickle, not written by torch.save",
            "its arrays are read as they are; convert writes them as PyTorch or safetensors would.",
        )
    if any(info.dtype.startswith(("qint", "quint")) for state_dict in state_dicts for info in state_dict.values()):
        yield Diagnosis(
            "F16",
            f"{visible(source.name)} holds quantised weights, as integers with a scale",
            "build and convert the same quantised network; they are not turned into floats here.",
        )


def _no_weights(source: Source, contents: Contents) -> Diagnosis:
    held = ", ".join(f"{entry.path} ({entry.kind})" for entry in contents.entries[:4])
    return Diagnosis(
        "F14",
        f"{visible(source.name)} can be read, but no state dict is in it: it holds {visible(held) or 'nothing'}",
        "give the file with the weights; this one may be an optimizer's state, a data set or a log.",
    )
