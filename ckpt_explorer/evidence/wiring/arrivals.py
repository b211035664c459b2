"""Every BatchNorm with the conv before it: what must arrive there, held against what it kept, as a handful of figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ckpt_explorer.evidence.wiring.flow import (
    SIDES,
    Kernel,
    Moments,
    Norm,
    Weights,
    normalised,
    padded,
    pooled,
    rectified,
    summed,
    through,
)
from ckpt_explorer.evidence.wiring.graph import Graph, Step
from ckpt_explorer.evidence.wiring.shuffles import better_orders
from ckpt_explorer.evidence.wiring.slope import TINY, through_origin

if TYPE_CHECKING:
    import torch

Reads = Literal["image", "inside", "stream"]

QUIET = 1e-9
"""A variance of which BatchNorm makes nothing: its eps, 1e-5 and more, is ten thousand times as large. Pruning and weight
decay drive whole layers there, and of their statistics no ratio means anything."""

CRAMPED = 4
"""Pixels along a map's side up to which the edges, which are unlike the rest, are half of it or more."""

WEAK_MISFIT = 0.25
"""The misfit from which a layer is asked whether any other order of its inputs would do as well."""


@dataclass(frozen=True)
class Arrival:
    """A BatchNorm, the conv whose output it takes, and the moments of what that conv takes: None where not known.

    `reads` says whether the conv takes the image, the output of one other layer inside a block, or the residual
    stream, which several layers take. `shrinks` is the conv's stride, `reduction` the product of all up to behind it.
    """

    norm: str
    conv: str
    reads: Reads
    kernel: Kernel
    kept: Norm
    given: Moments | None
    shrinks: int = 1
    reduction: int = 1

    def is_cramped(self, side: int) -> bool:
        """Whether it takes so few places of so small a map that they are not like the map's average.

        A stride of 2 on a map of 2x2 pixels takes the corner alone, where half of every 3x3 kernel before it lay
        in the padding.
        """
        return self.shrinks > 1 and max(SIDES[side] // self.reduction, 1) * self.shrinks <= CRAMPED


def arrivals(graph: Graph, weights: Weights) -> tuple[Arrival, ...]:
    """The arrivals of a network in the order of its layers; a BatchNorm that does not stand behind a conv is left out."""
    return tuple(_arrivals(graph, weights))


def _arrivals(graph: Graph, weights: Weights) -> Iterator[Arrival]:
    uses = Counter(source for step in graph for source in step.inputs)
    moments: list[Moments | None] = []
    for step in graph:
        if step.kind == "norm" and (conv := graph[step.inputs[0]]).kind == "conv":
            kernel, kept = weights.kernel(conv), weights.norm(step.module)
            if kernel is not None and kept is not None and kernel.outputs == len(kept.mean):
                reads = _reads(graph, conv.inputs[0], uses)
                given = moments[conv.inputs[0]]
                yield Arrival(step.module, conv.module, reads, kernel, kept, given, conv.shrinks, conv.reduction)
        moments.append(after(step, [moments[source] for source in step.inputs], weights))


def _reads(graph: Graph, at: int, uses: Counter[int]) -> Reads:
    while graph[at].kind == "same" and uses[at] == 1:
        at = graph[at].inputs[0]
    if graph[at].kind == "image":
        return "image"
    return "inside" if uses[at] == 1 else "stream"


def after(step: Step, given: list[Moments | None], weights: Weights) -> Moments | None:
    """The moments behind a step, from those of its inputs; None where they are not known."""
    if step.kind == "norm":
        norm = weights.norm(step.module)
        return None if norm is None else normalised(norm)
    known = [moments for moments in given if moments is not None]
    if not known or len(known) < len(given):
        return None
    if step.kind == "relu":
        return rectified(known[0])
    if step.kind == "same":
        return known[0]
    if step.kind == "maximum":
        return pooled(known[0])
    if step.kind == "pad":
        return padded(known[0], *step.padding)
    if step.kind == "add" and known[0].mean.shape == known[1].mean.shape:
        return summed(known[0], known[1])
    return None


@dataclass(frozen=True)
class Figures:
    """What one BatchNorm says of the conv before it.

    `correlation` is Pearson's, over channels, of predicted mean and running_mean; `slope` the factor between them;
    `spatial` counts the taps of the conv's kernel, `affinity` is the correlation of log |w|^2 with log running_var (it needs no propagation). `misfit` is the relative
    error that each input's mean would need for the prediction to hold, after the slope: sqrt(mean(e^2 / sum(S^2 m^2)))
    for kernel sums S and input means m. `misfit_without_pattern` is the same with the inputs' average in place of
    each input's own mean: where it is smaller, the conv does not know its inputs. `pattern` and `lacking` say the same
    in standard errors: how far above nothing, and how far below that of the average, the part is that each input's own
    mean has in what was kept, beside their average. `spread` is the correlation, and
    `gain` the median, of log running_var minus log of the predicted variance. All None where they can't be had.
    `cramped` says that the prediction of the mean is a rough one: see `Arrival.is_cramped`. `better_orders` is the share
    of other orders of the inputs that explain as much as their own: asked of those above WEAK_MISFIT, None of others.
    """

    norm: str
    conv: str
    reads: Reads
    channels: int
    spatial: int = 1
    correlation: float | None = None
    slope: float | None = None
    affinity: float | None = None
    misfit: float | None = None
    misfit_without_pattern: float | None = None
    pattern: float | None = None
    lacking: float | None = None
    spread: float | None = None
    gain: float | None = None
    cramped: bool = False
    better_orders: float | None = None

    @property
    def share(self) -> float | None:
        """The misfit as a share of that without pattern: how much it helps to know each input's own mean."""
        if not self.misfit or not self.misfit_without_pattern:
            return None
        return self.misfit / self.misfit_without_pattern


def correlation(one: torch.Tensor, other: torch.Tensor) -> float | None:
    """Pearson's correlation of two (C,); None where either is constant or not finite."""
    if len(one) < 2:
        return None
    one, other = one - one.mean(), other - other.mean()
    scale = float(one.norm() * other.norm())
    if not math.isfinite(scale) or float(one.abs().max()) < 1e-12 or float(other.abs().max()) < 1e-12:
        return None
    return float(one @ other) / scale


def figures(arrival: Arrival, side: int = 0) -> Figures:
    """The figures of one arrival, for training pictures of SIDES[side] pixels."""
    kept, kernel = arrival.kept, arrival.kernel
    alive = _alive(arrival)
    variance = kept.variance.clamp_min(TINY).log()
    size = kernel.size.clamp_min(TINY).log()
    affinity = correlation(size[alive], variance[alive])
    plain = Figures(
        arrival.norm,
        arrival.conv,
        arrival.reads,
        len(kept.mean),
        arrival.kernel.spatial,
        affinity=affinity,
        cramped=arrival.is_cramped(side),
    )
    if arrival.given is None:
        return plain
    given, sums = arrival.given, kernel.at(side)
    scale = through(kernel.squared, given.mean**2).sqrt().clamp_min(TINY)
    target = ((kept.mean - kernel.offset) / scale)[alive]
    predicted = through(sums, given.mean)
    slope, misfit = _fit(target, (predicted / scale)[alive])
    flat = through(sums, given.mean.mean().expand_as(given.mean))
    pattern, lacking = _own_part(target, (flat / scale)[alive], ((predicted - flat) / scale)[alive])
    spread = (through(kernel.squares, given.variance) + through(kernel.squared, given.variance)).clamp_min(TINY).log()
    return replace(
        plain,
        correlation=correlation(predicted + kernel.offset, kept.mean),
        slope=slope,
        misfit=misfit,
        misfit_without_pattern=_fit(target, (flat / scale)[alive])[1],
        pattern=pattern,
        lacking=lacking,
        spread=correlation(spread[alive], variance[alive]),
        gain=float((variance - spread)[alive].median()) if bool(alive.any()) else None,
        better_orders=better_orders(arrival, side, alive) if misfit is not None and misfit > WEAK_MISFIT else None,
    )


def _alive(arrival: Arrival) -> torch.Tensor:
    """The channels that take part: of those that weight decay has driven to nothing, no ratio means anything."""
    size, variance = arrival.kernel.size, arrival.kept.variance
    return (size > 1e-6 * size.median()) & (variance > 1e-6 * variance.median()) & ~silent(arrival)


def silent(arrival: Arrival) -> torch.Tensor:
    """The channels (C,) at which nothing arrives, by the weights and by what was kept: dead in training, or pruned before."""
    given, kernel = arrival.given, arrival.kernel
    arriving = kernel.size if given is None else through(kernel.squares, given.mean**2 + given.variance)
    return (arriving < QUIET) & (arrival.kept.variance < QUIET)


def _fit(y: torch.Tensor, x: torch.Tensor) -> tuple[float | None, float | None]:
    """The slope of (C,) y on x through the origin, and the root mean square of what is left over the slope."""
    square = float(x @ x)
    if len(y) == 0 or not math.isfinite(square) or square < TINY or not bool(y.isfinite().all()):
        return None, None
    slope, left = through_origin(y, x)
    return float(slope), float(left)


def _own_part(y: torch.Tensor, average: torch.Tensor, own: torch.Tensor) -> tuple[float | None, float | None]:
    """Least squares of (C,) y on what the inputs' average gives and on what each one's own mean adds to it.

    In standard errors: the coefficient of the second, and by how much it falls short of that of the first. Both are one
    where every layer stands in its place.
    """
    import torch

    ways = torch.stack([average, own], 1)
    square = ways.T @ ways
    if len(y) <= 2 or not bool(square.isfinite().all() and y.isfinite().all()):
        return None, None
    of_average, of_own = (float(value) for value in torch.linalg.lstsq(ways, y[:, None]).solution[:, 0])
    left = float((y - of_average * average - of_own * own).square().sum()) / (len(y) - 2)
    determinant = float(torch.linalg.det(square))
    if not left > 0 or determinant < TINY:
        return None, None
    error = math.sqrt(left * float(square[0, 0]) / determinant)
    return of_own / error, (of_average - of_own) / error


def side_of(arrivals: Sequence[Arrival]) -> int:
    """Which of SIDES explains all arrivals best: the median over layers of the log of the misfit is the smallest."""
    import torch

    found = []
    for row in arrivals:
        if row.given is None or row.kernel.spatial == 1:
            continue
        alive = _alive(row)
        scale = through(row.kernel.squared, row.given.mean**2).sqrt().clamp_min(TINY)
        target = ((row.kept.mean - row.kernel.offset) / scale)[alive]
        ways = (torch.stack([through(table, row.given.mean) for table in row.kernel.sums]) / scale)[:, alive]
        found.append(through_origin(target, ways)[1].clamp_min(1e-6).log())
    return int(torch.stack(found).nan_to_num(0.0).median(0).values.argmin()) if found else 0
