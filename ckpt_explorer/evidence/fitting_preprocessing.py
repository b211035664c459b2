"""Which preparation was the network trained with? The BatchNorm self-check of its first layers, on one's own pictures.

A preparation that is wrong shows in the first layers, before anything else can disturb them, so no more than those are
run. Numbers that are nearly right can't be told apart: training cropped and padded its pictures, which moves the
statistics about as much as another data set's deviations do. So the near ones are one group, of which the most usual is
taken; and the order of colours is a question of its own, asked of the same numbers in both orders, where all else
cancels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ckpt_explorer.evidence.batchnorm import Arrivals
from ckpt_explorer.evidence.fitting_size import FoundSize, rank_sizes
from ckpt_explorer.evidence.pictures import Pictures
from ckpt_explorer.evidence.ranking import Ranked, Ranking, average_offset, not_apart
from ckpt_explorer.evidence.readings import Readings
from ckpt_explorer.evidence.witnesses import students_t, times_nearer
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.inference.preprocessing_candidates import (
    PreparationCandidate,
    candidates_for,
)
from ckpt_explorer.text import plural

if TYPE_CHECKING:
    from torch import nn

FIRST_LAYERS = 3
"""BatchNorms that decide: the stem's, and those of the first block."""
ROUGHLY, CLOSELY = 4, 16
"""Pictures for all candidates, and for those that are near. In draws from a hundred pictures, on two published networks, a
far one (0.5, none, 0..255) was at least twice as far as the best by four of them and 3.5 times by 16; a near one at most
1.8 times."""
NEAR_TIMES, NEAR_PLUS = 2.0, 0.1
"""The distance from which a candidate is out: twice that of the best, or 0.1 deviations more. A random crop with padding
moves the statistics of a right one by as much (0.1 to 0.28 on published CIFAR networks)."""
WORTH_A_LOOK = 3.0
"""Times the best distance: what is run a second time with more pictures."""
SURE = 2.0
"""Student's t over layers and pictures from which an order of colours is the better one: chance gives as much in one of 20."""


@dataclass(frozen=True)
class RankedPreparation(Ranked):
    """A candidate; `family` is the preset's name without the order of colours."""

    family: str = ""


@dataclass(frozen=True)
class FoundPreprocessing(Ranking[RankedPreparation]):
    """The candidates and the group that can't be told apart; `chosen` is the most usual of it.

    `order` says whether the pictures decide between RGB and BGR: "" where it is settled or there is nothing to settle.
    `sizes` are sizes and cuts for the chosen numbers; None where no first layer can be asked.
    """

    chosen: RankedPreparation
    order: str = ""
    sizes: FoundSize | None = None

    @property
    def others(self) -> dict[str, Preprocessing]:
        """What could be taken instead, by name: the rest of the group, and the nearest outside it."""
        rows = [row for row in self.near if row.name != self.chosen.name]
        rows += [self.out] if self.out else []
        return {row.name: row.steps.with_cut_of(self.chosen.steps) for row in rows}

    @property
    def says(self) -> str:
        """The finding, in one or two sentences."""
        others = self.beside(self.chosen)
        tie = (
            f" {', '.join(others)} can't be told apart from it by these pictures; the most usual is taken."
            if others
            else ""
        )
        order = f" {self.order}" if self.order else ""
        return f"Preprocessing {self.chosen.name} fits what the first layers were trained on.{tie}{self.next_to(self.chosen)}{order}"

    @property
    def sentences(self) -> tuple[str, ...]:
        """The finding, and that on the size."""
        return (self.says,) if self.sizes is None else (self.says, self.sizes.says)

    def row(self, name: str) -> RankedPreparation | None:
        """The candidate of this name."""
        return next((row for row in self.ranking if row.name == name), None)

    def name_of(self, steps: Preprocessing) -> str:
        """The name that the ranking has for these numbers."""
        return next((row.name for row in self.ranking if _same_numbers(row.steps, steps)), steps.name)

    def as_json(self, used: str) -> dict[str, Any]:
        """`{"used", "ranking"}`, the group that can't be told apart, and the sizes."""
        answer = {
            "used": used,
            "ranking": [row.as_json() for row in self.ranking],
            "group": list(self.group),
            "says": self.says,
        }
        return answer if self.sizes is None else {**answer, "sizes": self.sizes.as_json()}


def find_preprocessing(
    module: nn.Module,
    images: Sequence[NamedImage],
    usual: Preprocessing,
    channels: int,
    *,
    given: Preprocessing | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FoundPreprocessing | None:
    """Rank the usual preparations, and `given` among them, by what reaches the first BatchNorms of `module`.

    `usual` says the usual size and cut; those of `given` are used where there is one. None for a network without
    BatchNorm statistics, where nothing can be ranked.

    Raises:
        InferenceError: no picture can be read, or the network failed.
        PreprocessingError: the network takes neither 1 nor 3 channels.
    """
    pictures = Pictures(images, given or usual, channels)
    return rank_preparations(Readings(module, pictures), usual, channels, given=given, progress=progress)


def rank_preparations(
    readings: Readings,
    usual: Preprocessing,
    channels: int,
    *,
    given: Preprocessing | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FoundPreprocessing | None:
    """As `find_preprocessing`, for pictures that may have been read before, cut as `given` has it, or as `usual`."""
    cut = given or usual
    tried = [
        PreparationCandidate(row.name, row.steps.with_cut_of(cut), row.family)
        for row in candidates_for(cut.size, channels)
    ]
    if given is not None and not any(_same_numbers(given, row.steps) for row in tried):
        tried.append(PreparationCandidate("given", given, "given"))
    rows: dict[str, RankedPreparation] = {}

    def read(candidates: Sequence[PreparationCandidate], count: int) -> None:
        each = readings.first((candidate.steps for candidate in candidates), count, FIRST_LAYERS)
        for candidate, seen in zip(candidates, each, strict=True):
            rows[candidate.name] = _ranked(candidate, seen)
            if progress:
                progress(len(rows), len(tried))

    if not next(readings.first([tried[0].steps], count=1, layers=1)):
        return None
    read(tried, ROUGHLY)
    best = min(row.distance for row in rows.values())
    near = [row for row in tried if rows[row.name].distance <= WORTH_A_LOOK * best + NEAR_PLUS]
    as_usual = [row for row in near if row.name == row.family or not _has_twin(row, near)]
    read(as_usual, CLOSELY)
    order, out = _order(readings, near, _group([rows[row.name] for row in as_usual]))
    read([row for row in near if row not in as_usual and row.name not in out], CLOSELY)
    group = _group([rows[row.name] for row in near if row.name not in out])
    chosen = next((row for row in group if row.name != "given"), group[0])
    sizes = rank_sizes(readings.module, readings.pictures.images, chosen.steps, usual, channels)
    if given is None and sizes is not None:
        chosen = replace(chosen, steps=chosen.steps.with_cut_of(sizes.kept.steps))
    ranking = tuple(sorted(rows.values(), key=lambda row: row.distance))
    return FoundPreprocessing(ranking, tuple(row.name for row in group), chosen, order, sizes)


def _group(rows: Sequence[RankedPreparation]) -> list[RankedPreparation]:
    """Those that can't be told apart from the nearest, in the order given."""
    return not_apart(rows, NEAR_TIMES, NEAR_PLUS)


def _order(
    readings: Readings, near: Sequence[PreparationCandidate], group: Sequence[RankedPreparation]
) -> tuple[str, frozenset[str]]:
    """A sentence where the order of colours is open, and the names that the pictures speak against.

    The first of the group that is near in both orders is tried in both, with each layer read alone: what they share
    cancels. Every layer is a witness, and so is every picture: a network's largest logit is larger for what is like its
    training (Hendrycks et al. 2022, "Scaling Out-of-Distribution Detection for Real-World Settings"). Student's t of
    either says whether they agree, and the sum of the two over sqrt(2) (Stouffer) whether both do.
    """
    pairs = [
        (one, two) for one in near for two in near if one.family == two.family and not one.steps.bgr and two.steps.bgr
    ]
    likely = [row.family for row in group]
    pairs = sorted((pair for pair in pairs if pair[0].family in likely), key=lambda pair: likely.index(pair[0].family))
    if not pairs:
        return "", frozenset()
    rgb, bgr = (readings.alone(candidate.steps) for candidate in pairs[0])
    logits = [one - two for one, two in zip(rgb.largest, bgr.largest, strict=True)]
    votes = (
        students_t(times_nearer(rgb.layers[1:], bgr.layers[1:])),
        students_t([x for x in logits if math.isfinite(x)]),
    )
    heard = [vote for vote in votes if vote is not None]
    if heard and abs(together := sum(heard) / math.sqrt(len(heard))) >= SURE:
        return "", frozenset(row.name for row in near if row.steps.bgr == (together > 0) and _has_twin(row, near))
    count = plural(readings.alone_count, "picture")
    return f"Whether red or blue comes first can't be told from {count}.", frozenset()


def _has_twin(row: PreparationCandidate, near: Sequence[PreparationCandidate]) -> bool:
    return any(other.family == row.family and other.name != row.name for other in near)


def _ranked(candidate: PreparationCandidate, seen: Sequence[Arrivals]) -> RankedPreparation:
    off = average_offset(seen)
    return RankedPreparation(off.mean_z, off.log_variance_gap, candidate.name, candidate.steps, candidate.family)


def _same_numbers(one: Preprocessing, other: Preprocessing) -> bool:
    return (one.mean, one.std, one.scale, one.bgr) == (other.mean, other.std, other.scale, other.bgr)
