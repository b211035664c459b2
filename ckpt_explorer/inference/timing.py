"""Timing: how long pictures took, as throughput and as percentiles, since a mean hides the slow ones."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

PERCENTILES = (50, 90, 99)
FEWEST_BATCHES = 10
"""From so many on, percentiles of their times say more than the times themselves."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The least of `values` that `percent` of them do not exceed (nearest rank); NaN of nothing."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


@dataclass
class Timing:
    """What was measured of a run. Batches are in milliseconds in the network, pictures in milliseconds of decoding,
    scaling and normalising in a thread of their own; `seconds` is all of it by the clock, so far."""

    batches: list[float] = field(default_factory=list)
    batch_sizes: list[int] = field(default_factory=list)
    reading: list[float] = field(default_factory=list)
    seconds: float = 0.0
    _started: float = field(default_factory=time.perf_counter)

    def batch(self, milliseconds: float, size: int) -> None:
        """A batch came through the network."""
        self.batches.append(milliseconds)
        self.batch_sizes.append(size)
        self.seconds = time.perf_counter() - self._started

    @property
    def pictures(self) -> int:
        """How many were answered."""
        return sum(self.batch_sizes)

    @property
    def per_second(self) -> float:
        """Pictures answered a second, with everything; 0 before the first."""
        return self.pictures / self.seconds if self.seconds else 0.0

    @property
    def says(self) -> str:
        """How long a batch takes in the network: percentiles, or of few batches the fastest and the slowest."""
        size = max(self.batch_sizes, default=0)
        if len(self.batches) >= FEWEST_BATCHES:
            measured = self.as_json()["latency_ms"]
            return f"a batch of {size}: " + ", ".join(f"{name} {value:,.1f} ms" for name, value in measured.items())
        if len(self.batches) == 1:
            return f"one batch of {size}: {self.batches[0]:,.1f} ms"
        if not self.batches:
            return "no batch was answered"
        low, high = min(self.batches), max(self.batches)
        return f"{len(self.batches)} batches of {size} at most: {low:,.1f} to {high:,.1f} ms"

    def as_json(self) -> dict[str, Any]:
        """`latency_ms` is a batch's time in the network, which each of its pictures waits for; `network_ms` a picture's
        share of it, `reading_ms` its decoding and scaling; each as p50, p90 and p99 over the pictures."""
        waits = [batch for batch, size in zip(self.batches, self.batch_sizes, strict=True) for _ in range(size)]
        shares = [batch / size for batch, size in zip(self.batches, self.batch_sizes, strict=True) for _ in range(size)]
        return {
            "pictures": self.pictures,
            "seconds": round(self.seconds, 4),
            "pictures_per_second": round(self.per_second, 3),
            "latency_ms": _percentiles(waits),
            "network_ms": _percentiles(shares),
            "reading_ms": _percentiles(self.reading),
        }


def _percentiles(values: Sequence[float]) -> dict[str, float | None]:
    found = {f"p{percent}": percentile(values, percent) for percent in PERCENTILES}
    return {name: round(value, 3) if math.isfinite(value) else None for name, value in found.items()}
