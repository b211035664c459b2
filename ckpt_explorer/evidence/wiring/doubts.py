"""Which layer is doubted, and why: each figure against what the network's own layers show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ckpt_explorer.evidence.wiring.arrivals import WEAK_MISFIT, Arrival, Figures, silent
from ckpt_explorer.evidence.wiring.order import Exchange
from ckpt_explorer.evidence.wiring.shortcuts import Reading
from ckpt_explorer.evidence.wiring.stem import TrainingInput

FEWEST_CHANNELS = 8
"""Below this a correlation over channels says nothing: its standard error, 1 / sqrt(C - 3) in Fisher's z, is 0.5."""

FEWEST_LAYERS = 3

TRAINED = 0.7
"""The median correlation from which the file is evidence. Random tensors give 0 with a standard error of 0.3 at most
a layer, so their median does not come near; a trained network's is above 0.95."""

NEIGHBOURS = 4
"""Layers of the same kind on each side that a layer's slope and misfit are held against: the residual stream drifts
slowly with depth, since its branches are summed as if they were independent."""

SCALE, SCALE_OF_MEANS = math.log(1.5), math.log(1.45)
"""A layer's scale may differ from its neighbours' by this factor, and that of its means alone, which is the surer one, by
the second. Between whole (up to 1.35, of means up to 1.3 over networks tried) and a conv that was halved or doubled (2);
variances alone are off by up to 2 in whole layers, where inputs are far from independent."""

MISFIT, FAR = 0.5, 3.0
"""A relative error of all input means at which a prediction explains nothing, and how many times its neighbours' it must
be: a random conv has above 1, and no layer of a whole network above 0.41, but where the weights moved on faster than the
statistics followed. There all of the network has 0.4, and single layers 1.0."""

USELESS, WORSE = 0.8, 1.6
"""From WEAK_MISFIT, and from twice its neighbours' misfit, a layer is doubted if its inputs' own means explain it no better
than their average does: if the misfit is at least USELESS of that without pattern, and WORSE times what the ratio is
for its neighbours. Shuffled inputs show 0.8 to 3 where neighbours show 0.1 to 0.6. In a network that was trained for
a minute all inputs are still alike, neighbours show 0.8 to 1, and nothing can be seen there."""

ANY_ORDER = 0.02
"""And if more than this share of other orders of its inputs explain it as well as their own. Of 154 layers of four
published networks all but one are at 0, and that one, whose inputs are rare and alike, at 0.01; of shuffled inputs
chance gives less in one of fifty."""

KNOWN, UNKNOWN, PLAINLY = 3.0, 4.0, 9.0
"""In standard errors. Where the part of the inputs' own means is below KNOWN, and UNKNOWN below what it should be, while it
is above PLAINLY in the middle of the neighbours, a conv does not know its inputs however well their average explains what
was kept. In seventy published networks of 20 to 56 layers the part is 23 in the middle, and of shuffled inputs up to 3 in
96 of 100 cases; in a network that was trained for a minute it is 4, and nothing can be seen there."""

LOOSE = 0.5
"""The correlation below which a layer is doubted whose mean can be predicted but roughly: whole ones show 0.75 and more
(stages that end in maps of one pixel), random and shuffled ones about 0."""

STEP = math.log(1.2)
"""A scaled conv stands out from the layer before it and from the one behind it, by this factor at least: where a whole
stage has another scale, as with maps of one pixel and few pictures, no single conv is scaled."""

DEVIATION = (1.7, 20.0)
"""Standard deviations of an input that nobody trains with: normalised ones are 0.2 to 1.3, bytes 30 and more."""

LIKELIER = 10.0
"""The gain, in natural logarithms of likelihood, from which two blocks are said to stand in each other's place. Of seventy
published networks of 20 to 56 layers, whole ones reach 8 by chance; exchanged ones gain more than 10 in 96 of 100 cases,
76 in the middle."""


@dataclass(frozen=True)
class Doubt:
    """A layer that is doubted: the BatchNorm where it shows, the tensors in question, and a sentence.

    `next` is the step to take where it is another than to look for these tensors, which are none then.
    """

    layer: str
    tensors: tuple[str, ...]
    says: str
    next: str = ""


CONSTANT = ("are still at 0 and 1", "are the same in every channel")


def broken_statistics(mean: Sequence[float], variance: Sequence[float]) -> str | None:
    """What is wrong with running statistics in themselves, as the end of a sentence; None where nothing is."""
    if not all(map(math.isfinite, (*mean, *variance))):
        return "are not all finite numbers"
    if min(variance) < 0:
        return "have negative variances"
    if len(mean) > 1 and max(mean) == min(mean) and max(variance) == min(variance):
        return CONSTANT[0] if (mean[0], variance[0]) == (0, 1) else CONSTANT[1]
    return None


def broken(arrivals: Sequence[Arrival], evident: bool) -> list[Doubt]:
    """Doubts that no comparison is needed for; constant statistics are one where other layers' are trained."""
    found = []
    for row in arrivals:
        wrong = broken_statistics(row.kept.mean.tolist(), row.kept.variance.tolist())
        statistics = (f"{row.norm}.running_mean", f"{row.norm}.running_var")
        if wrong and (evident or not wrong.endswith(CONSTANT)):
            found.append(Doubt(row.norm, statistics, f"The running statistics of {row.norm} {wrong}."))
        elif not bool(row.kernel.size.isfinite().all()):
            weight: tuple[str, ...] = (f"{row.conv}.weight",)
            found.append(Doubt(row.norm, weight, f"The weights of {row.conv} are not all finite numbers."))
        elif not bool(row.kept.scale.isfinite().all() and row.kept.shift.isfinite().all()):
            own = (f"{row.norm}.weight", f"{row.norm}.bias")
            found.append(Doubt(row.norm, own, f"Scale and shift of {row.norm} are not all finite numbers."))
        elif evident and not bool(row.kernel.size.any() or silent(row).all()):
            found.append(Doubt(row.norm, (f"{row.conv}.weight",), f"The weights of {row.conv} are all zero."))
    return found


def usual_fit(rows: Sequence[Figures]) -> float | None:
    """The median correlation of the layers that can show one; None where they are too few."""
    found = [row.correlation or 0.0 for row in rows if row.channels >= FEWEST_CHANNELS and row.slope is not None]
    known = found[1:] if rows and rows[0].reads == "image" else found
    return median(known) if len(known) >= FEWEST_LAYERS else None


def is_evident(rows: Sequence[Figures]) -> bool:
    """Whether the statistics fit the weights well enough, over the whole network, to judge single layers by them."""
    usual = usual_fit(rows)
    return usual is not None and usual >= TRAINED


def exchange_doubt(better: Exchange) -> Doubt:
    """Two blocks in each other's place, as a doubt of the first."""
    keys = (f"{better.first}.*", f"{better.second}.*")
    return Doubt(
        better.first,
        keys,
        f"{better.first} and {better.second} fit the statistics better in each other's place: the order of the blocks is not the one that was trained.",
    )


def shortcut_doubt(reading: Reading, first: str) -> Doubt:
    """Other shortcuts than the network's, as a doubt that shows first at a BatchNorm."""
    return Doubt(first, (), f"The statistics fit better where {reading.says}.", reading.next)


def doubts_among(rows: Sequence[Figures], fed: TrainingInput | None) -> list[Doubt]:
    """The layers whose figures do not fit the network's own, in order."""
    usual = median(_fisher(row.correlation) for row in rows if row.correlation is not None)
    found = []
    for at, row in enumerate(rows):
        if row.channels < FEWEST_CHANNELS or row.correlation is None:
            continue
        keys = (f"{row.conv}.weight", f"{row.norm}.running_mean", f"{row.norm}.running_var")
        reason = _of_stem(row, fed, usual) if row.reads == "image" else _of_layer(rows, at, usual)
        if reason:
            found.append(Doubt(row.norm, keys, reason))
    return found


def _of_stem(row: Figures, fed: TrainingInput | None, usual: float) -> str | None:
    """The first conv: doubted if neither its means nor its variances fit, or if the input would have an odd scale."""
    if _falls_short(row, row.correlation, usual) and _falls_short(row, row.spread, usual):
        return f"No input explains what {row.norm} kept, with the weights of {row.conv} (correlation of means {row.correlation:.2f}, of variances {row.spread or 0:.2f})."
    if fed and fed.deviation and DEVIATION[0] < fed.deviation < DEVIATION[1]:
        return f"With the weights of {row.conv}, the statistics of {row.norm} need an input of standard deviation {fed.deviation:.1f}: no usual normalisation has it, so the weights are scaled."
    return None


def _of_layer(rows: Sequence[Figures], at: int, usual: float) -> str | None:
    row = rows[at]
    near = _near(rows, at)
    if not row.misfit or not row.share:
        return None
    nearby = median(other.misfit or 0.0 for other in near) if near else row.misfit
    lost = _falls_short(row, row.correlation, 2 * math.atanh(LOOSE) if row.cramped else usual)
    if lost or (not row.cramped and row.misfit > max(MISFIT, FAR * nearby)):
        return f"What must arrive at {row.norm}, through {row.conv}, is not what it kept (correlation {row.correlation:.2f}, usual in this file {math.tanh(usual):.2f}): one of the two is not the one that was trained here."
    usual_share = median(other.share or 1.0 for other in near) if near else row.share
    useless = row.misfit > max(WEAK_MISFIT, 2 * nearby) and row.share > max(USELESS, WORSE * usual_share)
    shuffled = (useless and (row.better_orders or 0.0) > ANY_ORDER) or _lacks_inputs(row, near)
    if shuffled and not row.cramped:
        return f"{row.conv} does not know its inputs: {row.norm} is explained as well by their average (relative error {row.misfit:.2f}, by the average {row.misfit / row.share:.2f}). Its input channels, or the layer before it, are not those that it was trained with."
    scale = scale_against(row, near)
    if scale is not None and is_scaled(scale, nearby) and _stands_out(rows, at, sum(scale) / 2):
        factor = math.exp(-sum(scale) / 2)
        return f"What arrives at {row.norm} is {factor:.2f} times what it kept, beyond its neighbours: the weights of {row.conv} are scaled."
    return None


def _lacks_inputs(row: Figures, near: Sequence[Figures]) -> bool:
    """Whether its inputs' own means have no part in what a layer kept, where in its neighbours they plainly have."""
    if row.pattern is None or row.lacking is None or row.pattern >= KNOWN or row.lacking <= UNKNOWN:
        return False
    return median(other.pattern or 0.0 for other in near) > PLAINLY if near else False


def scale_against(row: Figures, near: Sequence[Figures]) -> tuple[float, float] | None:
    """The log of the factor by which a layer's statistics exceed its prediction, beyond what its neighbours show.

    Once of means, and once of deviations: their errors have little to do with each other.
    """
    slopes = [math.log(other.slope) for other in near if other.slope and other.slope > 0]
    gains = [other.gain for other in near if other.gain is not None]
    if not slopes or not gains or row.slope is None or row.slope <= 0 or row.gain is None:
        return None
    return math.log(row.slope) - median(slopes), (row.gain - median(gains)) / 2


def is_scaled(scale: tuple[float, float], nearby: float = 0.0) -> bool:
    """Whether the two factors of `scale_against` say together that the weights were scaled, and the means by themselves.

    `nearby` is the neighbours' misfit, by which their scale is uncertain as well.
    """
    both = sum(scale) / 2
    return abs(both) > max(SCALE, nearby + SCALE / 4) and scale[0] * math.copysign(1, both) > SCALE_OF_MEANS


def _stands_out(rows: Sequence[Figures], at: int, scale: float) -> bool:
    """Whether the layers of the same kind right before and behind differ from this one in the same direction."""
    row = rows[at]
    kind = (row.reads, row.spatial > 1)
    alike = [i for i, other in enumerate(rows) if i != at and (other.reads, other.spatial > 1) == kind]
    beside = [*[i for i in alike if i < at][-1:], *[i for i in alike if i > at][:1]]
    found = [scale_against(row, [rows[i]]) for i in beside]
    return all(step is None or sum(step) / 2 * math.copysign(1, scale) > STEP for step in found)


def _near(rows: Sequence[Figures], at: int) -> list[Figures]:
    """The nearest layers of the same kind on both sides; where there are too few, of a wider kind.

    A kind is what the conv reads, and whether its kernel is larger than one pixel: only then do edges count.
    """
    row = rows[at]
    near: list[Figures] = []
    for width in (2, 1, 0):
        kind = (row.reads, row.spatial > 1)[:width]
        pool = [
            index
            for index, other in enumerate(rows)
            if index != at and other.share and (other.reads, other.spatial > 1)[:width] == kind
        ]
        near = [rows[i] for i in [i for i in pool if i < at][-NEIGHBOURS:] + [i for i in pool if i > at][:NEIGHBOURS]]
        if len(near) >= FEWEST_LAYERS:
            break
    return near


def _falls_short(row: Figures, found: float | None, usual: float) -> bool:
    """Whether a correlation, two standard errors up, is below half of the network's usual one in Fisher's z."""
    if found is None:
        return True
    return _fisher(found) + 2 / math.sqrt(row.channels - 3) < usual / 2


def _fisher(value: float) -> float:
    return math.atanh(max(-0.9999, min(0.9999, value)))
