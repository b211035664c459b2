"""What is the matter? Each situation of the catalogue that can be told from keys is recognised, and no other is claimed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ckpt_explorer.alignment import Verdict
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
