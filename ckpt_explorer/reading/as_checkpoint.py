"""From what a reader described to a Checkpoint: its state dicts, everything else in it, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from operator import attrgetter

from ckpt_explorer.checkpoint import Checkpoint, Entry, Part, StateDict, TensorInfo
from ckpt_explorer.dtypes import QUANTISED
from ckpt_explorer.errors import Diagnosis, NotACheckpoint
from ckpt_explorer.reading.contents import Contents, preferred
from ckpt_explorer.reading.formats.safetensors import SafetensorsFile
from ckpt_explorer.reading.pickles.calls import what_calls_would_do
from ckpt_explorer.reading.pickles.claims import tensor_infos
from ckpt_explorer.reading.pickles.grades import asks_for_code, code_first, diagnoses_of_globals, graded
from ckpt_explorer.reading.pickles.pickled import PickledFile
from ckpt_explorer.reading.pickles.torch_objects import AnyTensorClaim, ComposedClaim, StorageClaim
from ckpt_explorer.reading.refusals import left_of_it
from ckpt_explorer.reading.shards import part_of_many
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.text import bytes_as_text, listed, plural, shape_as_text, visible


def from_safetensors(source: Source, file: SafetensorsFile) -> Checkpoint:
    """A safetensors file as a checkpoint: one state dict at the top, and its metadata as entries.

    Raises:
        NotACheckpoint: there is no tensor in it.
    """
    state_dict = file.state_dict
    if not state_dict and not file.lost:
        raise NotACheckpoint(
            Diagnosis(
                "F14",
                f"{visible(source.name)} is a safetensors file without a single tensor",
                "give the file with the weights.",
            )
        )
    entries = tuple(
        Entry(f"__metadata__.{visible(key)}", "text", visible(text)) for key, text in list(file.metadata.items())[:1000]
    )
    top = Entry("(top)", "state dict", plural(len(state_dict), "tensor"), len(state_dict), state_dict.size)
    lost = (left_of_it(source, len(state_dict), list(file.lost)),) if file.lost else ()
    return Checkpoint(
        name=source.name,
        format="safetensors",
        size=source.size,
        state_dicts=(state_dict,),
        selected="",
        entries=(top, *entries),
        diagnoses=(*lost, *_of_name(source.name, "safetensors"), *_of_weights([state_dict], source.name)),
        written_by=f"safetensors, for {visible(file.metadata['format'])}"
        if "format" in file.metadata
        else "safetensors",
        lost=file.lost,
        parts=(Part(source, None),),
    )


def from_pickled(source: Source, kind: str, file: PickledFile) -> Checkpoint:
    """A described pickle as a checkpoint.

    Raises:
        NotACheckpoint: there is no state dict in it; the text says what there is.
        CorruptCheckpoint: a tensor is impossible, or lies outside of its storage.
    """
    lost: list[str] = []
    with code_first(source.name, file.globals):
        contents = Contents(file.root, partial(_facts, source, file, lost))
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
        globals=graded(file.globals, what_calls_would_do(file.globals)),
        diagnoses=(
            *((left_of_it(source, sum(map(len, contents.state_dicts)), lost),) if file.here is not None else ()),
            *_of_globals(source, kind, file, contents),
            *_of_kind(source, kind),
            *_of_names(source, contents),
            *_of_devices(source, file.devices),
            *file.diagnoses,
            *_of_name(source.name, kind),
            *_of_weights(contents.state_dicts, source.name),
        ),
        written_by=", ".join([*contents.versions, file.written_by]),
        lost=tuple(lost),
        parts=(Part(source, file.records),),
    )


def _facts(
    source: Source, file: PickledFile, lost: list[str], claims: dict[str, AnyTensorClaim]
) -> dict[str, TensorInfo]:
    """The tensors that `claims` describe; of a broken file those whose storages are there, the others are `lost`."""
    if file.here is not None:
        gone = {key for key, claim in claims.items() if not _storages_of(claim) <= file.here}
        lost.extend(gone)
        claims = {key: claim for key, claim in claims.items() if key not in gone}
    return tensor_infos(source, file.find_storages, claims)


def _storages_of(claim: AnyTensorClaim) -> frozenset[str]:
    parts = claim.parts if isinstance(claim, ComposedClaim) else (claim,)
    return frozenset(part.storage.key for part in parts if isinstance(part.storage, StorageClaim))


def _of_globals(source: Source, kind: str, file: PickledFile, contents: Contents) -> Iterator[Diagnosis]:
    """What is to be said of the imports; NumPy's are not worth a word where the weights themselves are arrays of its."""
    for found in diagnoses_of_globals(source.name, file.globals, contents.whole_model):
        if found.id != "P1" or kind not in ("pickle", "npy", "npz"):
            yield found


def _of_kind(source: Source, kind: str) -> Iterator[Diagnosis]:
    if kind == "pickle":
        yield Diagnosis(
            "F10",
            f"{visible(source.name)} is a plain pickle, not written by torch.save",
            "its arrays are read as they are; convert writes them as PyTorch or safetensors would.",
        )
    if kind in ("npz", "npy"):
        yield Diagnosis(
            "F10",
            f"{visible(source.name)} holds NumPy arrays ({kind}), not tensors of PyTorch's",
            "they are read as tensors under the same names; convert writes them as PyTorch or safetensors would.",
        )


def _of_names(source: Source, contents: Contents) -> Iterator[Diagnosis]:
    if contents.nameless:
        (found,) = contents.state_dicts
        yield Diagnosis(
            "F14",
            f"{visible(source.name)} holds {plural(len(found), 'tensor')} and no state dict: they have no names of their own",
            "they are listed by their places in the file; if it should hold a network's weights, this is another file.",
        )


def _of_devices(source: Source, devices: tuple[str, ...]) -> Iterator[Diagnosis]:
    """Where the tensors were saved on a device that the reader's machine may not have: torch.load looks for it."""
    others = [device for device in devices if device.partition(":")[0] in ("cuda", "mps", "xla", "hpu", "xpu")]
    if not others:
        return
    numbered = any(device.startswith("cuda:") and device != "cuda:0" for device in others)
    identity = "D2" if numbered else "D3" if "mps" in others else "D1"
    yield Diagnosis(
        identity,
        f"The tensors of {visible(source.name)} were saved on {listed(others)}, and torch.load wants to put them there again",
        'they are read to the CPU here; in code, torch.load(..., map_location="cpu").',
    )


_EXPECTED = {
    ".safetensors": "safetensors",
    ".tar": "tar",
    ".t7": "Torch7",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".onnx": "ONNX",
    ".pb": "TensorFlow",
    ".tflite": "TensorFlow Lite",
    ".gguf": "GGUF",
    ".npz": "npz",
    ".npy": "npy",
    ".zip": "zip",
    ".sav": "SPSS",
}
"""What a name's end promises."""


def _of_name(name: str, kind: str) -> Iterator[Diagnosis]:
    """A word where the name promises another format (people unpack a .pth.tar, or look for a TensorFlow tool), or says
    that there are more parts."""
    part = part_of_many(name.rpartition("/")[2])
    if part is not None:
        yield part
    end, promised = next(((end, kind) for end, kind in _EXPECTED.items() if name.lower().endswith(end)), ("", ""))
    holds_safetensors = kind == "safetensors" and name.lower().endswith((".ckpt", ".pth", ".pt"))
    if holds_safetensors or (promised and promised != kind):
        ending = end or f".{name.rsplit('.', 1)[-1]}"
        yield Diagnosis(
            "F9",
            f"The name ends in {visible(ending)}, but the bytes are {kind}, and only the bytes count",
            "don't unpack or convert it for its name's sake; it was opened as what it is."
            if not holds_safetensors
            else "torch.load goes by the bytes of its own formats and fails; load it with safetensors.torch.load_file.",
        )


MANY_EMPTY = 4
_TINY = frozenset({(0,), (1,)})
_SHAPE, _DTYPE, _COMPOSED = attrgetter("shape"), attrgetter("dtype"), attrgetter("composed")


def _of_weights(state_dicts: list[StateDict], name: str) -> Iterator[Diagnosis]:
    infos = [info for state_dict in state_dicts for info in state_dict.tensors.values()]
    if not QUANTISED.isdisjoint(map(_DTYPE, infos)):
        yield Diagnosis(
            "F16",
            f"{visible(name)} holds quantised weights, as integers with a scale",
            "build and convert the same quantised network; in a network of floats they are only near what they were.",
        )
    composed = [info for info in infos if info.composed is not None] if any(map(_COMPOSED, infos)) else []
    meta = [info.key for info in composed if info.composed is not None and info.composed.kind == "meta"]
    if meta:
        yield Diagnosis(
            "F14",
            f"{plural(len(meta), 'tensor')} of {visible(name)}, such as {visible(meta[0])!r}, were saved from the meta device: they have shapes and no values",
            "save the network again after its weights were loaded.",
        )
    tiny = [info for info in infos if info.shape in _TINY] if not _TINY.isdisjoint(map(_SHAPE, infos)) else []
    empty = [info for info in tiny if info.key.endswith(".weight")]
    if len(empty) >= MANY_EMPTY and len(empty) * 2 > sum(info.key.endswith(".weight") for info in infos):
        yield Diagnosis(
            "F15",
            f"{len(empty):,} weights of {visible(name)} have the shape {shape_as_text(empty[0].shape)}: it is one part of a checkpoint that was split among processes (ZeRO-3, FSDP)",
            "put the parts together first (zero_to_fp32.py, or torch.distributed.checkpoint's dcp_to_torch); this file alone is not enough.",
        )


def _no_weights(source: Source, contents: Contents) -> Diagnosis:
    largest = sorted(contents.entries, key=lambda entry: -entry.size)[:4]
    held = ", ".join(
        f"{entry.path} ({entry.kind}{', ' + bytes_as_text(entry.size) if entry.size else ''})" for entry in largest
    )
    return Diagnosis(
        "F14",
        f"{visible(source.name)} can be read, but no state dict is in it: it holds {visible(held) or 'nothing'}",
        "give the file with the weights; this one may be an optimizer's state, a data set or a log.",
    )
