"""Drift: what is new in a file since its rules were written: rules that touch nothing, keys that no rule expects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.key_pair import Status, is_counter, named
from ckpt_explorer.text import plural


@dataclass(frozen=True)
class Drift:
    """Positions of rules that touch nothing, keys of the file without a place, and keys of the network without a source."""

    idle: tuple[int, ...]
    unknown: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def is_none(self) -> bool:
        """Whether the rules fit this file as they fitted the one that they were written for."""
        return not (self.idle or self.unknown or self.missing)

    @property
    def says(self) -> str:
        """One sentence for a person; empty where there is no drift."""
        parts = []
        if self.idle:
            touch = "touches" if len(self.idle) == 1 else "touch"
            parts.append(f"{plural(len(self.idle), 'rule')} ({_positions(self.idle)}) {touch} nothing in this file")
        if self.unknown:
            parts.append(f"no rule knows {plural(len(self.unknown), 'key')} of it ({named(self.unknown)})")
        if self.missing:
            find = "finds" if len(self.missing) == 1 else "find"
            parts.append(
                f"{plural(len(self.missing), 'tensor')} of the network {find} no source ({named(self.missing)})"
            )
        return f"The rules were written for another file: {'; '.join(parts)}." if parts else ""

    def as_json(self) -> dict[str, Any]:
        """As the command line gives it."""
        return {"idle": list(self.idle), "unknown": list(self.unknown), "missing": list(self.missing)}


def drift_of(alignment: Alignment, known: Iterable[str] = ()) -> Drift:
    """The drift of an alignment whose rules came from elsewhere; `known` are keys that are expected to have no place."""
    expected = set(known)
    idle = tuple(
        position
        for position, (rule, touched) in enumerate(zip(alignment.rules, alignment.renaming.touched, strict=True))
        if rule.enabled and rule.kind != "take from" and not touched.count
    )
    unknown = tuple(
        pair.checkpoint
        for pair in alignment.rows(Status.UNEXPECTED)
        if pair.checkpoint and pair.checkpoint not in expected and not is_counter(pair.checkpoint)
    )
    return Drift(idle, unknown, alignment.unfilled)


def _positions(positions: tuple[int, ...]) -> str:
    return ", ".join(str(position + 1) for position in positions[:5])
