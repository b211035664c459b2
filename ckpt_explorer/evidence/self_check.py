"""The verdict of the BatchNorm self-check: which layer is the first that does not get what it was trained on.

How far a sound layer may be off was measured, on networks and pictures of several kinds, with each layer read alone
(`batchnorm.py`): mean |z| up to 0.06 and log-variance gap up to 0.32 over 50 pictures, 0.08 and 0.63 over eight, 0.13
and 1.1 over one. A kernel that is random or shuffled gives 0.4 to 5, a halved one a slope of 0.5 and a gap of 1.39
(twice the logarithm of 2). The limits lie between, and rise with the network's own level: pictures of another kind
raise every layer, a fault raises one.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_explorer.evidence.batchnorm import Arrivals, LayerFigures, arrivals, pictures_at_once
from ckpt_explorer.evidence.shared_copy import shared_copy
from ckpt_explorer.text import plural

if TYPE_CHECKING:
    import torch
    from torch import nn

BLIND = (
    "It can't see the last layer, which no BatchNorm follows, two blocks of one stage in each other's place, "
    "the order of the classes, and hardly red and blue exchanged."
)

NO_NUMBER = "what arrives, or what it kept, is no number"
GROSS = (3.0, 4.0)
"""The first layer's limits for fewer than four pictures: one of a clear sky varies twenty times less than the others."""
Z_LIMIT, Z_LEVELS, Z_SAMPLING = 0.12, 4.0, 0.1
"""Mean |z| of one layer alone: the least limit, the multiple of the network's median, and what is added over sqrt(pictures)."""
GAP_LIMIT, GAP_LEVELS, GAP_SAMPLING = 0.6, 5.0, 0.8
"""The same for the log-variance gap."""
SCALE_LIMIT = math.log(1.4)
"""Arriving means and deviations that are all too large or too small by one factor beyond this: a kernel that was scaled."""
SCALES_AGREE = 0.35
"""How far the factor of the means and that of the deviations may differ, as logarithms, and still be one factor."""
STEM_Z, STEM_GAP, STEM_LIKENESS, STEM_PICTURES = 0.5, 1.0, 0.6, 4
"""The first layer sees the pictures themselves: a normalisation that is nearly right gives up to 0.2 and 0.6, one of another
kind (0.5, none, 0..255) 1.6 and more. Which channels vary much and which little hangs on the kernel and not on the
normalisation: a correlation of 0.9 and more where it is the trained one, 0.67 and more where the pictures were compressed
and training's were not, about 0 for another."""


@dataclass(frozen=True)
class CheckedLayer:
    """One BatchNorm: its figures in the network as it answers, and alone; `doubt` says what is wrong, "" for nothing."""

    name: str
    mean_z: float
    log_variance_gap: float
    alone: LayerFigures
    doubt: str = ""

    def as_json(self) -> dict[str, Any]:
        """`{"name", "mean_z", "log_variance_gap"}`, and the same two read alone."""
        return {
            "name": self.name,
            "mean_z": _finite(self.mean_z),
            "log_variance_gap": _finite(self.log_variance_gap),
            "alone": {"mean_z": _finite(self.alone.mean_z), "log_variance_gap": _finite(self.alone.log_variance_gap)},
        }


@dataclass(frozen=True)
class BatchNormCheck:
    """All BatchNorms in the order in which a picture passes them, over `pictures` pictures.

    `mean_z` and `log_variance_gap` are averages over the layers, of the network as it answers. `first_doubted` is the
    first layer that by itself does not get what it was trained on; the layers behind it are not blamed for it.
    """

    pictures: int
    layers: tuple[CheckedLayer, ...]

    @property
    def mean_z(self) -> float:
        """The average over the layers of mean |z|."""
        return statistics.fmean(layer.mean_z for layer in self.layers)

    @property
    def log_variance_gap(self) -> float:
        """The average over the layers of the log-variance gap."""
        return statistics.fmean(layer.log_variance_gap for layer in self.layers)

    @property
    def doubted(self) -> tuple[CheckedLayer, ...]:
        """The layers that are doubted, in order."""
        return tuple(layer for layer in self.layers if layer.doubt)

    @property
    def first_doubted(self) -> str | None:
        """The name of the first doubted layer."""
        return self.doubted[0].name if self.doubted else None

    @property
    def stem_is_off(self) -> bool:
        """Whether the very first BatchNorm is doubted, where the pictures' preparation and the first kernel both show."""
        return bool(self.layers) and bool(self.layers[0].doubt)

    def as_json(self) -> dict[str, Any]:
        """`{"mean_z", "log_variance_gap", "layers", "first_doubted"}`."""
        return {
            "mean_z": _finite(self.mean_z),
            "log_variance_gap": _finite(self.log_variance_gap),
            "layers": [layer.as_json() for layer in self.layers],
            "first_doubted": self.first_doubted,
        }

    @property
    def says(self) -> str:
        """The finding, in one sentence."""
        figures = f"mean |z| {self.mean_z:.2f} and log-variance gap {self.log_variance_gap:.2f} over {plural(len(self.layers), 'BatchNorm')} and {plural(self.pictures, 'picture')}"
        if self.first_doubted is None:
            return f"Every layer gets what it was trained on: {figures}."
        return f"{self.first_doubted} is the first layer that does not get what it was trained on ({self.doubted[0].doubt}); {figures}."


def self_check(
    module: nn.Module,
    batches: Iterable[torch.Tensor],
    progress: Callable[[int], None] | None = None,
) -> BatchNormCheck | None:
    """Run prepared pictures, batch by batch, and judge each BatchNorm; None for a network without running statistics.

    `batches` are (N, C, H, W) each, gone through once, as the network answers; some of the pictures (up to 64) are run
    once more with each layer read alone.

    Raises:
        InferenceError: the network failed.
    """
    sample = _Sample()
    twin = shared_copy(module)
    as_it_answers = arrivals(twin, sample.of(batches), progress=progress)
    if not as_it_answers:
        return None
    kept = sample.batch()
    return judged(as_it_answers, sample.seen, arrivals(twin, [kept], alone=True), len(kept))


def judged(
    as_it_answers: Sequence[Arrivals], pictures: int, alone: Sequence[Arrivals], pictures_alone: int
) -> BatchNormCheck:
    """The verdict on two readings of the same layers, and of how many pictures each of them is."""
    by_itself = {row.name: row.figures() for row in alone}
    doubts = _doubts([by_itself[row.name] for row in as_it_answers], pictures_alone)
    rows = zip(as_it_answers, doubts, strict=True)
    layers = tuple(
        CheckedLayer(row.name, figures.mean_z, figures.log_variance_gap, by_itself[row.name], doubt)
        for row, doubt in rows
        for figures in (row.figures(),)
    )
    return BatchNormCheck(pictures, layers)


class _Sample:
    """Pictures for one batch, spread evenly over all that go by: up to 64."""

    def __init__(self) -> None:
        self.seen = 0
        self.step = 1
        self.kept: list[torch.Tensor] = []

    def of(self, batches: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """The same batches (N, C, H, W), while every so manieth picture of them is kept."""
        for batch in batches:
            for picture in batch:
                if self.seen % self.step == 0:
                    self.kept.append(picture.clone())  # a view would hold its whole batch
                    if len(self.kept) > pictures_at_once(picture.numel()):
                        self.kept, self.step = self.kept[::2], self.step * 2
                self.seen += 1
            yield batch

    def batch(self) -> torch.Tensor:
        """What was kept: (up to 64, C, H, W)."""
        import torch

        return torch.stack(self.kept)


def _doubts(layers: Sequence[LayerFigures], pictures: int) -> list[str]:
    """What is wrong with each layer read alone, "" for nothing; the first is the stem."""
    few = 1 / math.sqrt(pictures)
    behind = [row for row in layers[1:] if math.isfinite(row.mean_z) and math.isfinite(row.log_variance_gap)]
    z_level = statistics.median(row.mean_z for row in behind) if behind else 0.0
    gap_level = statistics.median(row.log_variance_gap for row in behind) if behind else 0.0
    z_limit = max(Z_LIMIT, Z_LEVELS * z_level) + Z_SAMPLING * few
    gap_limit = max(GAP_LIMIT, GAP_LEVELS * gap_level) + GAP_SAMPLING * few
    doubts = []
    for number, row in enumerate(layers):
        if number == 0:
            limits = (STEM_Z + few / 2, STEM_GAP + GAP_SAMPLING * few) if pictures >= STEM_PICTURES else GROSS
            doubts.append(_doubt(row, *limits, None) or _unlike(row, pictures))
        else:
            doubts.append(_doubt(row, z_limit, gap_limit, GAP_LIMIT))
    return doubts


def _doubt(row: LayerFigures, z_limit: float, gap_limit: float, scaled_gap: float | None) -> str:
    if not (math.isfinite(row.mean_z) and math.isfinite(row.log_variance_gap)):
        return NO_NUMBER
    if scaled_gap is not None and (factor := _factor(row)) is not None and row.log_variance_gap > scaled_gap:
        return f"all that arrives is {factor:.2g} times what it should be"
    if row.mean_z > z_limit:
        return f"means are off by {row.mean_z:.2f} standard deviations, over {z_limit:.2f}"
    if row.log_variance_gap > gap_limit:
        return f"variances are off by a factor of {math.exp(row.log_variance_gap):.1f}, over {math.exp(gap_limit):.1f}"
    return ""


def _unlike(row: LayerFigures, pictures: int) -> str:
    if row.likeness is None or row.likeness >= STEM_LIKENESS or pictures < STEM_PICTURES:
        return ""
    return f"other channels vary than in training, a correlation of {row.likeness:.2f}"


def _factor(row: LayerFigures) -> float | None:
    """The one factor by which means and deviations are both off, None where there is none beyond the limit."""
    if row.slope is None or row.slope <= 0:
        return None
    of_means, of_deviations = math.log(row.slope), row.log_variance / 2
    if abs(of_means) < SCALE_LIMIT or abs(of_means - of_deviations) > SCALES_AGREE:
        return None
    return row.slope


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
