"""Health: what is odd in a tensor, by its role; and what is not odd at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ckpt_explorer.evidence import check_health
from tests.checkpoints import small_resnet_state_dict
from tests.evidence.test_values import loaded_from

BN = "layer2.0.bn1"


def lived_in() -> dict[str, Tensor]:
    """The small network's weights with a shift of its own in every BatchNorm."""
    weights = small_resnet_state_dict()
    generator = torch.Generator().manual_seed(5)
    for key in weights:
        if ("bn" in key and key.endswith(".bias")) or key.endswith("downsample.1.bias"):
            weights[key] = torch.randn(weights[key].shape, generator=generator) / 3
    return weights


def test_a_sound_file_has_nothing(tmp_path: Path) -> None:
    assert check_health(loaded_from(tmp_path, lived_in())) == ()


def with_first(value: float) -> object:
    def change(tensor: Tensor) -> Tensor:
        tensor = tensor.clone()
        tensor.view(-1)[0] = value
        return tensor

    return change


@pytest.mark.parametrize(
    ("key", "change", "finding"),
    [
        ("layer2.0.conv1.weight", with_first(float("nan")), "NaN"),
        ("fc.bias", with_first(float("-inf")), "Inf"),
        (f"{BN}.running_var", with_first(-1e-3), "negative variance"),
        ("conv1.weight", with_first(1e30), "absurd magnitude"),
        ("layer1.0.conv2.weight", torch.zeros_like, "all zero"),
        ("fc.weight", torch.ones_like, "constant"),
        (f"{BN}.running_var", torch.zeros_like, "all zero"),
        (f"{BN}.running_var", torch.ones_like, "still at its start value"),
        (f"{BN}.running_mean", torch.zeros_like, "still at its start value"),
        (f"{BN}.weight", torch.ones_like, "still at its start value"),
        (f"{BN}.weight", torch.zeros_like, "still at its start value"),
        (f"{BN}.bias", torch.zeros_like, "still at its start value"),
        ("fc.bias", torch.zeros_like, "still at its start value"),
    ],
)
def test_one_spoilt_tensor_is_named(tmp_path: Path, key: str, change: object, finding: str) -> None:
    weights = lived_in()
    assert callable(change)
    weights[key] = change(weights[key])
    rows = check_health(loaded_from(tmp_path, weights))
    assert [(row.key, row.finding, row.is_doubt) for row in rows] == [(key, finding, True)]


def test_dead_channels_and_what_all_layers_share_are_no_doubt(tmp_path: Path) -> None:
    weights = lived_in()
    weights["layer2.0.conv1.weight"][3] = 0
    weights["layer2.0.bn1.running_var"][3] = 1e-30
    for key in weights:
        if key.endswith("bn2.weight"):  # a block that begins as the identity, before its first step
            weights[key] = torch.zeros_like(weights[key])
    rows = check_health(loaded_from(tmp_path, weights))
    assert [(row.finding, row.is_doubt) for row in rows] == [("dead channels", False), ("tiny variance", False)]


def test_a_network_whose_shifts_are_all_zero_was_made_so(tmp_path: Path) -> None:
    assert check_health(loaded_from(tmp_path, small_resnet_state_dict())) == ()
