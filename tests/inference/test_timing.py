"""How long a run took, in figures that its batches bear."""

from __future__ import annotations

import pytest

from ckpt_explorer.inference.timing import Timing, percentile


def run_of(*milliseconds: float, size: int = 32) -> Timing:
    timing = Timing()
    for each in milliseconds:
        timing.batch(each, size)
    return timing


def test_percentiles_are_values_that_were_measured() -> None:
    assert [percentile([5.0, 1.0, 3.0, 2.0], percent) for percent in (1, 50, 75, 100)] == [1.0, 2.0, 3.0, 5.0]


@pytest.mark.parametrize(
    ("timing", "says"),
    [
        (run_of(), "no batch was answered"),
        (run_of(210.71), "one batch of 32: 210.7 ms"),
        (run_of(300.0, 1594.7, 310.0), "3 batches of 32 at most: 300.0 to 1,594.7 ms"),
        (run_of(*(float(number) for number in range(1, 21)), size=8), "a batch of 8: p50 10.0 ms, p90 18.0 ms, p99 20.0 ms"),
    ],
)  # fmt: skip
def test_of_few_batches_the_fastest_and_the_slowest_are_said_and_of_many_the_percentiles(
    timing: Timing, says: str
) -> None:
    assert timing.says == says


def test_a_picture_waits_for_its_whole_batch() -> None:
    timing = run_of(100.0)
    timing.batch(20.0, 1)
    measured = timing.as_json()
    assert (measured["latency_ms"]["p50"], measured["network_ms"]["p50"], measured["pictures"]) == (100.0, 3.125, 33)
