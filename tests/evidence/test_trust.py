"""Trust: what an answer of the loaded network is worth."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ckpt_explorer.evidence import trust
from tests.checkpoints import small_resnet_state_dict
from tests.evidence.test_values import loaded_from


def test_a_complete_load_can_be_believed(tmp_path: Path) -> None:
    judged = trust(loaded_from(tmp_path, small_resnet_state_dict()))
    assert (judged.level, judged.says, judged.random, judged.statistics) == ("answers", (), (), "file")
    assert judged.as_json()["trusted"] is True


@pytest.mark.parametrize("lost", [["fc.weight"], ["fc.bias"], ["fc.weight", "fc.bias"]])
def test_with_a_random_head_only_the_features_can(tmp_path: Path, lost: list[str]) -> None:
    weights = small_resnet_state_dict()
    for key in lost:
        del weights[key]
    judged = trust(loaded_from(tmp_path, weights, strict=False))
    assert (judged.level, judged.random) == ("features", tuple(lost))
    assert "class answers mean nothing" in judged.says[0]
    assert judged.as_json()["trusted"] is False


def test_with_a_random_conv_in_the_trunk_nothing_can(tmp_path: Path) -> None:
    weights = small_resnet_state_dict()
    del weights["layer1.0.conv1.weight"]
    judged = trust(loaded_from(tmp_path, weights, strict=False))
    assert judged.level == "nothing"
    assert "layer1.0.conv1.weight" in judged.says[0]


def test_without_running_statistics_every_answer_is_wrong_and_it_says_so(tmp_path: Path) -> None:
    weights = {key: value for key, value in small_resnet_state_dict().items() if "running" not in key}
    judged = trust(loaded_from(tmp_path, weights, strict=False))
    assert (judged.level, judged.statistics) == ("nothing", "missing")
    assert any("running statistics are missing in 22 places" in sentence for sentence in judged.says)


def test_statistics_that_were_never_trained_are_noticed(tmp_path: Path) -> None:
    weights = small_resnet_state_dict()
    for key in weights:
        if key.endswith("running_mean"):
            weights[key] = torch.zeros_like(weights[key])
        if key.endswith("running_var"):
            weights[key] = torch.ones_like(weights[key])
    judged = trust(loaded_from(tmp_path, weights))
    assert (judged.level, judged.statistics) == ("nothing", "untrained")


def test_a_file_of_another_network_is_worth_nothing_although_every_key_is_filled(tmp_path: Path) -> None:
    weights = {**small_resnet_state_dict(), "layer1.0.se.fc.weight": torch.zeros(2, 2)}
    judged = trust(loaded_from(tmp_path, weights, strict=False))
    assert (judged.level, judged.random) == ("nothing", ())
    assert "another network" in judged.says[0]
