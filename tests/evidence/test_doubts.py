"""A fault is doubted once: what follows it is not blamed, and what two kinds of evidence see is said by the first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ckpt_explorer import load, open_checkpoint, propose
from ckpt_explorer.api import as_named
from ckpt_explorer.errors import Diagnosis
from ckpt_explorer.evidence import verify
from ckpt_explorer.examples import WEIGHTS, example_images

Weights = dict[str, Tensor]


def doubts(folder: Path, spoil: Callable[[Weights], None]) -> tuple[Diagnosis, ...]:
    """What is doubted in the example once it is spoilt, by 24 of its pictures."""
    weights: Weights = torch.load(WEIGHTS, weights_only=True)["state_dict"]
    spoil(weights)
    file = folder / "spoilt.pth"
    torch.save(weights, file)
    return verify(load(propose(open_checkpoint(file)).alignment), as_named(example_images())[::15]).doubts


@pytest.mark.parametrize("conv", ["layer1.1.conv2.weight", "layer2.0.conv1.weight", "layer3.2.conv1.weight"])
def test_a_conv_of_zeros_is_named_and_nothing_behind_it(tmp_path: Path, conv: str) -> None:
    (doubt,) = doubts(tmp_path, lambda weights: weights.__setitem__(conv, torch.zeros_like(weights[conv])))
    assert doubt.id == "S9" and conv in doubt.says


def test_a_nan_is_named_and_nothing_behind_it(tmp_path: Path) -> None:
    def spoil(weights: Weights) -> None:
        weights["layer2.1.conv1.weight"].view(-1)[7] = float("nan")

    (doubt,) = doubts(tmp_path, spoil)
    assert doubt.id == "S9" and "layer2.1.conv1.weight" in doubt.says


def test_two_convs_in_each_others_place_are_named_by_the_wiring_alone(tmp_path: Path) -> None:
    one, two = "layer2.1.conv1.weight", "layer2.1.conv2.weight"

    def spoil(weights: Weights) -> None:
        weights[one], weights[two] = weights[two], weights[one]

    found = doubts(tmp_path, spoil)
    assert {doubt.id for doubt in found} == {"S10"}
    assert all("layer2.1.bn" in doubt.says for doubt in found)


def test_what_is_whole_is_not_doubted(tmp_path: Path) -> None:
    assert doubts(tmp_path, lambda _weights: None) == ()
