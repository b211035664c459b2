"""A ranking by what reaches the first BatchNorms: figures of each candidate, those that can't be told apart, the next."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ckpt_explorer.evidence.batchnorm import Arrivals, Offset
from ckpt_explorer.inference.preprocessing import Preprocessing

FARTHEST = 1e9


@dataclass(frozen=True)
class Ranked(Offset):
    """A candidate: its figures, averaged over the first layers, its name for a person, and how it prepares pictures."""

    name: str
    steps: Preprocessing

    def as_json(self) -> dict[str, Any]:
        """`{"name", "mean_z", "log_variance_gap"}`."""
        return {"name": self.name, "mean_z": self.mean_z, "log_variance_gap": self.log_variance_gap}


Row = TypeVar("Row", bound=Ranked)


@dataclass(frozen=True)
class Ranking(Generic[Row]):
    """All candidates, the nearest first; `group` are the names that can't be told apart from it."""

    ranking: tuple[Row, ...]
    group: tuple[str, ...]

    @property
    def near(self) -> tuple[Row, ...]:
        """The candidates of the group, in its order."""
        by_name = {row.name: row for row in self.ranking}
        return tuple(by_name[name] for name in self.group)

    @property
    def out(self) -> Row | None:
        """The nearest candidate outside the group."""
        return next((row for row in self.ranking if row.name not in self.group), None)

    def beside(self, taken: Row) -> list[str]:
        """The names of the group but the one that is taken."""
        return [name for name in self.group if name != taken.name]

    def next_to(self, taken: Row) -> str:
        """A sentence on the next outside the group, with a blank before it; "" where there is none."""
        out = self.out
        return f" The next, {out.name}, is {out.distance:.2f} off, against {taken.distance:.2f}." if out else ""


def not_apart(rows: Sequence[Row], times: float, plus: float) -> list[Row]:
    """Those whose distance is up to so many times the least, or that much more, in the order given."""
    nearest = min(row.distance for row in rows)
    limit = max(times * nearest, nearest + plus)
    return [row for row in rows if row.distance <= limit]


def average_offset(layers: Iterable[Arrivals]) -> Offset:
    """The average over layers; NaN, which orders nothing, and infinity are the farthest of all."""
    figures = [layer.offset() for layer in layers]
    z = statistics.fmean(row.mean_z for row in figures)
    gap = statistics.fmean(row.log_variance_gap for row in figures)
    return Offset(*(value if math.isfinite(value) else FARTHEST for value in (z, gap)))
