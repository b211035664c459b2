"""Silence: what training or pruning made nothing of is no fault, and what was emptied afterwards is one."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ckpt_explorer.evidence import check_health
from tests.evidence.test_health import lived_in
from tests.evidence.test_values import loaded_from

CONV, BN = "layer2.0.conv1", "layer2.0.bn1"


def doubted(folder: Path, weights: dict[str, Tensor]) -> list[tuple[str, str]]:
    """The tensors that are doubted, and for what."""
    return [(row.key, row.finding) for row in check_health(loaded_from(folder, weights)) if row.is_doubt]


def most(tensor: Tensor) -> slice:
    """More than half of the channels."""
    return slice(0, len(tensor) * 3 // 4)


def test_most_channels_of_a_pruned_conv_may_be_gone(tmp_path: Path) -> None:
    weights = lived_in()
    gone = most(weights[f"{CONV}.weight"])
    weights[f"{CONV}.weight"][gone] = 0
    weights[f"{BN}.running_var"][gone] = 1e-30
    rows = check_health(loaded_from(tmp_path, weights))
    assert [(row.finding, row.is_doubt) for row in rows] == [("dead channels", False), ("tiny variance", False)]
    assert all("pruning" in row.detail for row in rows)


def test_channels_whose_statistics_remember_them_were_emptied(tmp_path: Path) -> None:
    weights = lived_in()
    weights[f"{CONV}.weight"][most(weights[f"{CONV}.weight"])] = 0
    assert doubted(tmp_path, weights) == [(f"{CONV}.weight", "dead channels")]


def test_variances_that_a_whole_conv_contradicts_are_doubted(tmp_path: Path) -> None:
    weights = lived_in()
    weights[f"{BN}.running_var"][most(weights[f"{BN}.running_var"])] = 1e-30
    assert doubted(tmp_path, weights) == [(f"{BN}.running_var", "tiny variance")]


def test_a_layer_that_is_fed_nothing_has_no_variance(tmp_path: Path) -> None:
    weights = lived_in()
    for leaf in ("weight", "bias"):
        weights[f"{BN}.{leaf}"] *= 1e-10
    behind = "layer2.0.bn2.running_var"
    weights[behind] = torch.full_like(weights[behind], 1e-40)
    assert doubted(tmp_path, weights) == []


def test_a_conv_of_zeros_is_dead_where_its_statistics_say_so(tmp_path: Path) -> None:
    weights = lived_in()
    weights[f"{CONV}.weight"] = torch.zeros_like(weights[f"{CONV}.weight"])
    assert doubted(tmp_path, weights) == [(f"{CONV}.weight", "all zero")]
    weights[f"{BN}.running_var"] = torch.full_like(weights[f"{BN}.running_var"], 1e-30)
    assert doubted(tmp_path, weights) == []
