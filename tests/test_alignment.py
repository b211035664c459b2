"""align(): what becomes of each row, and when a checkpoint is this network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ckpt_explorer.alignment import Alignment, Status, Verdict, align
from ckpt_explorer.architectures import architecture, own_class, reference_tree
from ckpt_explorer.errors import CheckpointExplorerError, RuleCollision
from ckpt_explorer.export import write_state_dict
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.rules import RuleSet, parse_rule
from tests.checkpoints import (
    add_prefix,
    described,
    small_architecture,
    small_resnet_state_dict,
    write_checkpoint,
    write_class,
)

SMALL_NET = small_architecture()


def aligned(folder: Path, weights: Mapping[str, Tensor], *rules: str) -> Alignment:
    """The weights, written to a file, held against the small network."""
    file = write_checkpoint(folder, dict(weights))
    return align(open_checkpoint(file), SMALL_NET, RuleSet(tuple(map(parse_rule, rules))))


def test_a_file_of_the_network_itself_is_complete_row_by_row(tmp_path: Path) -> None:
    alignment = aligned(tmp_path, small_resnet_state_dict())
    assert alignment.verdict is Verdict.COMPLETE
    assert {pair.status for pair in alignment.pairs} == {Status.MATCHED}
    assert [pair.model for pair in alignment.pairs] == list(SMALL_NET.tree)
    assert alignment.summary["matched"] == len(SMALL_NET.tree)
    assert "Every parameter and buffer" in alignment.says


def test_every_status_has_its_row(tmp_path: Path) -> None:
    weights = small_resnet_state_dict(num_classes=7)
    weights["bn1.weight"] = weights["bn1.weight"].double()
    del weights["bn1.bias"]
    weights["queue"] = torch.zeros(3)
    weights["epoch.total"] = torch.zeros(3)
    alignment = aligned(tmp_path, weights, "drop ^epoch.")
    statuses = {pair.name: pair.status for pair in alignment.pairs}
    assert statuses["conv1.weight"] is Status.MATCHED
    assert statuses["bn1.weight"] is Status.ADAPTED
    assert statuses["bn1.bias"] is Status.MISSING
    assert statuses["fc.weight"] is Status.SHAPE_MISMATCH
    assert statuses["queue"] is Status.UNEXPECTED
    assert statuses["epoch.total"] is Status.IGNORED
    assert sum(alignment.summary.values()) == len(alignment.pairs)


def test_rows_are_in_the_models_order_then_what_is_left_then_what_is_ignored(tmp_path: Path) -> None:
    weights = {"z.last": torch.zeros(1), "a.dropped": torch.zeros(1), **small_resnet_state_dict(), "b": torch.zeros(1)}
    alignment = aligned(tmp_path, dict(reversed(weights.items())), "drop dropped$")
    assert [pair.name for pair in alignment.pairs] == [*SMALL_NET.tree, "b", "z.last", "a.dropped"]


def test_a_row_says_the_last_rule_that_touched_it_and_both_names(tmp_path: Path) -> None:
    weights = add_prefix("module.", small_resnet_state_dict())
    weights["module.linear.weight"] = weights.pop("module.fc.weight")
    alignment = aligned(tmp_path, weights, "strip prefix module.", "rename linear. -> fc.")
    row = next(pair for pair in alignment.pairs if pair.model == "fc.weight")
    assert (row.checkpoint, row.renamed, row.rule) == ("module.linear.weight", "fc.weight", 1)
    assert row.as_json() == {
        "checkpoint": "module.linear.weight",
        "renamed": "fc.weight",
        "model": "fc.weight",
        "status": "matched",
        "checkpoint_shape": [5, 32],
        "model_shape": [5, 32],
        "rule": 1,
    }


def test_without_its_head_it_is_partial_and_the_sentence_names_the_head(tmp_path: Path) -> None:
    weights = small_resnet_state_dict()
    del weights["fc.weight"], weights["fc.bias"]
    alignment = aligned(tmp_path, weights)
    assert alignment.verdict is Verdict.PARTIAL
    assert alignment.unfilled == ("fc.weight", "fc.bias")
    assert "fc.weight" in alignment.says and "class answers mean nothing" in alignment.says


def test_with_another_class_count_it_is_partial(tmp_path: Path) -> None:
    alignment = aligned(tmp_path, small_resnet_state_dict(num_classes=9))
    assert alignment.verdict is Verdict.PARTIAL
    assert alignment.summary["shape_mismatch"] == 2


@pytest.mark.parametrize("key", ["conv1.weight", "layer2.0.conv1.weight", "layer3.0.bn2.running_mean", "bn1.bias"])
def test_one_tensor_missing_inside_the_trunk_makes_it_incompatible(tmp_path: Path, key: str) -> None:
    weights = small_resnet_state_dict()
    del weights[key]
    alignment = aligned(tmp_path, weights)
    assert alignment.verdict is Verdict.INCOMPATIBLE
    assert key in alignment.says and "no answer could be trusted" in alignment.says


def test_counters_of_batches_are_not_asked_for(tmp_path: Path) -> None:
    weights = {key: value for key, value in small_resnet_state_dict().items() if "num_batches" not in key}
    alignment = aligned(tmp_path, weights)
    assert alignment.verdict is Verdict.COMPLETE
    assert alignment.unfilled == ()
    assert alignment.summary["missing"] == 11
    assert "start at 0" in alignment.says


@pytest.mark.parametrize(
    "stranger", ["layer1.0.se.fc1.weight", "layer2.2.conv1.weight", "layer1.0.conv1.bias", "conv1.bias", "bn1.scale"]
)
def test_learned_tensors_inside_the_network_make_it_another_one_whatever_fits(tmp_path: Path, stranger: str) -> None:
    alignment = aligned(tmp_path, {**small_resnet_state_dict(), stranger: torch.zeros(4)})
    assert alignment.verdict is Verdict.INCOMPATIBLE
    assert alignment.strangers == (stranger,)
    assert "another network" in alignment.says and stranger in alignment.says


@pytest.mark.parametrize(
    "beside", ["queue", "projector.0.weight", "fc.extra", "optimizer.state", "bn1.num_batches_tracked.x"]
)
def test_what_lies_beside_the_network_or_in_its_head_does_not(tmp_path: Path, beside: str) -> None:
    alignment = aligned(tmp_path, {**small_resnet_state_dict(), beside: torch.zeros(4)})
    assert alignment.verdict is (Verdict.INCOMPATIBLE if beside.startswith("bn1.") else Verdict.COMPLETE)


def test_a_stranger_that_a_rule_drops_is_the_users_own_decision(tmp_path: Path) -> None:
    alignment = aligned(tmp_path, {**small_resnet_state_dict(), "conv1.bias": torch.zeros(8)}, "drop ^conv1.bias$")
    assert alignment.verdict is Verdict.COMPLETE
    assert alignment.summary["ignored"] == 1


def test_a_network_that_stops_earlier_takes_the_trunk_and_says_what_goes_on(tmp_path: Path) -> None:
    write_class(
        tmp_path,
        "from tests.checkpoints import small_resnet\n\n"
        "def shorter():\n"
        "    net = small_resnet()\n"
        "    del net.layer3\n"
        "    net.fc = nn.Linear(16, 5)\n"
        "    return net\n",
    )
    target = own_class(f"{tmp_path / 'my_net.py'}:shorter")
    file = write_checkpoint(tmp_path, small_resnet_state_dict())
    alignment = align(open_checkpoint(file), target)
    assert alignment.verdict is Verdict.PARTIAL
    assert "goes on with layer3" in alignment.says


def test_nothing_in_common_is_incompatible_and_says_so(tmp_path: Path) -> None:
    alignment = aligned(tmp_path, add_prefix("module.", small_resnet_state_dict()))
    assert alignment.verdict is Verdict.INCOMPATIBLE
    assert alignment.summary["matched"] == 0
    assert "Nothing of" in alignment.says


@pytest.mark.parametrize(
    ("dtype", "status", "note"),
    [
        (torch.float32, Status.MATCHED, ""),
        (torch.float16, Status.MATCHED, "without loss"),
        (torch.bfloat16, Status.MATCHED, "without loss"),
        (torch.float64, Status.ADAPTED, "rounded"),
        (torch.int64, Status.SHAPE_MISMATCH, "can't stand for"),
        (torch.complex64, Status.SHAPE_MISMATCH, "can't stand for"),
    ],
)
def test_another_dtype_is_said_and_graded(tmp_path: Path, dtype: torch.dtype, status: Status, note: str) -> None:
    weights = small_resnet_state_dict()
    weights["conv1.weight"] = weights["conv1.weight"].to(dtype)
    row = aligned(tmp_path, weights).pairs[0]
    assert row.status is status
    assert note in row.note and bool(row.note) == bool(note)


@pytest.mark.parametrize(
    ("ours", "theirs", "lossless"),
    [
        ("bfloat16", "float16", False),
        ("float16", "bfloat16", False),
        ("float8_e4m3fn", "float16", True),
        ("float8_e8m0fnu", "float16", False),
        ("float32", "float8_e5m2", False),
        ("float32", "float64", True),
    ],
)
def test_a_cast_is_called_lossless_only_where_every_value_survives(ours: str, theirs: str, lossless: bool) -> None:
    from ckpt_explorer.architectures.architecture import ModelTensor

    target = reference_tree(described({"a.weight": ModelTensor((2, 2), theirs, True)}), "reference.pth")
    row = align(described({"a.weight": ModelTensor((2, 2), ours, True)}), target).pairs[0]
    assert row.status is (Status.MATCHED if lossless else Status.ADAPTED)
    assert ("without loss" in row.note) == lossless


def test_a_scalar_and_a_vector_of_one_are_different_shapes(tmp_path: Path) -> None:
    weights = small_resnet_state_dict()
    weights["bn1.num_batches_tracked"] = torch.zeros(1, dtype=torch.int64)
    assert aligned(tmp_path, weights).summary["shape_mismatch"] == 1


def test_take_from_chooses_the_state_dict(tmp_path: Path) -> None:
    content = {"state_dict": add_prefix("x.", small_resnet_state_dict()), "ema": small_resnet_state_dict(1)}
    checkpoint = open_checkpoint(write_checkpoint(tmp_path, content))
    alignment = align(checkpoint, SMALL_NET, RuleSet((parse_rule("take from ema"),)))
    assert alignment.state_dict.path == "ema"
    assert alignment.verdict is Verdict.COMPLETE
    with pytest.raises(CheckpointExplorerError, match="'state_dict'"):
        align(checkpoint, SMALL_NET, RuleSet((parse_rule("take from nowhere"),)))


def test_a_collision_is_refused_by_name(tmp_path: Path) -> None:
    weights = {**small_resnet_state_dict(), "module.conv1.weight": torch.zeros(1)}
    with pytest.raises(RuleCollision, match=r"'conv1\.weight' and 'module\.conv1\.weight'"):
        aligned(tmp_path, weights, "strip prefix module.")


def test_the_converted_file_is_complete_without_any_rule(tmp_path: Path) -> None:
    weights = add_prefix("module.", small_resnet_state_dict())
    alignment = aligned(tmp_path, weights, "strip prefix module.")
    for name in ("out.pth", "out.safetensors"):
        written = write_state_dict(alignment, tmp_path / name)
        again = align(open_checkpoint(written.path), SMALL_NET)
        assert again.verdict is Verdict.COMPLETE
        assert again.summary["matched"] == len(again.pairs) == len(SMALL_NET.tree)


def test_a_reference_file_is_a_target_like_any_other(tmp_path: Path) -> None:
    reference = open_checkpoint(write_checkpoint(tmp_path, small_resnet_state_dict(), "reference.pth"))
    file = write_checkpoint(tmp_path, add_prefix("module.", small_resnet_state_dict(1)))
    alignment = align(
        open_checkpoint(file),
        reference_tree(reference.state_dict, reference.name),
        RuleSet((parse_rule("strip prefix module."),)),
    )
    assert alignment.verdict is Verdict.COMPLETE


@settings(max_examples=15)
@given(st.permutations(list(SMALL_NET.tree)))
def test_the_order_of_the_keys_in_the_file_changes_no_row(keys: list[str]) -> None:
    alignment = align(described({key: SMALL_NET.tree[key] for key in keys}), SMALL_NET)
    assert [(pair.checkpoint, pair.model) for pair in alignment.pairs] == [(key, key) for key in SMALL_NET.tree]


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet20_cifar_a", "resnext50_32x4d"])
def test_every_network_fits_itself_and_no_other(name: str) -> None:
    source = described(architecture(name).tree)
    for other in ("resnet18", "resnet50", "resnet20_cifar_a", "resnext50_32x4d"):
        verdict = align(source, architecture(other)).verdict
        assert verdict is (Verdict.COMPLETE if name == other else Verdict.INCOMPATIBLE)
