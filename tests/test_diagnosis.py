"""What is the matter? Each situation of the catalogue that can be told from keys is recognised, and no other is claimed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ckpt_explorer.alignment import Verdict
from ckpt_explorer.architectures import architecture
from ckpt_explorer.errors import Diagnosis
from ckpt_explorer.proposal import FALLBACK, propose
from ckpt_explorer.reading import open_checkpoint
from tests.checkpoints import add_prefix, small_architecture, small_resnet_state_dict, write_checkpoint

Weights = dict[str, Tensor]


def without_head(weights: Weights) -> Weights:
    return {key: value for key, value in weights.items() if not key.startswith("fc.")}


def as_half(weights: Weights) -> Weights:
    return {key: value.half() if value.is_floating_point() else value for key, value in weights.items()}


CASES: dict[str, tuple[Callable[[Weights], Mapping[str, Any]], set[str]]] = {
    "as it is": (lambda weights: weights, set()),
    "in a container": (lambda weights: {"state_dict": weights, "epoch": 1}, {"K1"}),
    "Lightning": (
        lambda weights: {"state_dict": add_prefix("model.", weights), "pytorch-lightning_version": "2.0", "epoch": 1},
        {"K1", "K3", "K6"},
    ),
    "DataParallel": (lambda weights: add_prefix("module.", weights), {"K6"}),
    "two copies": (
        lambda weights: {**add_prefix("student.", weights), **add_prefix("teacher.", weights)},
        {"K6", "K9"},
    ),
    "no counters": (lambda weights: {key: row for key, row in weights.items() if "num_b" not in key}, {"V3"}),
    "no head": (without_head, {"A11"}),
    "half": (as_half, {"D5"}),
    "SE blocks": (lambda weights: {**weights, "layer1.0.se.fc.weight": torch.zeros(2, 2)}, {"A7"}),
}


@pytest.mark.parametrize("case", CASES)
def test_each_situation_is_recognised_and_no_other_is_claimed(tmp_path: Path, case: str) -> None:
    change, expected = CASES[case]
    file = write_checkpoint(tmp_path, dict(change(small_resnet_state_dict())))
    proposal = propose(open_checkpoint(file), architecture=small_architecture())
    assert {row.id for row in proposal.diagnoses} == expected
    for row in proposal.diagnoses:
        assert row.says and row.next and "\n" not in str(row)


def test_another_class_count_is_told_with_both_shapes(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path, small_resnet_state_dict(num_classes=9))
    proposal = propose(open_checkpoint(file), architecture=small_architecture(5))
    found = next(row for row in proposal.diagnoses if row.id == "A10")
    assert "(9, 32)" in found.says and "(5, 32)" in found.says and "9 classes" in found.next


def test_what_is_no_residual_network_is_held_against_the_common_one_and_fits_nothing(tmp_path: Path) -> None:
    proposal = propose(open_checkpoint(write_checkpoint(tmp_path, {"embed.weight": torch.zeros(4, 4)})))
    assert proposal.architecture.name == FALLBACK
    assert proposal.alignment.verdict is Verdict.INCOMPATIBLE
    assert "F14" in {row.id for row in proposal.diagnoses}


def told(tmp_path: Path, weights: Mapping[str, Any], network: str, **options: Any) -> dict[str, Diagnosis]:
    """What is said of these weights against a network, by id; the shapes count alone, so none is written in full."""
    file = write_checkpoint(tmp_path, {key: torch.zeros(1).expand(shape) for key, shape in weights.items()})
    proposal = propose(open_checkpoint(file), architecture=architecture(network, **options))
    return {row.id: row for row in proposal.diagnoses}


def shapes(network: str, **options: Any) -> dict[str, tuple[int, ...]]:
    return {key: row.shape for key, row in architecture(network, **options).tree.items() if row.shape}


@pytest.mark.parametrize(
    ("file", "chosen", "identity", "says", "next_step"),
    [
        ("resnet34", "resnet18", "A1", "3, 4, 6, 3 blocks in its stages, resnet18 has 2, 2, 2, 2", "choose resnet34"),
        ("resnet50", "resnet34", "A2", "bottlenecks (1x1, 3x3, 1x1), resnet34 of basic blocks", "choose resnet50"),
        ("resnet20_cifar_a", "resnet20_cifar_b", "A3", "have no parameters (option A", "choose resnet20_cifar_a"),
        ("resnet20_cifar_b", "resnet20_cifar_a", "A3", "project where the shape changes", "choose resnet20_cifar_b"),
        ("resnet18_cifar", "resnet18", "A4", "first conv is 3x3, that of resnet18 7x7", "stride 1 and no max-pool"),
        ("wide_resnet50_2", "resnet50", "A6", "128 inside the first stage's blocks", "choose wide_resnet50_2"),
        ("resnext50_32x4d", "resnet50", "A6", "in 32 groups", "choose resnext50_32x4d"),
    ],
)
def test_where_two_networks_part_is_said_with_both_numbers_and_what_to_choose(
    tmp_path: Path, file: str, chosen: str, identity: str, says: str, next_step: str
) -> None:
    found = told(tmp_path, shapes(file), chosen)
    assert identity in found
    assert says in found[identity].says
    assert next_step in found[identity].next
    assert "S8" not in found, "that shapes differ has been explained"


def test_other_input_channels_are_told_with_both_counts(tmp_path: Path) -> None:
    found = told(tmp_path, shapes("resnet18", in_channels=5), "resnet18")
    assert found["A14"].says == "The file's first conv takes 5 channels, that of resnet18 3 channels"
    assert "5 input channels" in found["A14"].next


def test_nothing_is_said_of_a_first_conv_that_the_file_does_not_have(tmp_path: Path) -> None:
    weights = {key: torch.zeros(1).expand(shape) for key, shape in shapes("resnet20_cifar_a").items()}
    weights["<img src=x>"] = weights.pop("conv1.weight")
    found = propose(open_checkpoint(write_checkpoint(tmp_path, weights)))
    assert found.alignment.verdict is Verdict.INCOMPATIBLE
    assert not [row for row in found.diagnoses if "first conv" in row.says]


def test_the_network_itself_is_not_said_to_part_from_itself(tmp_path: Path) -> None:
    for name in ("resnet18", "resnet50", "resnet20_cifar_a", "resnext50_32x4d"):
        headless = {key: shape for key, shape in shapes(name).items() if not key.startswith("fc.")}
        assert {"A1", "A2", "A3", "A4", "A6", "A14", "S8"}.isdisjoint(told(tmp_path, headless, name))


def test_a_head_of_the_files_own_is_told_from_a_missing_one(tmp_path: Path) -> None:
    weights = {key: shape for key, shape in shapes("resnet18").items() if not key.startswith("fc.")}
    found = told(tmp_path, {**weights, "fc.0.weight": (64, 512), "fc.3.weight": (10, 64)}, "resnet18")
    assert "A11" not in found
    assert "(64, 512)" in found["A13"].says and "(10, 64)" in found["A13"].says


def test_a_shape_that_nothing_explains_is_not_forgiven_by_strict_false(tmp_path: Path) -> None:
    found = told(tmp_path, {**shapes("resnet18"), "layer3.1.bn2.bias": (128,)}, "resnet18")
    assert "(128,) in the file, (256,) in the network" in found["S8"].says


def test_double_precision_is_told(tmp_path: Path) -> None:
    weights = {key: value.double() for key, value in small_resnet_state_dict().items() if value.is_floating_point()}
    proposal = propose(open_checkpoint(write_checkpoint(tmp_path, weights)), architecture=small_architecture())
    assert "D4" in {row.id for row in proposal.diagnoses}
