"""From the described objects of a file to its state dicts, and one line for everything else in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ckpt_explorer.checkpoint import Entry, StateDict, TensorInfo
from ckpt_explorer.copies import is_averaged
from ckpt_explorer.reading import plain_values
from ckpt_explorer.reading.optimizers import OptimizerState, optimizer_state
from ckpt_explorer.reading.pickles.described import Call, Global, InertDict, TupleKey
from ckpt_explorer.reading.pickles.torch_objects import (
    TENSOR_CLAIMS,
    AnyTensorClaim,
    StorageClaim,
    module_state,
)
from ckpt_explorer.reading.plain_values import plain_text, plain_value
from ckpt_explorer.text import listed, plural, visible

MAX_ENTRIES = 2000
MAX_VISITS = 500_000
MAX_MODULES = 100_000

MAX_DEPTH = 100
MAX_PATH = 4096
MAX_NAME = 300
SHORT_PATH = 120
"""Characters of a path that is kept for the case that the same object lies at another one too."""
DEPTH_OF_KEYS = plain_values.MAX_DEPTH - 1
"""A key's own parts are written, not theirs: there may be many keys, and the same part in all of them."""
MAX_VERSIONS = 3
MAX_STATE_DICTS = 1000
"""Beyond so many, a file is a data set: what is left of it is counted."""

_CLAIMS = frozenset(TENSOR_CLAIMS)
_NO_MORE: tuple[str | None, Any, bool] = (None, None, False)

TensorFacts = Callable[[dict[str, AnyTensorClaim]], dict[str, TensorInfo]]

_NOT_WEIGHTS = re.compile(
    r"(^|[._])(optim\w*|sched\w*|lr_sched\w*|scaler|amp|loops|callbacks|momentum_buffer|grads?)([._]|$)", re.IGNORECASE
)
_VERSION = re.compile(r"([A-Za-z][\w-]*?)[-_.]version")


class Contents:
    """What a walk over the described objects of one file found. The walk visits each object once, however nested.

    `nameless` says that the file has no state dict, and its tensors are those of lists or values, named by their places.
    """

    def __init__(self, root: Any, facts: TensorFacts) -> None:
        self.facts = facts
        self.whole_model = False
        self.state_dicts: list[StateDict] = []
        self.entries: list[Entry] = []
        self.left_out = 0
        self.versions: list[str] = []
        self.nameless = False
        self._paths: set[str] = set()
        self._first: dict[int, str | None] = {}
        self._taken: dict[int, StateDict] = {}
        self._written: dict[int, str] = {}
        self._aside: list[StateDict] = []
        self._loose: dict[str, TensorInfo] = {}
        self._walk(root)
        if not self.state_dicts:
            self._take_what_there_is()

    def _walk(self, root: Any) -> None:
        waiting = [iter([("", root, True)])]  # one row of siblings a level: a path may be long, and siblings many
        while waiting:
            path, node, weights = next(waiting[-1], _NO_MORE)
            if path is None:
                waiting.pop()
                continue
            if isinstance(node, dict | list | tuple | Call) and type(node) not in TENSOR_CLAIMS:
                if id(node) in self._first or len(self._first) > MAX_VISITS:
                    self._again(path, node)
                    continue
                self._first[id(node)] = path if len(path) <= SHORT_PATH else None
                if len(waiting) > MAX_DEPTH or len(path) > MAX_PATH:
                    deep = f"more than {MAX_DEPTH} levels deep" if len(waiting) > MAX_DEPTH else "under endless names"
                    self._note(path[:MAX_PATH], "nested", f"{deep}, not shown")
                    continue
            waiting.append(self._visit(path, node, weights))

    def _again(self, path: str, node: Any) -> None:
        """Note an object that lies at another path too; of a state dict, both are it."""
        taken, first = self._taken.get(id(node)), self._first.get(id(node))
        within_itself = first is not None and path.startswith(first + "." if first else "")
        if taken is not None and not within_itself and len(self.state_dicts) < MAX_STATE_DICTS:
            self._add(StateDict(path, taken.tensors), f", the same as at {visible(taken.path or '(top)')}")
        elif id(node) in self._written:
            self._note(path, "value", self._written[id(node)])
        elif id(node) in self._first and _holds_more(node):
            where = "as one above" if first is None else f"as at {visible(first or '(top)')}"
            self._note(path, "same", f"the same {where}")

    def _visit(self, path: str, node: Any, weights: bool) -> Iterator[tuple[str, Any, bool]]:
        """Note what `node` is, and yield what is below it and still to be visited."""
        state = module_state(node)
        if state is not None:
            self.whole_model = True
            self._note(
                path or "(top)", "model", f"a whole model of class {visible(node.name)}; its class is not needed"
            )
            self._take(path, _module_tensors(state), node)
        elif isinstance(node, dict):
            yield from self._mapping(path, node, weights)
        elif type(node) in TENSOR_CLAIMS:
            info = self.facts({path: node}).get(path)
            if info is None:  # of a file that was cut short: its bytes are gone
                self._note(path, "tensor", "lost", shape=node.shape, dtype=node.dtype)
            else:
                self._loose[path] = info
                self._note(path or "(top)", "tensor", "", tensors=1, size=info.size, shape=info.shape, dtype=info.dtype)
        elif isinstance(node, list | tuple) and not isinstance(node, StorageClaim):
            yield from self._sequence(path, node, weights)
        elif isinstance(node, Call):
            yield from self._object(path, node, weights)
        else:
            self._note(path, *_scalar(node))

    def _mapping(self, path: str, node: dict[Any, Any], weights: bool) -> Iterator[tuple[str, Any, bool]]:
        optimizer = optimizer_state(node)
        if optimizer is not None:
            self._optimizer(path or "(top)", optimizer)
        rest = node if optimizer is None else _without_its_state(node)
        tensors = _tensors_by_text(rest)
        others = len(tensors) < len(rest)
        if others:
            self._note_versions(path, rest)
        kept = weights and not (others and any(isinstance(key, Call) and not _is_value(key) for key in rest))
        if tensors and kept:
            self._take(path, tensors, node)
        elif tensors:
            self._count(path, tensors)
        if path and not tensors and optimizer is None:
            self._note(path, "dict", plural(len(node), "entry", "entries"))
        if others:
            for key, value in rest.items():
                if type(value) not in TENSOR_CLAIMS:
                    name = _key_as_text(key)[:MAX_NAME]
                    below = f"{path}.{name}" if path else name
                    yield below, value, kept and not _NOT_WEIGHTS.search(name)
        for name, value in _attributes(node):
            yield f"{path}.{name}" if path else name, value, kept

    def _optimizer(self, path: str, found: OptimizerState) -> None:
        """An optimizer is one line, and one a group: what it keeps of each parameter is counted, not listed."""
        infos = StateDict(path, self.facts(found.tensors))
        self._note(path, "optimizer", found.says, tensors=len(infos), size=infos.size)
        for number, (settings, count) in enumerate(found.groups):
            shown = ", ".join(f"{name} {_scalar(value)[1]}" for name, value in settings.items())
            self._note(f"{path}.param_groups.{number}", "settings", f"{shown or 'none'}; {plural(count, 'parameter')}")

    def _note_versions(self, path: str, node: dict[Any, Any]) -> None:
        """Trainers write their own version into the file: `pytorch-lightning_version`, `mmengine_version`."""
        if path.count(".") > 1 or len(self.versions) >= MAX_VERSIONS:
            return
        for key, value in node.items():
            if not isinstance(value, str) or not isinstance(key, str) or len(key) >= MAX_NAME:
                continue
            named = _VERSION.fullmatch(key)
            if named and re.match(r"\d+\.\d", value):
                self.versions.append(f"{named[1]} {visible(value, 40)}")

    def _sequence(self, path: str, node: list[Any] | tuple[Any, ...], weights: bool) -> Iterator[tuple[str, Any, bool]]:
        if weights and _is_weights_without_names(node, at_the_top=not path):
            self._take(path, {str(index): value for index, value in enumerate(node)}, node)
            return
        nested = [(index, value) for index, value in enumerate(node) if isinstance(value, dict | list | tuple | Call)]
        plain = [value for value in node[:8] if not isinstance(value, dict | list | tuple | Call)]
        shown = ", ".join(_scalar(value)[1] for value in plain)
        self._note(
            path or "(top)",
            "list",
            f"{plural(len(node), 'item')}{': ' + shown if shown else ''}{' …' if len(node) > 8 and plain else ''}",
        )
        for index, value in nested:
            yield f"{path}.{index}" if path else str(index), value, weights

    def _object(self, path: str, node: Call, weights: bool) -> Iterator[tuple[str, Any, bool]]:
        written = plain_value(node)
        if written is not None:
            self._written[id(node)] = written
            self._note(path or "(top)", "value", written)
            given = node.args[0] if len(node.args) == 1 else node.args
            for index, value in enumerate(given if isinstance(given, list | tuple) else ()):
                if type(value) in TENSOR_CLAIMS:  # of a set
                    yield f"{path}.{index}" if path else str(index), value, weights
            return
        fields = [key for key in node.state if isinstance(key, str)] if isinstance(node.state, dict) else []
        named = f": {listed(fields, 6)}" if fields else ""
        self._note(path or "(top)", "object", f"{visible(node.name)}, not built{named}")
        inside: dict[str, Any] = {}
        if isinstance(node.state, dict):
            inside.update({key: value for key, value in node.state.items() if isinstance(key, str)})
        elif node.state is not None:
            inside["(state)"] = node.state
        if node.pairs:
            inside["(items)"] = node.pairs
        if node.items:
            inside["(values)"] = node.items
        if isinstance(node.args, tuple) and node.args:
            inside["(arguments)"] = node.args
        for name, value in inside.items():
            yield f"{path}.{name[:MAX_NAME]}" if path else name[:MAX_NAME], value, weights

    def _take(self, path: str, claims: dict[str, AnyTensorClaim], node: Any) -> None:
        """List `claims`, which are those of `node`, as a state dict at `path`."""
        if len(self.state_dicts) >= MAX_STATE_DICTS:
            self._count(path, claims)
            return
        self._taken[id(node)] = found = StateDict(path, dict(self.facts(claims)))
        self._add(found)

    def _add(self, found: StateDict, same: str = "") -> None:
        """List a state dict, under a path that no other has: `{"a": {"b": ...}, "a.b": ...}` has two at `a.b`."""
        number, path = 1, found.path
        while path in self._paths:
            number += 1
            path = f"{found.path} ({number})"
        self._paths.add(path)
        self.state_dicts.append(found if path == found.path else StateDict(path, found.tensors))
        says = plural(len(found), "tensor") + same
        self._note(path or "(top)", "state dict", says, tensors=len(found), size=found.size)

    def _take_what_there_is(self) -> None:
        """Where no state dict is found, list what was only counted, or else the tensors that are in no mapping."""
        aside = {found.path for found in self._aside}
        if aside:
            self.entries = [row for row in self.entries if row.kind != "tensors" or row.path not in aside]
            for found in self._aside[:MAX_STATE_DICTS]:
                self._add(found)
        elif self._loose:
            self.nameless = True
            loose = {path or "tensor": info for path, info in self._loose.items()}
            self.state_dicts.append(StateDict("", {key: info._replace(key=key) for key, info in loose.items()}))

    def _count(self, path: str, claims: dict[str, AnyTensorClaim]) -> None:
        infos = StateDict(path, self.facts(claims))
        self._aside.append(infos)
        self._note(path, "tensors", plural(len(infos), "tensor"), tensors=len(infos), size=infos.size)

    def _note(self, path: str, kind: str, says: str, **more: Any) -> None:
        if len(self.entries) >= MAX_ENTRIES:
            self.left_out += 1
        else:
            self.entries.append(Entry(path, kind, says, **more))


def _module_tensors(top: dict[str, Any]) -> dict[str, AnyTensorClaim]:
    """The keys that `state_dict()` of a pickled module would have, without the module's class.

    Source: `torch/nn/modules/module.py`: `_save_to_state_dict` (parameters, then persistent buffers) before children.
    """
    found: dict[str, AnyTensorClaim] = {}
    waiting: list[tuple[str, dict[str, Any], frozenset[int]]] = [("", top, frozenset())]
    visits = 0
    while waiting and visits < MAX_MODULES:
        prefix, state, above = waiting.pop()
        visits += 1
        hidden = state.get("_non_persistent_buffers_set")
        given = hidden.args if isinstance(hidden, Call) else (hidden,)  # a set, in pickles of the old protocols a call
        names = set(_texts(given[0])) if isinstance(given, tuple) and given else set()
        for part in ("_parameters", "_buffers"):
            for name, value in state[part].items():
                if type(value) in TENSOR_CLAIMS and not (part == "_buffers" and name in names):
                    found[f"{prefix}{name}"] = value
        children = []
        for name, child in state["_modules"].items():
            below = module_state(child)
            if below is not None and id(below) not in above:
                children.append((f"{prefix}{name}.", below, above | {id(below)}))
        waiting.extend(reversed(children))
    return found


def _is_weights_without_names(node: list[Any] | tuple[Any, ...], at_the_top: bool) -> bool:
    """Whether a list is one of weights, as Theano's users dumped them: all tensors, and not just a history of numbers."""
    tensors = len(node) > 1 and all(type(value) in TENSOR_CLAIMS for value in node)
    return tensors and (at_the_top or any(len(value.shape) > 1 for value in node))


def _tensors_by_text(node: dict[Any, Any]) -> dict[str, AnyTensorClaim]:
    """The tensors of a mapping by how their keys read. Two keys that read the same (`1` and `"1"`) are told apart.

    Of a mapping from texts to tensors and nothing else, it is that mapping itself.
    """
    if set(map(type, node)) == {str}:
        if set(map(type, node.values())) <= _CLAIMS:
            return node
        return {key: value for key, value in node.items() if type(value) in TENSOR_CLAIMS}
    found: dict[str, AnyTensorClaim] = {}
    for key, value in node.items():
        if type(value) in TENSOR_CLAIMS:
            text = _key_as_text(key)
            found[text if text not in found else f"{text} ({type(key).__name__} {len(found)})"] = value
    return found


def _without_its_state(node: dict[Any, Any]) -> dict[Any, Any]:
    """What lies in an optimizer's mapping beside what every optimizer has."""
    return {key: value for key, value in node.items() if key not in ("state", "param_groups")}


def _attributes(node: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    """What was set on a mapping as an attribute, beside a state dict's versions."""
    state = node.state if isinstance(node, InertDict) else None
    for key, value in state.items() if isinstance(state, dict) else ():
        if key != "_metadata":
            yield f"(attributes).{_key_as_text(key)[:MAX_NAME]}", value


def _holds_more(node: Any) -> bool:
    """Whether an object is worth a word where it lies at a second path: not an empty one, nor a pair of numbers."""
    if type(node) is tuple:
        return any(isinstance(value, dict | list | tuple | Call) for value in node[:8])
    return isinstance(node, Call) or bool(node)


def _key_as_text(key: Any) -> str:
    """How a key of a mapping reads."""
    if isinstance(key, bytes):  # Python 2 wrote texts so; torch.load takes them for UTF-8
        try:
            return key.decode()
        except UnicodeDecodeError:
            return key.decode("latin-1")
    if isinstance(key, Call) and _is_value(key):
        return plain_text(key.args[0], DEPTH_OF_KEYS)
    return str(key) if isinstance(key, str | int | float | TupleKey | None) else "?"


def _is_value(key: Call) -> bool:
    """Whether a key stands for a plain value (a dtype, a device, a long tuple), not for a tensor or an unknown object."""
    value = key.args[0] if key.name == ".key" and type(key.args) is tuple else key
    if isinstance(value, Call):
        return plain_value(value, DEPTH_OF_KEYS) is not None
    return type(value) not in TENSOR_CLAIMS and isinstance(value, tuple | Global)


def _texts(values: Any) -> Iterable[str]:
    return (value for value in values if isinstance(value, str)) if isinstance(values, list | tuple | set) else ()


def _scalar(value: Any) -> tuple[str, str]:
    """The kind of a single value, and how it is written."""
    if value is None or isinstance(value, bool):
        return "value", str(value)
    if isinstance(value, int):
        return "number", str(value) if value.bit_length() < 128 else f"a number of {value.bit_length():,} bits"
    if isinstance(value, float):
        return "number", f"{value:.6g}"
    if isinstance(value, str):
        return "text", visible(value, 200)
    if isinstance(value, bytes | memoryview):
        return "bytes", plural(len(value), "byte")
    if isinstance(value, Global):
        return "name", f"{visible(str(value))}, not imported"
    if isinstance(value, StorageClaim):
        return "storage", f"{visible(value.key)}, {plural(value.elements, 'element')}"
    if type(value) is tuple and len(value) <= 8:
        return "list", f"({', '.join(_scalar(part)[1] for part in value if not isinstance(part, tuple))})"
    if isinstance(value, InertDict | dict):
        return "dict", plural(len(value), "entry", "entries")
    return "object", visible(getattr(value, "name", type(value).__name__))


def preferred(state_dicts: list[StateDict]) -> str:
    """The path of the state dict that people mean: the one with most conv kernels, and of equals the raw one.

    An averaged copy (EMA, teacher) is offered beside it and not chosen in its stead: which of the two is better
    depends on the training.
    """

    def rank(state_dict: StateDict) -> tuple[int, int, bool, int]:
        kernels = sum(len(info.shape) == 4 for info in state_dict.values())
        learned = sum(info.dtype.startswith(("float", "bfloat")) for info in state_dict.values())
        return (kernels, learned if not kernels else 0, not is_averaged(state_dict.path), -len(state_dict.path))

    return max(state_dicts, key=rank).path if len(state_dicts) > 1 else state_dicts[0].path
