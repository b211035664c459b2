"""TorchScript: what torch.jit.save writes, a program with its weights. The weights are read, the program is not run.

`data.pkl` holds the modules as objects whose attributes are all alike; which of them are parameters and which buffers
stands in the text of their classes. `constants.pkl` holds tensors that the code refers to: after torch.jit.freeze, all.

Source: `torch/csrc/jit/serialization/export_module.cpp`, `pickler.cpp`; `torch/csrc/jit/api/module.h`
(`ParameterPolicy`, `BufferPolicy`: which attributes `state_dict()` has); `torch/jit/_pickle.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from ckpt_explorer.errors import Diagnosis
from ckpt_explorer.reading.formats.torch_zip import MAX_PICKLE, MAX_UNPACKED_PICKLE, says_big_endian, storages_in
from ckpt_explorer.reading.formats.torchscript_code import Declared, DeclaredClasses
from ckpt_explorer.reading.pickles.constructors import CONSTRUCTORS
from ckpt_explorer.reading.pickles.described import Call, Constructor, Global, InertDict
from ckpt_explorer.reading.pickles.grades import code_first
from ckpt_explorer.reading.pickles.pickled import PickledFile, walk
from ckpt_explorer.reading.pickles.torch_objects import TENSOR_CLAIMS, StorageClaim, storage_claim
from ckpt_explorer.reading.refusals import damaged
from ckpt_explorer.reading.sources.records import STORED, Records
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory
from ckpt_explorer.text import bytes_as_text, plural, visible

MAX_MODULES = 20_000
MAX_DEPTH = 200
MAX_KEY = 4096
MAX_EXTRA_TEXT = 4096

_STORAGE_FOLDERS = ("tensors/", "data/", "constants/", ".data/", "")
"""Where a storage may lie, beside the folder of the pickle that names it."""
_SAID_OF_EVERY_MODULE = frozenset({"training", "_is_full_backward_hook"})


def _first(arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if arguments else NotImplemented


_CONSTRUCTORS: dict[str, Constructor] = {
    **CONSTRUCTORS,
    **{f"torch.jit._pickle.build_{kind}list": _first for kind in ("int", "double", "bool", "tensor")},
    "torch.jit._pickle.restore_type_tag": _first,
}
"""TorchScript writes each list and mapping as a call that says the type of what is in it."""


def read_torchscript(source: Source, records: ZipDirectory, top: str) -> PickledFile:
    """Describe the TorchScript archive whose records begin with `top`: keys and order are those of its `state_dict()`.

    Other attributes are beside them, as those of one object; constants of a frozen module are a mapping of their own.

    Raises:
        CorruptCheckpoint: a pickle in it can't be described, or a record contradicts it.
    """
    pickles = _Pickles(source, records, top)
    root = pickles.described("data")
    constants = pickles.described("constants") if f"{top}constants.pkl" in records.records else ()
    pickles.note_the_others()
    find_storages = partial(storages_in, records, top, says_big_endian(records, top))
    writer = "torch.jit, for mobile" if f"{top}bytecode.pkl" in records.records else "torch.jit.save"
    if isinstance(root, dict):  # an archive of torch.save's that looks like a program: a mapping is its own answer
        return PickledFile(root, pickles.globals, find_storages, writer, (torchscript_note(source),), records=records)
    with code_first(source.name, pickles.globals):
        made, attributes = _Modules(source, DeclaredClasses(records, top)).read(root)
    listed = enumerate(constants if isinstance(constants, list | tuple) else ())
    tensors = {f"c{number}": value for number, value in listed if type(value) in TENSOR_CLAIMS}
    if tensors and not made:
        made["constants"] = InertDict(tensors)
    else:
        attributes |= {f"CONSTANTS.{name}": value for name, value in tensors.items()}
    attributes |= dict(_extra_files(records, top))
    if attributes:
        beside = Call(root.callee if isinstance(root, Call) else Global("torch.jit", "ScriptModule"), ())
        beside.state = attributes
        made["(attributes)"] = beside
    return PickledFile(made, pickles.globals, find_storages, writer, (torchscript_note(source),), records=records)


def torchscript_note(source: Source) -> Diagnosis:
    """What is to be said of a TorchScript archive, of whatever version."""
    return Diagnosis(
        "F11",
        f"{visible(source.name)} is a TorchScript archive: its weights were read, and the code in it was not",
        "convert writes them as a plain state dict; torch.jit.load would run the code, so give it only files that you trust.",
    )


class _Pickles:
    """The pickles of one archive, described, and the names in all of them."""

    def __init__(self, source: Source, records: Records, top: str) -> None:
        self.source, self.records, self.top = source, records, top
        self.globals: dict[str, Global] = {}
        self._walked: set[str] = set()

    def described(self, name: str) -> Any:
        """The root of `NAME.pkl`, whose storages lie in the folder `NAME`."""
        record = self.records.records[f"{self.top}{name}.pkl"]
        pickle = self.records.read(record, MAX_PICKLE if record.method == STORED else MAX_UNPACKED_PICKLE)
        inside = Source(f"{self.source.name}: {name}.pkl", memoryview(pickle))
        walked = walk(inside, inside.view(), persistent_load=partial(self._claim, name), constructors=_CONSTRUCTORS)
        self.globals.update(walked.globals)
        self._walked.add(record.name)
        return walked.root

    def note_the_others(self) -> None:
        """Walk what else is pickled at the top, such as `bytecode.pkl`: what it names counts as named."""
        for name in self.records.records:
            inner = name.removeprefix(self.top)
            if name.startswith(self.top) and inner.endswith(".pkl") and "/" not in inner and name not in self._walked:
                self.described(inner.removesuffix(".pkl"))

    def _claim(self, folder: str, identity: Any) -> StorageClaim | Call:
        """The claim of a storage, by its record's name below the top."""
        claim = storage_claim(identity)
        if not isinstance(claim, StorageClaim):
            return claim
        places = (f"{at}{claim.key}" for at in (f"{folder}/", *_STORAGE_FOLDERS))
        found = next((place for place in places if f"{self.top}{place}" in self.records.records), None)
        return claim._replace(key=found or f"{folder}/{claim.key}")


class _Waiting(NamedTuple):
    """A module still to be read: what its keys begin with, and the modules it lies in."""

    prefix: str
    module: Call
    above: frozenset[int]


class _Modules:
    """A walk over a module and those below it."""

    def __init__(self, source: Source, classes: DeclaredClasses) -> None:
        self.source = source
        self.classes = classes
        self.tensors = InertDict()
        self.attributes: dict[str, Any] = {}

    def read(self, root: Any) -> tuple[InertDict, dict[str, Any]]:
        """The state dict of `root`, and its other attributes and its constants by their dotted name."""
        if not isinstance(root, Call):
            raise damaged(self.source, "its data.pkl holds no module")
        waiting = [_Waiting("", root, frozenset())]
        visits = 0
        while waiting:
            visits += 1
            if visits > MAX_MODULES:
                raise damaged(self.source, f"it nests more than {plural(MAX_MODULES, 'module')}")
            waiting.extend(reversed(list(self._visit(*waiting.pop()))))
        return self.tensors, self.attributes

    def _visit(self, prefix: str, module: Call, above: frozenset[int]) -> Iterator[_Waiting]:
        """Note what `module` has, and yield its submodules."""
        if len(prefix) > MAX_KEY or len(above) > MAX_DEPTH:
            raise damaged(self.source, f"it nests modules more than {MAX_DEPTH} deep, or under endless names")
        declared, state = self.classes.get(module.name), module.state
        if not isinstance(state, dict):
            self.attributes[prefix.rstrip(".") or "(state)"] = state
            return
        first = [name for name in declared.types if name in state] if declared else []
        order = list(dict.fromkeys([*first, *(name for name in state if isinstance(name, str))]))
        in_state_dict = self._tensors(declared, state, order)
        self.tensors.update((f"{prefix}{name}", state[name]) for name in in_state_dict)
        for name in order:
            value = state[name]
            if self._is_module(value):
                if id(value) not in above and value is not module:
                    yield _Waiting(f"{prefix}{name}.", value, above | {id(module)})
            elif name not in in_state_dict and value is not None and not (prefix and name in _SAID_OF_EVERY_MODULE):
                self.attributes[f"{prefix}{name}"] = value
        for name, text in declared.constants.items() if declared else ():
            self.attributes[f"{prefix}{name}"] = visible(text)

    @staticmethod
    def _tensors(declared: Declared | None, state: dict[str, Any], order: list[str]) -> dict[str, None]:
        """The attributes that `state_dict()` has: parameters that are set, then buffers that are never None."""
        tensors = [name for name in order if type(state[name]) in TENSOR_CLAIMS]
        if declared is None:
            return dict.fromkeys(tensors)
        parameters = [name for name in tensors if name in declared.parameters]
        buffers = [name for name in tensors if name in declared.buffers and declared.types.get(name) == "Tensor"]
        return dict.fromkeys(parameters + buffers)

    def _is_module(self, value: Any) -> bool:
        if not isinstance(value, Call):
            return False
        declared = self.classes.get(value.name)
        return declared.is_module if declared is not None else isinstance(value.state, dict)


def _extra_files(records: Records, top: str) -> Iterator[tuple[str, str]]:
    """What `torch.jit.save(..., _extra_files=...)` put beside the module: short texts as they are, others by size."""
    for name, record in records.records.items():
        if name.startswith(f"{top}extra/"):
            shown = f"{bytes_as_text(record.size)}, not read"
            if record.size <= MAX_EXTRA_TEXT:
                shown = str(records.read(record, MAX_EXTRA_TEXT), "utf-8", "replace")
            yield name.removeprefix(top), visible(shown, MAX_EXTRA_TEXT)
