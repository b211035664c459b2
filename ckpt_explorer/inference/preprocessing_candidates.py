"""The preparations that people train with, to be tried on a network whose own nobody knows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt_explorer.inference.preprocessing import PRESETS, SMALL_PICTURE, Preprocessing, preprocessing

if TYPE_CHECKING:
    import torch

COLOUR = ("imagenet", "cifar10", "cifar10_2023", "cifar100", "inception", "caffe", "none", "bytes")
SMALL_COLOUR = ("cifar10_2023", "cifar10", "imagenet", "cifar100", "inception", "none", "bytes", "caffe")
GRAY = ("digits", "mnist", "none", "imagenet", "bytes")
"""Presets to try, the most usual first: for pictures of over 64 px, for smaller ones, and for one channel. Of
CIFAR's deviations, those of kuangliu/pytorch-cifar were copied most."""


@dataclass(frozen=True)
class PreparationCandidate:
    """One preparation to try: its name for a person, its numbers, and the preset's name without the order of colours."""

    name: str
    steps: Preprocessing
    family: str


def candidates_for(size: int, channels: int) -> tuple[PreparationCandidate, ...]:
    """The candidates for a network of this input size and these channels, the most usual first; each order of colours.

    Raises:
        PreprocessingError: the network takes neither 1 nor 3 channels.
    """
    names = GRAY if channels == 1 else SMALL_COLOUR if size <= SMALL_PICTURE else COLOUR
    found = [PreparationCandidate(name, preprocessing(name, size=size, channels=channels), name) for name in names]
    if channels == 3:
        for name in names:
            turned = not PRESETS[name].values.bgr
            steps = preprocessing(name, size=size, channels=channels, bgr=turned)
            found.append(PreparationCandidate(f"{name}, {'BGR' if turned else 'RGB'}", steps, name))
    return tuple(found)


def plain_steps(steps: Preprocessing, channels: int) -> Preprocessing:
    """The same size and cut, with values of 0..1 in the order red, green, blue: what `numbers` then turns into `steps`."""
    return replace(steps, name="custom", mean=(0.0,) * channels, std=(1.0,) * channels, scale=1 / 255, bgr=False)


def numbers(pixels: torch.Tensor, steps: Preprocessing) -> torch.Tensor:
    """Pixels 0..1 (N, C, H, W), red first, as `steps` makes them: scaled, turned, less the mean, over the deviation."""
    import torch

    x = pixels * (255 * steps.scale)
    if steps.bgr:
        x = x.flip(1)
    mean = torch.tensor(steps.mean).reshape(1, -1, 1, 1)
    return (x - mean) / torch.tensor(steps.std).reshape(1, -1, 1, 1)
