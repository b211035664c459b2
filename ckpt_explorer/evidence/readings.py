"""Readings: what the BatchNorms of one network get from the same pictures, prepared in one way or another.

A forward costs as much as all the rest, so the reading that settles the order of colours is also the one by which the
self-check judges each layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_explorer.evidence.batchnorm import Arrivals, arrivals
from ckpt_explorer.evidence.first_layers import first_arrivals
from ckpt_explorer.evidence.pictures import Pictures, spread
from ckpt_explorer.evidence.shared_copy import shared_copy
from ckpt_explorer.inference.class_scores import main_tensor
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.inference.preprocessing_candidates import numbers

if TYPE_CHECKING:
    import torch
    from torch import nn

FEW, SHARE = 24, 1 / 2
"""Pictures for a reading of every layer alone: all of up to 24, and half of more."""


@dataclass(frozen=True)
class ReadAlone:
    """What arrives at every BatchNorm while each normalises with these pictures' own statistics, and for each picture the
    largest number of the answer; none where the answer has no row a picture."""

    layers: tuple[Arrivals, ...]
    largest: tuple[float, ...]


class Readings:
    """One network and its pictures. The network is copied, its tensors are not."""

    def __init__(self, module: nn.Module, pictures: Pictures) -> None:
        self.module = shared_copy(module)
        self.pictures = pictures
        self._alone: dict[tuple[object, ...], ReadAlone] = {}

    def first(self, preparations: Iterable[Preprocessing], count: int, layers: int) -> Iterator[tuple[Arrivals, ...]]:
        """For each preparation what arrives at the first `layers` BatchNorms, from about `count` of the pictures.

        Raises:
            InferenceError: no picture can be read, or the network failed.
        """
        some = _spread(self.pictures.pixels, count)
        return first_arrivals(self.module, (numbers(some, steps) for steps in preparations), layers)

    def as_it_answers(
        self, steps: Preprocessing, batch_size: int, progress: Callable[[int], None] | None = None
    ) -> tuple[Arrivals, ...]:
        """What arrives at every BatchNorm of the network as it is, from all pictures.

        Raises:
            InferenceError: no picture can be read, or the network failed.
        """
        return arrivals(self.module, self.pictures.batches(steps, batch_size), progress=progress)

    def of_a_few(self, steps: Preprocessing, count: int) -> tuple[Arrivals, ...]:
        """The same from about `count` pictures, of the network as it is now.

        Raises:
            InferenceError: no picture can be read, or the network failed.
        """
        return arrivals(self.module, [numbers(_spread(self.pictures.pixels, count), steps)])

    @property
    def alone_count(self) -> int:
        """How many pictures `alone` takes."""
        return min(len(self.pictures.pixels), max(FEW, round(len(self.pictures) * SHARE)))

    def alone(self, steps: Preprocessing) -> ReadAlone:
        """What arrives at every BatchNorm while each normalises with these pictures' own statistics; read once.

        Raises:
            InferenceError: no picture can be read, or the network failed.
        """
        key = (steps.mean, steps.std, steps.scale, steps.bgr)
        if key not in self._alone:
            some = _spread(self.pictures.pixels, self.alone_count)
            answers: list[Any] = []
            layers = arrivals(self.module, [numbers(some, steps)], alone=True, answered=answers.append)
            self._alone[key] = ReadAlone(layers, _largest(answers[0], len(some)))
        return self._alone[key]


def _largest(answer: Any, pictures: int) -> tuple[float, ...]:
    """The largest number of the answer for each picture."""
    scores = main_tensor(answer)
    if scores is None or scores.dim() < 2 or len(scores) != pictures:
        return ()
    return tuple(scores.detach().float().flatten(1).amax(1).tolist())


def _spread(pixels: torch.Tensor, count: int) -> torch.Tensor:
    """So many of (N, C, H, W), or all where there are fewer, spread evenly over them."""
    return pixels[spread(count, len(pixels))]
