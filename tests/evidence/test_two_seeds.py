"""Two seeds: exactly what no file fixes, and reaches the output, is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ckpt_explorer.alignment import align
from ckpt_explorer.architectures import own_class
from ckpt_explorer.evidence import TwoSeeds, two_seeds
from ckpt_explorer.loading import load
from ckpt_explorer.reading import open_checkpoint
from tests.checkpoints import small_resnet_state_dict, write_checkpoint, write_class
from tests.evidence.test_values import loaded_from

NOISE = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def without(folder: Path, *lost: str) -> TwoSeeds:
    weights = small_resnet_state_dict()
    for key in lost:
        del weights[key]
    return two_seeds(loaded_from(folder, weights, strict=False), NOISE)


def test_a_complete_load_hangs_on_the_file_alone(tmp_path: Path) -> None:
    found = without(tmp_path)
    assert found.as_json() == {"same": True, "random": []}


@pytest.mark.parametrize(
    "lost",
    [
        ["fc.weight", "fc.bias"],
        ["layer2.1.conv1.weight"],
        ["conv1.weight", "layer1.0.bn1.bias", "layer2.0.downsample.0.weight"],
        ["layer1.0.bn2.running_var"],
    ],
)
def test_exactly_what_the_file_lacks_is_named(tmp_path: Path, lost: list[str]) -> None:
    found = without(tmp_path, *lost)
    assert not found.same
    assert sorted(found.random) == sorted(lost)


def test_a_random_tensor_that_reaches_no_output_is_not_named(tmp_path: Path) -> None:
    weights = small_resnet_state_dict()
    weights["layer2.1.bn2.weight"] = torch.zeros_like(weights["layer2.1.bn2.weight"])
    del weights["layer2.1.conv1.weight"]
    assert two_seeds(loaded_from(tmp_path, weights, strict=False), NOISE).as_json() == {"same": True, "random": []}


def test_many_are_found_by_their_derivatives_and_the_rest_one_by_one(tmp_path: Path) -> None:
    lost = [key for key in small_resnet_state_dict() if key.startswith("layer2") and "tracked" not in key]
    assert len(lost) > 24
    assert sorted(without(tmp_path, *lost).random) == sorted(lost)


def test_weights_that_are_no_numbers_hide_the_change_and_all_are_named(tmp_path: Path) -> None:
    weights = small_resnet_state_dict()
    weights["conv1.weight"][0] = float("nan")
    del weights["fc.bias"]
    assert two_seeds(loaded_from(tmp_path, weights, strict=False), NOISE).random == ("fc.bias",)


OWN = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.offset = torch.randn(4)
        self.idle = torch.randn(4)
        self.fixed = torch.arange(4.0)
        self.parts = {"gain": [torch.rand(4)]}
        self.register_buffer("mask", torch.rand(4), persistent=False)

    def forward(self, x):
        x = self.conv(x).mean((2, 3))
        return (x + self.offset + self.fixed) * self.mask * self.parts["gain"][0]
"""


def test_what_a_class_keeps_outside_its_state_dict_is_named_too(tmp_path: Path) -> None:
    network = own_class(f"{write_class(tmp_path, OWN)}:Net")
    weights = {"conv.weight": torch.randn(4, 3, 3, 3), "conv.bias": torch.randn(4)}
    loaded = load(align(open_checkpoint(write_checkpoint(tmp_path, weights)), network))
    found = two_seeds(loaded, NOISE)
    assert sorted(found.random) == ["mask", "offset", "parts"]
    assert torch.equal(loaded.module(NOISE), loaded.module(NOISE))


def test_a_forward_that_draws_numbers_is_told_from_random_weights(tmp_path: Path) -> None:
    source = "class Net(nn.Linear):\n    def __init__(self):\n        super().__init__(32, 4)\n    def forward(self, x):\n        return super().forward(x).mean((1, 2)) + torch.rand(4)\n"
    network = own_class(f"{write_class(tmp_path, source)}:Net")
    weights = {"weight": torch.randn(4, 32), "bias": torch.randn(4)}
    loaded = load(align(open_checkpoint(write_checkpoint(tmp_path, weights)), network))
    found = two_seeds(loaded, NOISE)
    assert found.forward_is_random and not found.same
    assert "own forward is random" in found.says
