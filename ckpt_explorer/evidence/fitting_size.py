"""Which size and cut were the network's pictures? The BatchNorms of its first layers, on one's own pictures again.

Pictures that are enlarged are smoother than those of training, and that shows from the first layers on: far more than
what natural pictures lose when they are made smaller, for they look alike at every scale (Field 1987, "Relations
between the statistics of natural images"). So a size that is too large is found out, and sizes from there down are one
group: of which the one in use is kept, or, for a network of small pictures, the size that the pictures have as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ckpt_explorer.errors import ImageError, InferenceError
from ckpt_explorer.evidence.batchnorm import Offset
from ckpt_explorer.evidence.first_layers import first_arrivals
from ckpt_explorer.evidence.pictures import spread
from ckpt_explorer.evidence.ranking import Ranked, Ranking, average_offset, not_apart
from ckpt_explorer.inference.images import as_input, open_image
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.inference.preprocessing import SMALL_PICTURE, Preprocessing
from ckpt_explorer.inference.preprocessing_candidates import numbers, plain_steps

if TYPE_CHECKING:
    import torch
    from torch import nn

PICTURES, LAYERS = 4, 7
"""Pictures for each size, and BatchNorms that decide: on two published networks for pictures of 32 px, what is half as
large again is then 1.8 to 2.5 times as far off, what is twice as large 2.3 to 3.5 times, and what is half as large no
farther than the right size."""
NEAR_TIMES, NEAR_PLUS = 1.6, 0.05
"""The distance from which a size is out."""
SMALLEST, LARGEST = 16, 512
WHOLE_PICTURES = 128
"""Pixels up to which pictures that are square and all of one size are taken to be those of a data set, as they are."""


@dataclass(frozen=True)
class RankedSize(Ranked):
    """A size and cut with their figures."""

    def as_json(self) -> dict[str, Any]:
        """`{"name", "size", "resize", "mean_z", "log_variance_gap"}`."""
        return {**super().as_json(), "size": self.steps.size, "resize": self.steps.resize}


@dataclass(frozen=True)
class FoundSize(Ranking[RankedSize]):
    """The sizes and the group that can't be told apart; `kept` is the one to use.

    `fits` says whether the one that is kept is of the group: a network for large pictures keeps its usual size also
    where the pictures had to be enlarged for it, as answers on small ones are worse than answers on smooth ones.
    """

    kept: RankedSize

    @property
    def fits(self) -> bool:
        """Whether what is kept can't be told from the nearest."""
        return self.kept.name in self.group

    def row(self, steps: Preprocessing) -> RankedSize | None:
        """The figures of the size and cut of `steps`, where they were tried."""
        return next((row for row in self.ranking if row.steps.has_cut_of(steps)), None)

    @property
    def says(self) -> str:
        """The finding, in one or two sentences."""
        nearest = self.ranking[0]
        if not self.fits:
            return (
                f"Size {self.kept.name} is kept, though these pictures come nearer at {nearest.name} to what the first layers "
                f"were trained on ({nearest.distance:.2f} off, against {self.kept.distance:.2f}): enlarged pictures are smoother "
                f"than those of training. Compare the answers at both sizes."
            )
        others = ", ".join(self.beside(self.kept))
        tie = f" {others} can't be told apart from it by these pictures." if others else ""
        return f"Size {self.kept.name} fits.{tie}{self.next_to(self.kept)}"

    def as_json(self) -> dict[str, Any]:
        """`{"kept", "ranking", "group", "says"}`."""
        return {
            "kept": self.kept.name,
            "ranking": [row.as_json() for row in self.ranking],
            "group": list(self.group),
            "says": self.says,
        }


def rank_sizes(
    module: nn.Module, images: Sequence[NamedImage], steps: Preprocessing, usual: Preprocessing, channels: int
) -> FoundSize | None:
    """Rank sizes and cuts around that of `steps`, and the usual one among them, by what reaches the first BatchNorms.

    `steps` says how pixels become numbers. A size that the network can't take is left out. None for a network without
    BatchNorm statistics, and where no picture of the few that are tried can be read.

    Raises:
        PreprocessingError: the network takes neither 1 nor 3 channels.
    """
    few = [images[place] for place in spread(PICTURES, len(images))]
    cuts = _cuts(steps, usual)
    inputs, side = _inputs(few, cuts, channels)
    own = replace(steps, size=side, resize=side) if side else None
    if own is not None and own not in cuts:
        inputs.update(_inputs(few, [own], channels)[0])
    offsets = {cut: _offset(module, numbers(pixels, cut)) for cut, pixels in inputs.items()}
    if offsets.get(cuts[0]) is None:
        return None
    rows = [RankedSize(off.mean_z, off.log_variance_gap, _name(cut), cut) for cut, off in offsets.items() if off]
    group = not_apart(rows, NEAR_TIMES, NEAR_PLUS)
    kept = used = rows[0]
    if usual.size <= SMALL_PICTURE:
        as_they_are = [row for row in group if own is not None and row.steps.has_cut_of(own)]
        kept = next(iter(as_they_are), used if used in group else min(group, key=lambda row: row.distance))
    ranking = tuple(sorted(rows, key=lambda row: row.distance))
    return FoundSize(ranking, tuple(row.name for row in group), kept)


def _cuts(steps: Preprocessing, usual: Preprocessing) -> list[Preprocessing]:
    """The sizes and cuts to try, that of `steps` first: half and half as much again, the usual one, and for networks of large
    pictures the whole shorter side or seven eighths of it."""
    size, resize = steps.size, steps.resize
    wanted = [(size, resize), (usual.size, usual.resize)]
    if usual.size > SMALL_PICTURE:
        wanted += [(size, size), (size, round(size * 8 / 7))]
    wanted += [(round(size * share), round(resize * share)) for share in (0.5, 1.5)]
    kept = [pair for pair in dict.fromkeys(wanted) if pair == (size, resize) or SMALLEST <= pair[0] <= LARGEST]
    return [replace(steps, size=size, resize=resize) for size, resize in kept]


def _inputs(
    images: Sequence[NamedImage], cuts: Sequence[Preprocessing], channels: int
) -> tuple[dict[Preprocessing, torch.Tensor], int | None]:
    """For each cut the pictures as 0..1 (N, channels, size, size), and the side of all where they are square and small.

    One picture is open at a time. Those that can't be read are left out: they are told of where all are read.
    """
    import torch

    kept: dict[Preprocessing, list[torch.Tensor]] = {cut: [] for cut in cuts}
    sides: set[int] = set()
    for image in images:
        try:
            opened = open_image(image.source, image.name)
        except ImageError:
            continue
        sides.update(opened.size)
        for cut, row in kept.items():
            row.append(as_input(opened, plain_steps(cut, channels), channels))
    alike = len(sides) == 1 and max(sides) <= WHOLE_PICTURES
    return {cut: torch.stack(row) for cut, row in kept.items() if row}, sides.pop() if alike else None


def _offset(module: nn.Module, x: torch.Tensor) -> Offset | None:
    """How far the first layers are off for (N, C, H, W); None where there are none, or where the network can't take
    pictures of this size."""
    try:
        seen = next(first_arrivals(module, [x], LAYERS))
    except InferenceError:  # a fixed input size, or one that its pooling leaves nothing of
        return None
    return average_offset(seen) if seen else None


def _name(steps: Preprocessing) -> str:
    return f"{steps.size} px" if steps.size == steps.resize else f"{steps.size} of {steps.resize} px"
