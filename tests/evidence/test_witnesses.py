"""Whether many small differences agree, also where some of them are no numbers."""

from __future__ import annotations

import math

import pytest
import torch

from ckpt_explorer.evidence.batchnorm import Arrivals
from ckpt_explorer.evidence.witnesses import FEWEST, students_t, times_nearer


def layer(off: float) -> Arrivals:
    """A BatchNorm of two channels at which what arrives is `off` deviations from what it kept, on the average."""
    arrived = Arrivals("bn", torch.zeros(2), torch.ones(2), eps=0.0)
    arrived.add(torch.full((2,), off), torch.ones(2), 8)
    return arrived


def test_each_layer_says_how_many_times_nearer_the_first_is() -> None:
    first, second = [layer(0.5), layer(2.0)], [layer(1.0), layer(1.0)]
    assert times_nearer(first, second) == pytest.approx([math.log(2), -math.log(2)])


@pytest.mark.parametrize("off", [math.inf, math.nan, 0.0])
def test_a_layer_without_such_a_number_is_no_witness(off: float) -> None:
    assert len(times_nearer([layer(off), layer(0.5)], [layer(1.0), layer(1.0)])) == 1
    assert len(times_nearer([layer(1.0), layer(0.5)], [layer(off), layer(1.0)])) == 1


def test_students_t_is_that_of_the_mean() -> None:
    assert students_t([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == pytest.approx(3.5 / (math.sqrt(3.5) / math.sqrt(6)))


def test_too_few_and_differences_that_are_the_same_say_nothing() -> None:
    assert students_t([1.0, 2.0, 3.0, 4.0, 5.0][: FEWEST - 1]) is None
    assert students_t([2.0] * FEWEST) is None
