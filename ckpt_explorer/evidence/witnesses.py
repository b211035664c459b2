"""Witnesses: many small differences between two ways, and whether they agree on which is the nearer."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from ckpt_explorer.evidence.batchnorm import Arrivals

FEWEST = 6
"""Differences from which they are asked at all."""


def times_nearer(first: Iterable[Arrivals], second: Iterable[Arrivals]) -> list[float]:
    """For each layer the logarithm of how many times nearer the first is; nothing for one that has no such number."""
    pairs = ((one.offset().distance, two.offset().distance) for one, two in zip(first, second, strict=True))
    return [math.log(far / near) for near, far in pairs if 0 < near < math.inf and 0 < far < math.inf]


def students_t(differences: Sequence[float]) -> float | None:
    """Student's t of their mean; None for too few of them, and for differences that are all the same."""
    if len(differences) < FEWEST or not (spread := statistics.stdev(differences)):
        return None
    return statistics.fmean(differences) / (spread / math.sqrt(len(differences)))
