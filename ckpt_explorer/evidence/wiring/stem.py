"""The first conv: what it takes is the data, which no file holds; so what it was fed with is solved for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ckpt_explorer.evidence.wiring.arrivals import Arrival, Figures, correlation, figures

if TYPE_CHECKING:
    import torch

REACHES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 200.0, 1000.0)
"""Distances in pixels over which neighbouring pixels may be alike; the one that explains the variances best is taken."""

BETWEEN_COLOURS = 0.9
"""How alike the colours of one pixel are in photographs (0.9 to 0.98 in CIFAR-10 and ImageNet)."""


@dataclass(frozen=True)
class TrainingInput:
    """What the network seems to have been fed with: mean of each channel, and standard deviation over all.

    The mean is the least-squares solution of the first running_mean on the kernel sums. The deviation comes from the
    first running_var, with an image whose neighbouring pixels and colours are alike; it is good to about a third.
    """

    mean: tuple[float, ...]
    deviation: float | None

    @property
    def values(self) -> str | None:
        """The kind of values that this looks like: `0..255`, `0..1`, `normalised`; None where it says nothing."""
        if self.deviation is None:
            return None
        largest = max(map(abs, self.mean))
        if self.deviation > 20 or largest > 20:
            return "0..255"
        if self.deviation < 0.4 and all(0.15 < mean < 0.8 for mean in self.mean):
            return "0..1"
        return "normalised" if self.deviation < 1.7 and largest < 2 else None

    @property
    def order(self) -> str | None:
        """`RGB` or `BGR`, where the mean was not subtracted: in photographs red is on average above blue."""
        if len(self.mean) != 3 or self.values not in ("0..255", "0..1") or min(self.mean) <= 0:
            return None
        first, second, third = self.mean
        return "RGB" if first > second > third else "BGR" if first < second < third else None

    def as_json(self) -> dict[str, Any]:
        """Mean, deviation and what they look like."""
        deviation = None if self.deviation is None else round(self.deviation, 3)
        return {
            "mean": [round(mean, 4) for mean in self.mean],
            "deviation": deviation,
            "values": self.values,
            "order": self.order,
        }


def stem_figures(arrival: Arrival, weight: torch.Tensor) -> tuple[Figures, TrainingInput | None]:
    """The figures of the first conv, whose input's mean is fitted, and what that input seems to be.

    The correlation is adjusted for the fit: with as many unknowns as input channels, some agreement costs nothing.
    """
    import torch

    plain = figures(replace(arrival, given=None))
    kept = arrival.kept
    inputs, outputs = weight.shape[1], weight.shape[0]
    sums = arrival.kernel.at(0).reshape(outputs, -1).double()
    target = kept.mean - arrival.kernel.offset
    usable = bool(sums.isfinite().all()) and bool(target.isfinite().all()) and bool((kept.variance > 0).all())
    if len(arrival.kernel.squares) != 1 or outputs <= 2 * inputs or not usable:
        return plain, None
    mean = torch.linalg.lstsq(sums, target[:, None]).solution[:, 0]
    left = float((target - sums @ mean).square().sum() / target.square().sum().clamp_min(1e-30))
    adjusted = math.sqrt(max(0.0, 1 - left * outputs / (outputs - inputs)))
    variance = kept.variance.clamp_min(1e-30).log()
    best, deviation = None, None
    for reach in REACHES:
        unit = variance_of_an_image(weight, reach).clamp_min(1e-30).log()
        found = correlation(unit, variance)
        if found is not None and (best is None or found > best):
            best, deviation = found, math.exp(float((variance - unit).median()) / 2)
    made = replace(plain, correlation=adjusted, slope=1.0, spread=best)
    return made, TrainingInput(tuple(mean.tolist()), deviation)


def variance_of_an_image(weight: torch.Tensor, reach: float) -> torch.Tensor:
    """(O, I, k, k) on an image of variance 1 whose pixels at distance d correlate by exp(-d / reach): (O,)."""
    import torch

    _, inputs, high, wide = weight.shape
    row, column = torch.arange(high).double(), torch.arange(wide).double()
    down = row[:, None, None, None] - row[None, None, :, None]
    right = column[None, :, None, None] - column[None, None, None, :]
    pixels = torch.exp(-(down.square() + right.square()).sqrt() / reach).reshape(high * wide, high * wide)
    colours = torch.full((inputs, inputs), BETWEEN_COLOURS).double()
    colours.fill_diagonal_(1.0)
    flat = weight.double().flatten(2)
    mixed = torch.einsum("ij,ojp->oip", colours, flat) @ pixels
    return (mixed * flat).sum((1, 2))
