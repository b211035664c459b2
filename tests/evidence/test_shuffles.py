"""Whether a conv knows its inputs, by the orders of them that explain as much: inputs that are alike, rare, and off."""

from __future__ import annotations

import math
from statistics import fmean

import torch
from torch import Tensor

from ckpt_explorer.evidence.wiring.arrivals import WEAK_MISFIT, Arrival, figures
from ckpt_explorer.evidence.wiring.doubts import PLAINLY, is_scaled
from ckpt_explorer.evidence.wiring.flow import Kernel, Moments, Norm, rectified

CHANNELS = 16


def arrival(seed: int, order: Tensor | None = None, off: float = 0.3) -> Arrival:
    """A 1x1 conv behind a ReLU whose inputs lie about 0.8 deviations below 0, each mean off by a share of itself.

    What the BatchNorm kept follows from the true means; `order` shuffles the inputs of the conv that is in the file.
    """
    chance = torch.Generator().manual_seed(seed)
    shift = -0.35 + 0.2 * torch.randn(CHANNELS, generator=chance, dtype=torch.float64)
    given = rectified(Moments(shift, torch.full((CHANNELS,), 0.18, dtype=torch.float64)))
    weight = torch.randn(CHANNELS, CHANNELS, generator=chance)
    true = given.mean * (1 + off * torch.randn(CHANNELS, generator=chance, dtype=torch.float64))
    ones = torch.ones(CHANNELS, dtype=torch.float64)
    kept = Norm(ones, ones, weight.double() @ true, given.variance)
    filed = weight if order is None else weight[:, order]
    table = filed[None]
    kernel = Kernel(table[None], table.square(), table.square(), None, 1)
    return Arrival("bn2", "conv2", "inside", kernel, kept, given)


def test_a_conv_that_knows_its_inputs_fits_in_hardly_another_order() -> None:
    found = [figures(arrival(seed)).better_orders for seed in range(24)]
    asked = [share for share in found if share is not None]
    assert len(asked) >= 10 and fmean(asked) < 0.02 and max(asked) < 0.05


def test_a_shuffled_one_fits_in_many_as_well() -> None:
    chance = torch.Generator().manual_seed(0)
    found = [figures(arrival(seed, torch.randperm(CHANNELS, generator=chance))) for seed in range(12)]
    shares = [row.better_orders for row in found if row.better_orders is not None]
    assert len(shares) == len(found) and fmean(shares) > 0.2
    assert sum(share > 0.02 for share in shares) >= 11


def test_a_layer_that_fits_well_is_not_asked() -> None:
    row = figures(arrival(0, off=0.02))
    assert row.misfit is not None and row.misfit < WEAK_MISFIT and row.better_orders is None


def test_the_part_of_the_inputs_own_means_is_there_or_lacking() -> None:
    known = [figures(arrival(seed, off=0.02)) for seed in range(12)]
    assert all(row.pattern is not None and row.pattern > PLAINLY for row in known)
    chance = torch.Generator().manual_seed(0)
    for seed in range(12):
        row = figures(arrival(seed, torch.randperm(CHANNELS, generator=chance), off=0.02))
        assert row.pattern is not None and row.lacking is not None
        assert row.pattern < 5 and row.lacking > 0


def test_means_and_deviations_together_say_that_a_conv_was_scaled() -> None:
    halved, doubled = (math.log(2), math.log(1.6)), (-math.log(2), -math.log(1.5))
    assert is_scaled(halved) and is_scaled(doubled)
    assert not is_scaled((0.15, 0.73))  # inputs that are far from independent: a whole ResNet-56 has a layer like this
    assert not is_scaled((-0.15, -0.73)) and not is_scaled((0.3, 0.3))
    assert not is_scaled((0.5, 0.5), nearby=0.45)  # where all of the network is so far off, no layer stands out
