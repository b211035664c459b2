"""Decisions: what each choice really puts into the network, tensor by tensor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ckpt_explorer.alignment import Alignment, Verdict, align
from ckpt_explorer.architectures import Architecture, architecture, own_class
from ckpt_explorer.decisions import decided, decisions_for
from ckpt_explorer.errors import LoadError
from ckpt_explorer.loading import LoadedModel, load
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.rules import RuleSet, rules_from_json
from tests.checkpoints import SMALL, small_resnet_state_dict, write_checkpoint, write_class


def small(num_classes: int = 5, in_channels: int = 3) -> Architecture:
    return architecture("custom", num_classes=num_classes, in_channels=in_channels, options=SMALL)


def held(folder: Path, state_dict: dict[str, Tensor], target: Architecture) -> Alignment:
    return align(open_checkpoint(write_checkpoint(folder, state_dict)), target)


def names(alignment: Alignment, about: str) -> list[str]:
    return [choice.name for row in decisions_for(alignment) if row.about == about for choice in row.choices]


def loaded(alignment: Alignment, *answers: str) -> LoadedModel:
    return load(decided(alignment, answers), strict=False)


def equal(module: torch.nn.Module, key: str, wanted: Tensor) -> bool:
    return torch.equal(module.state_dict()[key], wanted)


def test_what_fits_leaves_nothing_to_decide(tmp_path: Path) -> None:
    assert decisions_for(held(tmp_path, small_resnet_state_dict(), small())) == ()


def test_the_head_is_built_with_the_classes_of_the_file(tmp_path: Path) -> None:
    weights = small_resnet_state_dict(num_classes=7)
    network = loaded(held(tmp_path, weights, small(5)), "classes=classes of the file")
    assert network.report.random == () and network.architecture.num_classes == 7
    assert equal(network.module, "fc.weight", weights["fc.weight"])


def test_the_first_classes_are_rows_of_the_file(tmp_path: Path) -> None:
    weights = small_resnet_state_dict(num_classes=7)
    there = held(tmp_path, weights, small(5))
    assert "without the first" not in names(there, "classes")
    network = loaded(there, "classes=first classes")
    assert equal(network.module, "fc.weight", weights["fc.weight"][:5])
    assert equal(network.module, "fc.bias", weights["fc.bias"][:5])
    assert network.report.random == ()


def test_a_background_class_in_front_can_be_left_out(tmp_path: Path) -> None:
    weights = small_resnet_state_dict(num_classes=6)
    network = loaded(held(tmp_path, weights, small(5)), "classes=without the first")
    assert equal(network.module, "fc.weight", weights["fc.weight"][1:])
    assert equal(network.module, "fc.bias", weights["fc.bias"][1:])


def test_a_longer_head_is_not_filled_from_a_shorter_and_the_reason_is_said(tmp_path: Path) -> None:
    there = held(tmp_path, small_resnet_state_dict(num_classes=4), small(5))
    assert names(there, "classes") == ["classes of the file", "leave out", "stop"]
    assert "would be random" in decisions_for(there)[0].not_offered


def test_leaving_the_head_out_leaves_exactly_the_head_random(tmp_path: Path) -> None:
    weights = small_resnet_state_dict(3, num_classes=7)
    there = decided(held(tmp_path, weights, small(5)), ["classes=leave out"])
    assert [str(rule) for rule in there.rules] == ["drop '^fc.'"]
    network = load(there, strict=False)
    assert network.report.random == ("fc.weight", "fc.bias") and network.report.shape_mismatch == ()
    assert equal(network.module, "conv1.weight", weights["conv1.weight"])
    assert not equal(network.module, "fc.weight", weights["fc.weight"][:5])


@pytest.mark.parametrize(
    ("answer", "made"),
    [("sum to gray", lambda w: w.sum(1, keepdim=True)), ("mean to gray", lambda w: w.mean(1, keepdim=True))],
)
def test_a_colour_stem_becomes_a_gray_one(tmp_path: Path, answer: str, made: object) -> None:
    weights = small_resnet_state_dict()
    network = loaded(held(tmp_path, weights, small(in_channels=1)), f"channels={answer}")
    assert callable(made) and equal(network.module, "conv1.weight", made(weights["conv1.weight"]))


def test_a_summed_stem_answers_as_for_the_picture_in_all_three_channels(tmp_path: Path) -> None:
    weights = small_resnet_state_dict()
    gray = loaded(held(tmp_path, weights, small(in_channels=1)), "channels=sum to gray").module
    colour = loaded(held(tmp_path, weights, small())).module
    picture = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(gray(picture), colour(picture.repeat(1, 3, 1, 1)), atol=1e-4)


def test_a_gray_stem_becomes_one_for_colour_that_sees_the_mean(tmp_path: Path) -> None:
    weights = dict(load_fresh(small(in_channels=1)))
    network = loaded(held(tmp_path, weights, small()), "channels=a third each")
    assert equal(network.module, "conv1.weight", weights["conv1.weight"].repeat(1, 3, 1, 1) / 3)


def test_a_stem_for_more_bands_repeats_the_kernel_at_its_scale(tmp_path: Path) -> None:
    weights = small_resnet_state_dict()
    network = loaded(held(tmp_path, weights, small(in_channels=5)), "channels=repeat to 5")
    kernel = weights["conv1.weight"]
    wanted = torch.cat([kernel, kernel[:, :2]], 1) * (3 / 5)
    assert torch.allclose(network.module.state_dict()["conv1.weight"], wanted)


def test_a_stem_for_fewer_bands_takes_the_first(tmp_path: Path) -> None:
    weights = dict(load_fresh(small(in_channels=4)))
    network = loaded(held(tmp_path, weights, small()), "channels=first 3")
    assert equal(network.module, "conv1.weight", weights["conv1.weight"][:, :3])


def test_the_stem_is_built_for_the_channels_of_the_file(tmp_path: Path) -> None:
    weights = dict(load_fresh(small(in_channels=4)))
    network = loaded(held(tmp_path, weights, small()), "channels=channels of the file")
    assert network.architecture.in_channels == 4 and equal(network.module, "conv1.weight", weights["conv1.weight"])


def test_several_questions_are_answered_in_one_go(tmp_path: Path) -> None:
    weights = small_resnet_state_dict(num_classes=7)
    there = held(tmp_path, weights, small(5, in_channels=5))
    network = loaded(there, "channels=repeat to 5", "classes=classes of the file")
    assert network.report.random == () and network.architecture.in_channels == 5


def test_statistics_that_are_not_there_stay_at_their_start_or_are_those_of_a_folded_norm(tmp_path: Path) -> None:
    weights = {key: value for key, value in small_resnet_state_dict().items() if "running" not in key}
    there = held(tmp_path, weights, small())
    assert names(there, "statistics") == ["leave at 0 and 1", "folded", "stop"] and names(there, "missing") == []
    partial = load(there, strict=False)
    assert set(partial.report.random) == {key for key in small_resnet_state_dict() if key.endswith(("_mean", "_var"))}
    folded = loaded(there, "statistics=folded").module.state_dict()
    assert torch.allclose(folded["bn1.running_var"], torch.full((8,), 1 - 1e-5))
    assert not folded["bn1.running_mean"].any()


def test_missing_tensors_stay_random_and_are_named(tmp_path: Path) -> None:
    weights = {key: value for key, value in small_resnet_state_dict().items() if not key.startswith("layer2.1.conv")}
    there = held(tmp_path, weights, small())
    question = next(row for row in decisions_for(there) if row.about == "missing")
    assert question.keys == ("layer2.1.conv1.weight", "layer2.1.conv2.weight")
    assert "no answer and no feature can be trusted" in question.choices[0].consequence
    assert load(there, strict=False).report.random == question.keys


def test_what_has_no_place_is_left_out_by_the_fewest_rules(tmp_path: Path) -> None:
    extra = {f"decoder.{at}.weight": torch.zeros(3) for at in range(40)}
    there = held(tmp_path, {**small_resnet_state_dict(), **extra}, small())
    after = decided(there, ["unexpected=leave out"])
    assert [str(rule) for rule in after.rules] == ["drop '^decoder.'"]
    assert load(after, strict=True).report.ignored == tuple(extra)


def test_leaving_out_what_was_trained_inside_says_what_it_means(tmp_path: Path) -> None:
    extra = {"layer1.0.se.fc1.weight": torch.zeros(4, 8, 1, 1)}
    there = held(tmp_path, {**small_resnet_state_dict(), **extra}, small())
    question = next(row for row in decisions_for(there) if row.about == "unexpected")
    assert "computes something else than what was trained" in question.choices[0].consequence


def test_a_part_of_a_kernel_inside_the_trunk_is_never_offered(tmp_path: Path) -> None:
    weights = small_resnet_state_dict()
    weights["layer1.0.conv1.weight"] = torch.zeros(16, 8, 3, 3)
    there = held(tmp_path, weights, small())
    assert names(there, "shapes") == ["leave out", "stop"]
    assert decided(there, ["shapes=leave out"]).verdict is Verdict.INCOMPATIBLE
    assert load(decided(there, ["shapes=leave out"]), strict=False).report.random == ("layer1.0.conv1.weight",)


def test_stopping_loads_nothing(tmp_path: Path) -> None:
    there = held(tmp_path, small_resnet_state_dict(num_classes=7), small(5))
    with pytest.raises(LoadError, match="Stopped"):
        decided(there, ["classes=stop"])


@pytest.mark.parametrize("answer", ["classes=everything", "shoes=leave out", "", "classes"])
def test_a_wrong_answer_is_told_what_there_is_to_decide(tmp_path: Path, answer: str) -> None:
    there = held(tmp_path, small_resnet_state_dict(num_classes=7), small(5))
    with pytest.raises(LoadError, match=r"choose from|To be decided: classes"):
        decided(there, [answer])


def test_a_class_of_ones_own_is_built_with_the_count_where_it_takes_one(tmp_path: Path) -> None:
    source = """class Net(nn.Module):
    def __init__(self, num_classes=5):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, num_classes)

    def forward(self, x):
        return self.fc(self.conv1(x).mean((2, 3)))
"""
    target = own_class(f"{write_class(tmp_path, source)}:Net")
    weights = {
        "conv1.weight": torch.ones(4, 3, 3, 3),
        "conv1.bias": torch.ones(4),
        "fc.weight": torch.ones(9, 4),
        "fc.bias": torch.ones(9),
    }
    network = loaded(held(tmp_path, weights, target), "classes=classes of the file")
    assert equal(network.module, "fc.bias", torch.ones(9)) and network.report.random == ()


def test_choices_are_rules_that_a_rules_file_keeps(tmp_path: Path) -> None:
    there = held(tmp_path, small_resnet_state_dict(num_classes=7), small(5))
    after = decided(there, ["classes=first classes"])
    again = rules_from_json(json.dumps(after.rules.as_json()))
    assert again == after.rules and isinstance(again, RuleSet)
    assert align(there.state_dict, there.architecture, again).verdict is Verdict.COMPLETE


def load_fresh(target: Architecture) -> dict[str, Tensor]:
    return dict(target.builder()().state_dict())
