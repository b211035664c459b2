"""Which optimizer wrote this state, and how large is it: told by the names of its settings and of what it keeps.

Source: the `defaults` and the state of each class in `torch/optim/*.py` (2.15, and the names of older versions).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ckpt_explorer.reading.pickles.torch_objects import TENSOR_CLAIMS, AnyTensorClaim
from ckpt_explorer.text import visible

MAX_PARAMETERS = 200_000
MAX_DEPTH = 6
"""Mappings and lists in one another, below an optimizer's state."""

_OPTIMIZERS: tuple[tuple[str, frozenset[str]], ...] = (
    ("NAdam", frozenset({"betas", "momentum_decay"})),
    ("SGD", frozenset({"momentum", "dampening", "nesterov"})),
    ("RMSprop", frozenset({"alpha", "centered"})),
    ("ASGD", frozenset({"lambd", "t0"})),
    ("Adagrad", frozenset({"lr_decay", "initial_accumulator_value"})),
    ("Adadelta", frozenset({"rho", "eps"})),
    ("Rprop", frozenset({"etas", "step_sizes"})),
    ("LBFGS", frozenset({"history_size", "tolerance_grad"})),
    ("Adafactor", frozenset({"beta2_decay"})),
    ("Adafactor of transformers", frozenset({"scale_parameter", "relative_step"})),
    ("Muon", frozenset({"momentum", "ns_steps"})),
    ("LARS", frozenset({"trust_coefficient"})),
    ("LARS or LAMB", frozenset({"eta", "weight_decay_filter"})),
    ("LAMB", frozenset({"betas", "max_grad_norm"})),
    ("Adam or AdamW", frozenset({"betas", "amsgrad"})),
    ("Lion or one with two betas", frozenset({"betas"})),
    ("an optimizer with momentum", frozenset({"momentum"})),
)
"""Optimizers by settings that each has; the first whose settings are all there is said."""

_SETTINGS = ("lr", "initial_lr", "betas", "momentum", "weight_decay", "eps", "nesterov", "amsgrad")
"""Settings that are shown, in this order."""


@dataclass(frozen=True)
class OptimizerState:
    """An optimizer's state as a file holds it: its class as far as it can be told, settings a group, tensors."""

    kind: str
    groups: tuple[tuple[dict[str, Any], int], ...]
    parameters: int
    tensors: dict[str, AnyTensorClaim]
    keeps: tuple[str, ...] = ()

    @property
    def says(self) -> str:
        """One line: `SGD, 161 parameters in 2 groups, momentum_buffer of each`."""
        groups = f" in {len(self.groups)} groups" if len(self.groups) > 1 else ""
        keeps = (
            f", {', '.join(visible(name, 40) for name in self.keeps[:4])} of each"
            if self.keeps
            else ", nothing kept yet"
        )
        return f"{self.kind}, {self.parameters:,} parameters{groups}{keeps}"


def optimizer_state(node: dict[Any, Any]) -> OptimizerState | None:
    """What `optimizer.state_dict()` gave, recognised by `state` beside `param_groups`; None for any other mapping."""
    state, groups = node.get("state"), node.get("param_groups")
    if not isinstance(state, dict) or not isinstance(groups, list):
        return None
    if any(type(kept) in TENSOR_CLAIMS and isinstance(key, str) for key, kept in state.items()):
        return None  # tensors under names of their own: it is a network's
    rows = [group for group in groups[:1000] if isinstance(group, dict)]
    settings = [
        ({name: group[name] for name in _SETTINGS if name in group and _is_plain(group[name])}, _count(group))
        for group in rows
    ]
    found = list(_tensors({"state": state, "param_groups": rows}))
    keeps = {path[2] for path, _ in found if path[0] == "state" and len(path) > 2}
    tensors = {".".join(path[path[0] == "state" :]): value for path, value in found}
    parameters = sum(count for _, count in settings)
    return OptimizerState(_kind(rows), tuple(settings), parameters, tensors, tuple(sorted(keeps)))


def _kind(groups: list[dict[Any, Any]]) -> str:
    names = {name for group in groups[:1] for name in group if isinstance(name, str)}
    return next((kind for kind, settings in _OPTIMIZERS if settings <= names), "an optimizer of unknown kind")


def _count(group: dict[Any, Any]) -> int:
    parameters = group.get("params")
    return len(parameters) if isinstance(parameters, list | tuple) else 0


def _is_plain(value: Any) -> bool:
    if type(value) is tuple:
        return len(value) <= 4 and all(isinstance(part, int | float) for part in value)
    return isinstance(value, int | float | bool)


def _tensors(top: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], AnyTensorClaim]]:
    """The tensors below `top` with their paths, each mapping and list looked at once.

    Not all are a parameter's own: LBFGS keeps lists of them, and a learning rate may be one.
    """
    seen: set[int] = set()
    waiting: list[tuple[tuple[str, ...], Any]] = [((), top)]
    while waiting:
        path, node = waiting.pop()
        if type(node) in TENSOR_CLAIMS:
            yield path, node
        elif id(node) not in seen and len(seen) < MAX_PARAMETERS and len(path) < MAX_DEPTH:
            seen.add(id(node))
            below = [
                ((*path, str(key if isinstance(key, str | int) else number)), value)
                for number, (key, value) in enumerate(node.items() if isinstance(node, dict) else enumerate(node))
                if isinstance(value, dict | list | tuple)
            ]
            waiting.extend(reversed(below))
