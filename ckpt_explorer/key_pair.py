"""KeyPair: one row of an alignment, its status, and the words and signs for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from ckpt_explorer.text import listed, plural, visible


class Status(StrEnum):
    """What becomes of one row."""

    MATCHED = "matched"
    ADAPTED = "adapted"
    SHAPE_MISMATCH = "shape mismatch"
    MISSING = "missing"
    UNEXPECTED = "unexpected"
    IGNORED = "ignored"


SYMBOLS: dict[Status, str] = {
    Status.MATCHED: "●",
    Status.ADAPTED: "◑",
    Status.SHAPE_MISMATCH: "≠",
    Status.MISSING: "−",
    Status.UNEXPECTED: "+",
    Status.IGNORED: "·",
}
"""A sign for each status, so that it is told without colour."""


class Verdict(StrEnum):
    """Whether the checkpoint is this network: all of it, all but a named part, or not."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    INCOMPATIBLE = "incompatible"


class KeyPair(NamedTuple):
    """One row: a key of the checkpoint (as saved, and as renamed), a key of the model, or both.

    `rule` is the position of the last rule that touched the key, `note` what is to be said of the row.
    """

    checkpoint: str | None
    renamed: str | None
    model: str | None
    status: Status
    checkpoint_shape: tuple[int, ...] | None = None
    model_shape: tuple[int, ...] | None = None
    dtype: str | None = None
    rule: int | None = None
    note: str = ""

    @property
    def name(self) -> str:
        """The key by which the row is sorted and searched: the model's, else the renamed one, else the saved one."""
        return self.model or self.renamed or self.checkpoint or ""

    @property
    def is_counter(self) -> bool:
        """Whether this is a count of batches, which takes no part in the output.

        Every framework has a word of its own for it, so one integer that has no place in the network is a count too.
        """
        lone = self.model is None and self.dtype in _WHOLE_NUMBERS and self.checkpoint_shape in _ONE_VALUE
        return lone or is_counter(self.name)

    def as_json(self) -> dict[str, Any]:
        """The row as the command line gives it."""
        row: dict[str, Any] = {
            "checkpoint": self.checkpoint,
            "renamed": self.renamed,
            "model": self.model,
            "status": str(self.status),
            "checkpoint_shape": None if self.checkpoint_shape is None else list(self.checkpoint_shape),
            "model_shape": None if self.model_shape is None else list(self.model_shape),
        }
        if self.rule is not None:
            row["rule"] = self.rule
        if self.note:
            row["note"] = self.note
        return row


_ONE_VALUE = ((), (1,))
_WHOLE_NUMBERS = frozenset(("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool"))


def is_counter(key: str) -> bool:
    """Whether `key` is a BatchNorm's `num_batches_tracked`: never needed, and absent from files before torch 0.4.1."""
    return key == "num_batches_tracked" or key.endswith(".num_batches_tracked")


def named(keys: Sequence[str], limit: int = 3) -> str:
    """`fc.weight and fc.bias`-like text for a sentence: whole modules where there are many keys."""
    if len(keys) <= limit:
        return ", ".join(visible(key, 80) for key in keys)
    modules = dict.fromkeys(key.rsplit(".", 1)[0] if "." in key else key for key in keys)
    return listed(modules, limit) if len(modules) <= limit else f"{plural(len(keys), 'tensor')} ({listed(modules, 2)})"


def shared_front(names: Collection[str], separators: Iterable[str]) -> str:
    """What all names begin with, up to a separator."""
    if not names:
        return ""
    low, high = min(names), max(names)
    same = next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)) - 1)
    return low[: max(low.rfind(mark, 0, same) for mark in separators) + 1]
