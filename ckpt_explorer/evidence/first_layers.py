"""The first BatchNorms of a network, for many preparations of a few pictures: a forward ends once they have been passed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from ckpt_explorer.evidence.batchnorm import (
    Arrivals,
    batchnorms,
    moments_by_group,
    nothing_yet,
)
from ckpt_explorer.inference.forward import place_of, timed_forward

if TYPE_CHECKING:
    import torch
    from torch import nn

TOGETHER = 16
"""Pictures in one forward: fewer waste time in Python, and more fall out of the processor's caches."""


class EnoughSeen(BaseException):
    """Ends a forward once the layers that were asked for have been passed; no `except Exception` on the way stops it."""


def first_arrivals(module: nn.Module, inputs: Iterable[torch.Tensor], first: int) -> Iterator[tuple[Arrivals, ...]]:
    """For each input (N, C, H, W) by itself, what arrives at the first BatchNorms; nothing behind them is run.

    All inputs have one shape; those of a few pictures go through the network together.

    Raises:
        InferenceError: the network failed.
    """
    import torch

    place = place_of(module)
    waiting = iter(inputs)
    for one in waiting:
        at_once = max(1, TOGETHER // len(one))
        group = [one, *islice(waiting, at_once - 1)]
        x = torch.cat(group).to(place.device, place.dtype)
        yield from _seen_by_each(module, x, len(group), first)


def _seen_by_each(module: nn.Module, x: torch.Tensor, groups: int, first: int) -> list[tuple[Arrivals, ...]]:
    """The arrivals of each of the groups that `x` consists of."""
    seen: list[list[Arrivals]] = [[] for _ in range(groups)]
    handles = [
        part.register_forward_pre_hook(_watching(name, seen, first)) for name, part in batchnorms(module).items()
    ]
    try:
        with suppress(EnoughSeen):
            timed_forward(module, x)
    finally:
        for handle in handles:
            handle.remove()
    return [tuple(layers) for layers in seen]


def _watching(name: str, seen: list[list[Arrivals]], first: int) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    def look(part: nn.Module, inputs: tuple[Any, ...]) -> None:
        x = inputs[0]
        means, variances = moments_by_group(x, len(seen))
        number = x.numel() // x.shape[1] // len(seen)
        for layers, mean, variance in zip(seen, means, variances, strict=True):
            layers.append(nothing_yet(name, part))
            layers[-1].add(mean, variance, number)
        if len(seen[0]) >= first:
            raise EnoughSeen

    return look
