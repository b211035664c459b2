"""align(): line a state dict's keys up against a network, one KeyPair a row, and say whether they fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ckpt_explorer.architectures.architecture import Architecture, ModelTensor
from ckpt_explorer.checkpoint import Checkpoint, StateDict, TensorInfo
from ckpt_explorer.errors import CheckpointExplorerError, RuleError
from ckpt_explorer.key_pair import KeyPair, Status, Verdict, is_counter
from ckpt_explorer.rules import RenamedKey, Renaming, RuleSet
from ckpt_explorer.verdict import explain

__all__ = ["Alignment", "KeyPair", "Status", "Verdict", "align", "align_despite"]


@dataclass(frozen=True, eq=False)
class Alignment:
    """A state dict held against a network: rows in the model's order, then what is left of the file."""

    state_dict: StateDict
    architecture: Architecture
    rules: RuleSet
    renaming: Renaming
    pairs: tuple[KeyPair, ...]

    def rows(self, *statuses: Status) -> tuple[KeyPair, ...]:
        """The rows that have one of these statuses."""
        return tuple(pair for pair in self.pairs if pair.status in statuses)

    @cached_property
    def summary(self) -> dict[str, int]:
        """How many rows have each status, by its name with an underscore."""
        counts = Counter(pair.status for pair in self.pairs)
        return {str(status).replace(" ", "_"): counts[status] for status in Status}

    @cached_property
    def filled(self) -> tuple[str, ...]:
        """The model's keys that the file fills, without counters of batches: those are no evidence of anything."""
        rows = self.rows(Status.MATCHED, Status.ADAPTED)
        return tuple(pair.model for pair in rows if pair.model and not is_counter(pair.model))

    @cached_property
    def unfilled(self) -> tuple[str, ...]:
        """The model's keys that the file does not fill; counters of batches are not asked for."""
        rows = self.rows(Status.MISSING, Status.SHAPE_MISMATCH)
        return tuple(pair.model for pair in rows if pair.model and not is_counter(pair.model))

    @cached_property
    def strangers(self) -> tuple[str, ...]:
        """Learned tensors of the file that lie inside a part of the model and have no place there, by renamed key."""
        parts = _modules(pair.model for pair in self.pairs if pair.model and pair.checkpoint)
        return tuple(
            pair.renamed
            for pair in self.rows(Status.UNEXPECTED)
            if pair.renamed and not is_counter(pair.renamed) and _inside(pair.renamed, parts, self.architecture)
        )

    @cached_property
    def verdict(self) -> Verdict:
        """Complete, partial or incompatible, as DESIGN's words have it. See `says` for the reason."""
        head = set(self.architecture.head)
        if self.strangers or not self.filled:
            return Verdict.INCOMPATIBLE
        if not self.unfilled:
            return Verdict.COMPLETE
        return Verdict.PARTIAL if set(self.unfilled) <= head else Verdict.INCOMPATIBLE

    @property
    def says(self) -> str:
        """The verdict and its reason, in one or two sentences for a person."""
        return explain(self)

    def as_json(self) -> dict[str, Any]:
        """What `align --json` gives, without alternatives and diagnoses."""
        rules = [
            {**rule.as_json(), "touches": row.count}
            for rule, row in zip(self.rules, self.renaming.touched, strict=True)
        ]
        return {
            "state_dict": self.state_dict.path,
            "architecture": self.architecture.as_json(),
            "rules": rules,
            "keys": [pair.as_json() for pair in self.pairs],
            "summary": self.summary,
            "verdict": str(self.verdict),
            "says": self.says,
        }


def align(source: Checkpoint | StateDict, architecture: Architecture, rules: RuleSet | None = None) -> Alignment:
    """Hold a state dict against a network, through `rules`.

    Of a Checkpoint, the state dict is the one that a `take from` rule names, else the selected one. No tensor is
    read: keys, shapes and dtypes decide.

    Raises:
        RuleError: a rule is not valid; RuleCollision: two keys would get one name.
        CheckpointExplorerError: a `take from` rule names a state dict that is not there.
    """
    rules = rules or RuleSet()
    state_dict = source
    if isinstance(source, Checkpoint):
        state_dict = source.state_dict if rules.taken_from is None else _taken(source, rules)
    assert isinstance(state_dict, StateDict)
    renaming = rules.apply(state_dict)
    by_name = {row.renamed: row for row in renaming.keys if row.renamed is not None}
    pairs = [_model_row(key, wanted, by_name.get(key), state_dict) for key, wanted in architecture.tree.items()]
    left = [row for row in renaming.keys if row.renamed is None or row.renamed not in architecture.tree]
    unexpected = [_left_row(row, state_dict, Status.UNEXPECTED) for row in left if row.renamed is not None]
    ignored = [_left_row(row, state_dict, Status.IGNORED) for row in left if row.renamed is None]
    return Alignment(state_dict, architecture, rules, renaming, (*pairs, *unexpected, *ignored))


def _taken(source: Checkpoint, rules: RuleSet) -> StateDict:
    """The state dict that the last `take from` names; where there is none, the complaint is about that rule."""
    position, rule = [row for row in enumerate(rules) if row[1].kind == "take from" and row[1].enabled][-1]
    try:
        return source.state_dict_at(rule.find)
    except CheckpointExplorerError as error:
        raise RuleError(str(error), position) from None


def align_despite(
    source: Checkpoint | StateDict, architecture: Architecture, rules: RuleSet
) -> tuple[Alignment, dict[int, str]]:
    """Align with as many of `rules` as can be applied: one that can't is switched off, and its complaint given.

    For a person who edits rules: the rest of the list goes on working while one rule is wrong. The complaints are
    sentences by position; the alignment's own rules are those in force.
    """
    complaints: dict[int, str] = {}
    while True:
        try:
            return align(source, architecture, rules), complaints
        except RuleError as error:
            if error.position is None or error.position in complaints:
                raise
            complaints[error.position] = str(error)
            rules = rules.replaced(error.position, rules[error.position].switched(False))


def _model_row(key: str, wanted: ModelTensor, row: RenamedKey | None, state_dict: StateDict) -> KeyPair:
    if row is None:
        note = "a counter that is not needed" if is_counter(key) else ""
        return KeyPair(None, None, key, Status.MISSING, None, wanted.shape, wanted.dtype, note=note)
    info = state_dict[row.key]
    status, note = _fit(info, wanted)
    rule = row.rules[-1] if row.rules else None
    return KeyPair(row.key, row.renamed, key, status, info.shape, wanted.shape, info.dtype, rule, note)


def _left_row(row: RenamedKey, state_dict: StateDict, status: Status) -> KeyPair:
    info = state_dict[row.key]
    return KeyPair(
        row.key, row.renamed, None, status, info.shape, None, info.dtype, row.rules[-1] if row.rules else None
    )


_FLOAT_BITS: dict[str, tuple[int, int]] = {
    "float64": (11, 52),
    "float32": (8, 23),
    "bfloat16": (8, 7),
    "float16": (5, 10),
    "float8_e8m0fnu": (8, 0),
    "float8_e5m2": (5, 2),
    "float8_e5m2fnuz": (5, 2),
    "float8_e4m3fn": (4, 3),
    "float8_e4m3fnuz": (4, 3),
}
"""Bits of exponent and of fraction: a cast loses nothing where neither shrinks."""


def _rounds(ours: str, theirs: str) -> bool:
    """Whether a cast between two floating dtypes may change a value."""
    if ours not in _FLOAT_BITS or theirs not in _FLOAT_BITS:
        return False
    return any(a > b for a, b in zip(_FLOAT_BITS[ours], _FLOAT_BITS[theirs], strict=True))


def _fit(info: TensorInfo, wanted: ModelTensor) -> tuple[Status, str]:
    if info.shape != wanted.shape:
        return Status.SHAPE_MISMATCH, ""
    if info.dtype == wanted.dtype:
        return Status.MATCHED, ""
    kinds = [_numeric_kind(dtype) for dtype in (info.dtype, wanted.dtype)]
    if kinds[0] != kinds[1]:
        return Status.SHAPE_MISMATCH, f"{info.dtype} can't stand for {wanted.dtype}"
    if _rounds(info.dtype, wanted.dtype):
        return Status.ADAPTED, f"{info.dtype} rounded to {wanted.dtype}"
    return Status.MATCHED, f"{info.dtype} cast to {wanted.dtype} without loss"


def _numeric_kind(dtype: str) -> str:
    return (
        "float"
        if "float" in dtype
        else "complex"
        if dtype.startswith("complex")
        else "quantised"
        if dtype.startswith("q")
        else "int"
    )


def _modules(keys: Iterable[str]) -> set[str]:
    """All dotted module paths above `keys`."""
    paths: set[str] = set()
    for key in keys:
        parts = key.split(".")
        paths.update(".".join(parts[:depth]) for depth in range(1, len(parts)))
    return paths


def _inside(key: str, parts: set[str], architecture: Architecture) -> bool:
    """Whether `key` lies inside a module of the model that the file fills, its head excepted."""
    head = {part.rsplit(".", 1)[0] for part in architecture.head}
    path = key.split(".")
    top = path[0]
    if any(top == module or key.startswith(module + ".") for module in head):
        return False
    wrapped = len({name.split(".")[0] for name in architecture.tree}) == 1
    if not wrapped:
        return top in parts
    return len(path) > 2 and ".".join(path[:2]) in parts
