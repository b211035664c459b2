"""BatchNorm self-check: what arrives at each BatchNorm, against the mean and variance that training left there.

Two readings of the same pictures. *As it answers*: the network as it is, in eval mode; a fault disturbs every layer
behind it. *Alone*: each BatchNorm normalises with the statistics of these pictures, as in training, so that what a
layer inherits is taken away and what is left is its own. Running statistics are averages of exactly these numbers
(Ioffe and Szegedy 2015, section 3.1), so a sound layer agrees closely, whatever picture or normalisation comes in at
the stem. The second reading finds the layer; the first says what it does to the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_explorer.inference.forward import place_of, timed_forward

if TYPE_CHECKING:
    import torch
    from torch import nn


FEWEST_CHANNELS, FEWEST_SPREAD = 8, 0.2
FAR_FROM_ZERO = 30.0
"""Mean square over variance from which the difference of sums is not taken: up to it, float32 leaves four digits."""
AT_ONCE = 64
AT_ONCE_VALUES = 64 * 3 * 158**2
"""64 pictures of up to 158 px, or 32 of 224."""


@dataclass(frozen=True)
class LayerFigures:
    """One BatchNorm: how far what arrives is from what it kept, averaged over its channels.

    `mean_z` is the difference of means in the kept standard deviations, without sign; `log_variance_gap` the
    difference of the variances' natural logarithms, without sign; `log_variance` the median of the same with its sign.
    `slope` is of arriving means on kept ones, through 0, each channel weighted by its variance: 0.5 where a kernel was
    halved; None where the kept means are so near 0 that there is no slope. `likeness` is the correlation over channels of
    the variances' logarithms, which no scale of the input changes; None where the kept ones are nearly all the same.
    """

    name: str
    mean_z: float
    log_variance_gap: float
    log_variance: float
    slope: float | None
    likeness: float | None


@dataclass(frozen=True)
class Offset:
    """`mean_z` and `log_variance_gap` of one BatchNorm, as in `LayerFigures`."""

    mean_z: float
    log_variance_gap: float

    @property
    def distance(self) -> float:
        """In standard deviations: of the mean, plus the error of the deviation's logarithm."""
        return self.mean_z + self.log_variance_gap / 2


@dataclass
class Arrivals:
    """Streaming mean and variance of what arrives at one BatchNorm, in float64."""

    name: str
    running_mean: torch.Tensor
    running_var: torch.Tensor
    eps: float
    count: int = 0
    mean: torch.Tensor | None = None
    squares: torch.Tensor | None = None

    def take(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add a batch (N, C, ...); returns its own mean and biased variance (C,)."""
        mean, variance = channel_moments(x)
        self.add(mean, variance, x.numel() // x.shape[1])
        return mean, variance

    def add(self, mean: torch.Tensor, variance: torch.Tensor, number: int) -> None:
        """Add `number` values of each channel by their mean and biased variance (C,). Chan et al. 1979."""
        here, squares = mean.cpu().double(), variance.cpu().double() * number
        if self.mean is None or self.squares is None:
            self.count, self.mean, self.squares = number, here, squares
        else:
            total = self.count + number
            apart = here - self.mean
            self.mean = self.mean + apart * (number / total)
            self.squares = self.squares + squares + apart.square() * (self.count * number / total)
            self.count = total

    def offset(self) -> Offset:
        """How far what has arrived so far is from what was kept, and no more: a tenth of the work of `figures`."""
        z, gap = _apart(self, *self._moments())
        return Offset(float(z.abs().mean()), float(gap.abs().mean()))

    def figures(self) -> LayerFigures:
        """What has arrived so far, against what was kept."""
        return figures_of(self, *self._moments())

    def _moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        assert self.mean is not None and self.squares is not None
        return self.mean, self.squares / self.count


def channel_moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and biased variance (C,) of (N, C, ...), in float64."""
    mean, variance = moments_by_group(x, 1)
    return mean[0], variance[0]


def moments_by_group(x: torch.Tensor, groups: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and biased variance (groups, C) of (N, C, ...), N being that many groups of one size, in float64.

    From sums and sums of squares, each over one row in float32 and over the rows in float64: ten times as fast as
    `torch.var_mean`. A channel whose mean lies so far from 0 that the difference of the two would lose its digits is
    read again in two passes.
    """
    import torch

    rows = x.float().flatten(2) if x.dim() > 2 else x.float()[:, :, None]
    number = rows.shape[0] // groups * rows.shape[2]
    in_groups = (groups, -1, rows.shape[1])
    mean = rows.sum(2).double().view(in_groups).sum(1) / number
    norms = torch.linalg.vector_norm(rows, dim=2).double()
    squares = norms.square().view(in_groups).sum(1) / number
    variance = squares - mean.square()
    far = ~(variance * FAR_FROM_ZERO > squares)
    for group in far.any(1).nonzero()[:, 0].tolist():
        again = far[group]
        columns = rows.chunk(groups)[group][:, again].double()
        variance[group, again], mean[group, again] = torch.var_mean(columns, (0, 2), correction=0)
    return mean, variance


def figures_of(layer: Arrivals, mean: torch.Tensor, variance: torch.Tensor) -> LayerFigures:
    """The figures of one BatchNorm for arriving means and variances (C,)."""
    import torch

    kept_mean, kept_var = layer.running_mean, layer.running_var
    z, gap = _apart(layer, mean, variance)
    weight = 1 / (kept_var + layer.eps)
    strength = (kept_mean.square() * weight).sum()
    near_zero = not float(strength) > 1e-4 * len(kept_mean)
    slope = None if near_zero else float((mean * kept_mean * weight).sum() / strength)
    likeness = _correlation(torch.log(variance + layer.eps), torch.log(kept_var + layer.eps))
    return LayerFigures(
        layer.name, float(z.abs().mean()), float(gap.abs().mean()), float(gap.median()), slope, likeness
    )


def _apart(layer: Arrivals, mean: torch.Tensor, variance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """z and the difference of the variances' logarithms, for each channel (C,)."""
    kept = layer.running_var + layer.eps
    return (mean - layer.running_mean) / kept.sqrt(), ((variance + layer.eps) / kept).log()


def _correlation(one: torch.Tensor, other: torch.Tensor) -> float | None:
    """Pearson's, of (C,) and (C,); None for fewer than 8 channels, or where the second hardly varies."""
    import torch

    if len(one) < FEWEST_CHANNELS or not float(other.std()) > FEWEST_SPREAD or not float(one.std()) > 0:
        return None
    return float(torch.corrcoef(torch.stack([one, other]))[0, 1])


def pictures_at_once(values: int) -> int:
    """How many pictures of `values` input numbers go into a batch that is read alone, all of which has to be in memory."""
    return max(4, min(AT_ONCE, AT_ONCE_VALUES // max(values, 1)))


def batchnorms(module: nn.Module) -> dict[str, nn.Module]:
    """The parts that normalise with statistics kept from training, by name: torch's BatchNorm, and frozen ones like it."""
    from torch import nn

    found = {}
    for name, part in module.named_modules():
        mean, variance = (part._buffers.get(leaf) for leaf in ("running_mean", "running_var"))
        if mean is None or variance is None or isinstance(part, nn.modules.instancenorm._InstanceNorm):
            continue
        if mean.dim() == 1 and mean.shape == variance.shape:
            found[name] = part
    return found


def nothing_yet(name: str, part: nn.Module) -> Arrivals:
    """What `part` kept, before anything has arrived."""
    mean, variance = (getattr(part, leaf).detach().cpu().double() for leaf in ("running_mean", "running_var"))
    return Arrivals(name, mean, variance, float(getattr(part, "eps", 1e-5)))


@contextmanager
def watched(module: nn.Module, *, alone: bool = False) -> Iterator[dict[str, Arrivals]]:
    """In here, every forward of `module` adds to the arrivals, by name and in the order of execution.

    `alone` lets each BatchNorm normalise with the batch's own statistics.
    """
    seen: dict[str, Arrivals] = {}
    handles = []
    kept: dict[str, tuple[Any, Any]] = {}

    def before(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def look(part: nn.Module, inputs: tuple[Any, ...]) -> None:
            x = inputs[0]
            if name not in seen:
                seen[name] = nothing_yet(name, part)
            mean, variance = seen[name].take(x)
            if alone:
                old = part._buffers["running_mean"], part._buffers["running_var"]
                assert old[0] is not None and old[1] is not None
                kept[name] = old
                part._buffers["running_mean"] = mean.to(old[0].dtype)
                part._buffers["running_var"] = variance.to(old[1].dtype)

        return look

    def after(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def restore(part: nn.Module, _inputs: Any, _output: Any) -> None:
            part._buffers["running_mean"], part._buffers["running_var"] = kept.pop(name)

        return restore

    parts = batchnorms(module)
    for name, part in parts.items():
        handles.append(part.register_forward_pre_hook(before(name)))
        if alone:
            handles.append(part.register_forward_hook(after(name)))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
        for name, old in kept.items():  # a forward that failed between the two
            parts[name]._buffers["running_mean"], parts[name]._buffers["running_var"] = old


def arrivals(
    module: nn.Module,
    batches: Iterable[torch.Tensor],
    *,
    alone: bool = False,
    progress: Callable[[int], None] | None = None,
    answered: Callable[[Any], None] | None = None,
) -> tuple[Arrivals, ...]:
    """Run batches (N, C, H, W) through `module` and return what arrived at each BatchNorm, in the order of execution.

    `answered` is called with what the network gives back for each batch. Hooks hang on `module` meanwhile, and with
    `alone` its statistics change: give a copy of one that others use, too.

    Raises:
        InferenceError: the network failed.
    """
    place = place_of(module)
    done = 0
    with watched(module, alone=alone) as seen:
        for x in batches:
            output, _ = timed_forward(module, x.to(place.device, place.dtype))
            if answered:
                answered(output)
            done += len(x)
            if progress:
                progress(done)
    return tuple(seen.values())
