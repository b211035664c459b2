"""What arrives at each BatchNorm, predicted from the weights alone: mean and variance a channel, step by step.

Behind a BatchNorm of scale g and shift b a channel is about Normal(b, g^2): that is what training made of it,
whatever came in. A ReLU turns it into the known moments of a rectified normal distribution, a conv adds up its
inputs, a sum of two branches adds their moments. Strides and dilation are passed over; how much of a kernel
falls into the padding at the edges is not known, since the size of the training pictures is not, and is tried out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from ckpt_explorer.evidence.wiring.graph import Step

if TYPE_CHECKING:
    import torch

Source = Callable[[str], "torch.Tensor"]


SIDES = (512, 224, 128, 64, 32, 16)
"""Sides in pixels of the pictures that a network may have been trained with: they decide how much of a kernel falls
into the padding. Pictures of 32 end in maps of 8, 4 or 2 pixels, where half of a 3x3 kernel can."""


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each channel: two (..., C)."""

    mean: torch.Tensor
    variance: torch.Tensor


@dataclass(frozen=True)
class Kernel:
    """What is needed of a conv: sums over the kernel of its weights, and of their squares.

    `sums` has a table (groups, O / groups, I / groups) for each of SIDES, of what lies inside the picture on average;
    for a 1x1 conv there is only one. `squared` are the squares of the first table, `squares` the sums of squares.
    All in float32; `spatial` counts the taps, 1 for a 1x1 conv.
    """

    sums: torch.Tensor
    squared: torch.Tensor
    squares: torch.Tensor
    bias: torch.Tensor | None
    spatial: int

    @property
    def inputs(self) -> int:
        """How many channels it takes."""
        return self.squares.shape[0] * self.squares.shape[2]

    @property
    def outputs(self) -> int:
        """How many channels it gives."""
        return self.squares.shape[0] * self.squares.shape[1]

    @cached_property
    def size(self) -> torch.Tensor:
        """The sum of squares of each output channel's weights, (O,)."""
        return self.squares.sum(-1).flatten().double()

    @property
    def offset(self) -> torch.Tensor | float:
        """What it adds to what its inputs give: the bias (O,), or nothing."""
        return 0.0 if self.bias is None else self.bias

    def at(self, side: int) -> torch.Tensor:
        """The sums for training pictures of SIDES[side] pixels."""
        return self.sums[min(side, len(self.sums) - 1)]


@dataclass(frozen=True)
class Norm:
    """A BatchNorm's scale and shift, and the statistics that training left in it: four (C,)."""

    scale: torch.Tensor
    shift: torch.Tensor
    mean: torch.Tensor
    variance: torch.Tensor


def rectified(given: Moments) -> Moments:
    """The moments of max(0, x) where x is Normal(mean, variance).

    Source: the rectified normal distribution (Socci, Lee and Seung 1997): mean m P + s p, second moment
    (m^2 + s^2) P + m s p, with the standard normal's distribution P and density p at m / s.
    """
    import torch

    deviation = given.variance.clamp_min(1e-24).sqrt()
    ratio = given.mean / deviation
    above = 0.5 * torch.erfc(-ratio / math.sqrt(2))
    density = torch.exp(-0.5 * ratio * ratio) / math.sqrt(2 * math.pi)
    mean = given.mean * above + deviation * density
    second = (given.mean**2 + deviation**2) * above + given.mean * deviation * density
    return Moments(mean, (second - mean * mean).clamp_min(0))


def summed(one: Moments, other: Moments) -> Moments:
    """The moments of a sum of two branches, as if they were independent."""
    return Moments(one.mean + other.mean, one.variance + other.variance)


def padded(given: Moments, before: int, behind: int) -> Moments:
    """With channels of zeros on both sides."""
    from torch.nn import functional

    return Moments(functional.pad(given.mean, (before, behind)), functional.pad(given.variance, (before, behind)))


def pooled(given: Moments) -> Moments:
    """Behind a max-pool: the largest of a few pixels that are much alike lies above their mean.

    The expected largest of two independent normal values is 0.56 deviations above, of three 0.85; in a window of 3x3
    pixels of a trained stem, two or three are as good as independent.
    """
    return Moments(given.mean + 0.6 * given.variance.sqrt(), given.variance)


def normalised(norm: Norm) -> Moments:
    """What leaves a BatchNorm."""
    return Moments(norm.shift, norm.scale**2)


def through(table: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """A conv's table (groups, O / groups, I / groups) applied to (..., I): (..., O)."""
    groups, outputs, inside = table.shape
    grouped = values.to(table.dtype).reshape(-1, groups, inside).transpose(0, 1)
    return (grouped @ table.mT).transpose(0, 1).reshape(*values.shape[:-1], groups * outputs).double()


@lru_cache(maxsize=64)
def inside_the_picture(reduction: int, stride: int, dilation: int, high: int, wide: int) -> torch.Tensor:
    """The share of each tap of a conv's kernel that lies inside the picture: (high * wide, len(SIDES)).

    `reduction` is the product of all strides up to behind the conv, `stride` its own.
    """
    import torch

    columns = []
    for side in SIDES:
        out = max(side // reduction, 1)
        axes = [_inside(out, taps, stride, dilation) for taps in (high, wide)]
        columns.append((axes[0][:, None] * axes[1]).flatten())
    return torch.stack(columns, 1)


def _inside(out: int, taps: int, stride: int, dilation: int) -> torch.Tensor:
    """For each tap along one axis, the share of `out` positions at which it meets a pixel of `out * stride`."""
    import torch

    at = torch.arange(out)[:, None] * stride + (torch.arange(taps) - (taps - 1) // 2) * dilation
    return ((at >= 0) & (at < out * stride)).float().mean(0)


class Weights:
    """What the propagation needs of a file, each tensor read once and reduced at once.

    `source` gives the tensor of a model's key, or raises KeyError where the file has none.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._sources: Mapping[str, str] = {}
        self._kernels: dict[str, Kernel | None] = {}
        self._norms: dict[str, Norm | None] = {}

    def tensor(self, key: str) -> torch.Tensor | None:
        """A tensor in float32 on the CPU, or None where the file has none or it is no dense floating one."""
        return self._read(_moved(key, self._sources))

    def _read(self, key: str) -> torch.Tensor | None:
        import torch

        try:
            found = self._source(key)
        except KeyError:
            return None
        if not found.is_floating_point():
            return None
        return found.detach().to(device="cpu", dtype=torch.float32)

    def moved(self, sources: Mapping[str, str]) -> Weights:
        """The same weights with modules in other places: below each module of `sources`, what lay below its value.

        What was reduced is used again.
        """
        made = Weights(self._source)
        made._kernels = self._kernels
        made._norms = self._norms
        made._sources = sources
        return made

    def kernel(self, conv: Step) -> Kernel | None:
        """The reduced weights of a conv."""
        path = _moved(conv.module, self._sources)
        if path not in self._kernels:
            self._kernels[path] = self._reduced(path, conv)
        return self._kernels[path]

    def norm(self, path: str) -> Norm | None:
        """A BatchNorm's four tensors; None where one is missing."""
        path = _moved(path, self._sources)
        if path not in self._norms:
            self._norms[path] = self._four(path)
        return self._norms[path]

    def _reduced(self, path: str, conv: Step) -> Kernel | None:
        weight, groups = self._read(f"{path}.weight"), conv.groups
        if weight is None or weight.dim() != 4 or weight.shape[0] % groups:
            return None
        shape = (groups, weight.shape[0] // groups, weight.shape[1])
        bias = self._read(f"{path}.bias")
        bias = None if bias is None else bias.double()
        if weight[0, 0].numel() == 1:
            sums = weight.reshape(1, *shape)
            squares = sums[0].square()
            return Kernel(sums, squares, squares, bias, 1)
        flat = weight.reshape(-1, weight[0, 0].numel())
        taps = inside_the_picture(conv.reduction, conv.shrinks, conv.dilation, *weight.shape[2:])
        sums = (taps.T @ flat.T).reshape(-1, *shape)
        squares = (flat.square() @ flat.new_ones(flat.shape[1])).reshape(shape)
        return Kernel(sums, sums[0].square(), squares, bias, flat.shape[1])

    def _four(self, path: str) -> Norm | None:
        found = [self._read(f"{path}.{name}") for name in ("weight", "bias", "running_mean", "running_var")]
        tensors = [tensor.double() for tensor in found if tensor is not None]
        return Norm(*tensors) if len(tensors) == 4 else None


def _moved(key: str, sources: Mapping[str, str]) -> str:
    """Where the tensor for `key` comes from, when modules were moved."""
    at = len(key)
    while at > 0:
        if key[:at] in sources:
            return sources[key[:at]] + key[at:]
        at = key.rfind(".", 0, at)
    return key
