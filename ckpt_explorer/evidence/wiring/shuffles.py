"""Does a conv know which of its inputs is which? Its inputs' means in their own order, against the same in any other.

Where all inputs of a layer are rare and alike, their average can explain what arrived as well as their own means do,
also in a network that is whole. What a whole layer still shows is that hardly any other order fits better than its own;
of inputs that were shuffled, the order found is one like any other. A permutation test asks just that, and needs no
figure from other networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt_explorer.evidence.wiring.flow import Moments, through
from ckpt_explorer.evidence.wiring.slope import TINY, through_origin

if TYPE_CHECKING:
    import torch

    from ckpt_explorer.evidence.wiring.arrivals import Arrival

ORDERS = 499
"""Other orders that are tried."""

LOOSE, SURELY, AT_MOST = 0.03, 0.03, 1.5
"""How far the mean of a rectified input may be off, as a share of it: `SURELY`, and `LOOSE` over the square of its mean
in deviations, up to `AT_MOST`. An input that is seldom above 0 lives by the tail of what arrives, and a skewness k moves
its mean by k / 6 z f, with the normal density f at z (the first term of the Gram-Charlier series): next to nothing of
one that is mostly above 0, half of one that lies a deviation below it."""


def better_orders(arrival: Arrival, side: int, alive: torch.Tensor) -> float:
    """The share of other orders of the inputs that explain what was kept as well as their own, 0 to 1.

    About 0 where the conv knows its inputs, and anything where it does not. `alive` are the output channels that count.
    """
    import torch

    given = arrival.given
    assert given is not None
    chance = torch.Generator().manual_seed(0)
    count = len(given.mean)
    orders = torch.stack([torch.arange(count), *(torch.randperm(count, generator=chance) for _ in range(ORDERS))])
    left = _unexplained(arrival, side, Moments(given.mean[orders], given.variance[orders]), alive)
    return float((left[1:] <= left[0]).double().mean())


def _unexplained(arrival: Arrival, side: int, given: Moments, alive: torch.Tensor) -> torch.Tensor:
    """What is left of the kept means behind the best slope, in units of what may be off: (orders,)."""
    kernel = arrival.kernel
    share = (SURELY + LOOSE * given.variance / (given.mean**2).clamp_min(TINY)).clamp_max(AT_MOST)
    unsure = through(kernel.squared, (share * given.mean) ** 2).sqrt().clamp_min(TINY)
    kept = ((arrival.kept.mean - kernel.offset) / unsure)[:, alive]
    predicted = (through(kernel.at(side), given.mean) / unsure)[:, alive]
    return through_origin(kept, predicted)[1].nan_to_num(float("inf"))
