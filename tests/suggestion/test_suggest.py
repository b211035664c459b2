"""Rules that make a file fit: wrappers, second copies, other names; and none where there is nothing to be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ckpt_explorer.alignment import Alignment, Verdict, align
from ckpt_explorer.architectures import Architecture, architecture, own_class
from ckpt_explorer.proposal import propose
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.rules import RuleSet
from ckpt_explorer.suggestion import suggest, suggest_rules
from tests.checkpoints import (
    add_prefix,
    described,
    small_architecture,
    small_resnet,
    small_resnet_state_dict,
    write_checkpoint,
    write_class,
)
from tests.suggestion.test_identify import VGG, VIT

SMALL_NET = small_architecture()


def aligned(state_dict: Mapping[str, object], target: Architecture = SMALL_NET) -> Alignment:
    """The alignment with suggested rules, for keys and shapes alone."""
    shapes = {key: tuple(getattr(value, "shape", ())) for key, value in state_dict.items()}
    source = described(shapes)
    return align(source, target, suggest_rules(source, target))


def rules_of(alignment: Alignment) -> list[str]:
    return [str(rule) for rule in alignment.rules]


def keys_with(rename: Callable[[str], str]) -> dict[str, Tensor]:
    return {rename(key): tensor for key, tensor in small_resnet_state_dict().items()}


def test_a_file_that_fits_needs_no_rule(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path, small_resnet_state_dict())
    proposal = propose(open_checkpoint(file))
    assert rules_of(proposal.alignment) == []
    assert proposal.alignment.verdict is Verdict.COMPLETE
    assert proposal.alternatives == ()


def test_a_dataparallel_prefix_is_stripped_and_every_key_is_filled(tmp_path: Path) -> None:
    wrapped = torch.nn.DataParallel(small_resnet())
    file = write_checkpoint(tmp_path, {"state_dict": wrapped.state_dict(), "epoch": 3})
    proposal = propose(open_checkpoint(file))
    assert proposal.alignment.verdict is Verdict.COMPLETE
    assert rules_of(proposal.alignment) == ["strip prefix 'module.'"]
    assert all(rule.why for rule in proposal.alignment.rules)


@pytest.mark.parametrize(
    "prefix",
    ["model.module.", "module.module.", "_orig_mod.", "net.encoder.0.", "a.b.c.d.e.", "layer1.", "conv1.", "fc."],
)
def test_nested_prefixes_are_stripped_by_one_rule(prefix: str) -> None:
    alignment = aligned(add_prefix(prefix, small_resnet_state_dict()))
    assert alignment.verdict is Verdict.COMPLETE
    assert rules_of(alignment) == [f"strip prefix '{prefix}'"]


@pytest.mark.parametrize("segment", ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module"])
def test_wrappers_inside_of_keys_are_removed(segment: str) -> None:
    def inside(key: str) -> str:
        top, dot, rest = key.partition(".")
        return f"{top}.{segment}.{rest}" if top.startswith("layer") and dot else key

    alignment = aligned(keys_with(inside))
    assert alignment.verdict is Verdict.COMPLETE
    assert rules_of(alignment) == [f"remove segment '{segment}'"]


def test_wrappers_inside_and_in_front_are_both_undone() -> None:
    def wrapped(key: str) -> str:
        return "_fsdp_wrapped_module." + key.replace("layer2.", "layer2._fsdp_wrapped_module.")

    alignment = aligned(keys_with(wrapped))
    assert alignment.verdict is Verdict.COMPLETE
    assert len(alignment.rules) <= 2


def test_a_head_outside_the_prefix_stays_where_it_is() -> None:
    alignment = aligned(keys_with(lambda key: key if key.startswith("fc.") else f"backbone.{key}"))
    assert alignment.verdict is Verdict.COMPLETE
    assert rules_of(alignment) == ["strip prefix 'backbone.'"]


def test_a_head_with_another_name_outside_the_prefix_is_found_too() -> None:
    alignment = aligned(keys_with(lambda key: key.replace("fc.", "head.") if key.startswith("fc.") else f"trunk.{key}"))
    assert alignment.verdict is Verdict.COMPLETE


def test_a_momentum_copy_is_dropped_and_named_as_the_other_reading() -> None:
    weights = small_resnet_state_dict()
    both = {**add_prefix("module.encoder_q.", weights), **add_prefix("module.encoder_k.", weights)}
    source = described({key: tuple(tensor.shape) for key, tensor in both.items()})
    found = suggest(source, SMALL_NET)
    alignment = align(source, SMALL_NET, found.rules)
    assert alignment.verdict is Verdict.COMPLETE
    assert [pair.checkpoint for pair in alignment.pairs[:1]] == ["module.encoder_q.conv1.weight"]
    assert alignment.summary["ignored"] == len(weights)
    assert [row.prefix for row in found.alternatives] == ["module.encoder_k."]


@pytest.mark.parametrize("names", [("student.", "teacher."), ("online.net.", "target.net."), ("model.", "model_ema.")])
def test_of_two_copies_the_one_that_was_trained_is_chosen(names: tuple[str, str]) -> None:
    weights = small_resnet_state_dict()
    first, second = names
    for both in (
        {**add_prefix(first, weights), **add_prefix(second, weights)},
        {**add_prefix(second, weights), **add_prefix(first, weights)},
    ):
        alignment = aligned(both)
        assert alignment.verdict is Verdict.COMPLETE
        assert (alignment.pairs[0].checkpoint or "").startswith(first)


def test_averaged_weights_beside_the_raw_ones_are_offered_as_another_reading(tmp_path: Path) -> None:
    file = write_checkpoint(
        tmp_path,
        {"state_dict": small_resnet_state_dict(0), "state_dict_ema": add_prefix("module.", small_resnet_state_dict(1))},
    )
    proposal = propose(open_checkpoint(file))
    assert proposal.alignment.verdict is Verdict.COMPLETE
    paths = {proposal.alignment.state_dict.path, *(row.state_dict for row in proposal.alternatives)}
    assert paths == {"state_dict", "state_dict_ema"}
    assert any(row.id == "K9" for row in proposal.diagnoses)


@pytest.mark.parametrize(
    ("other", "ours"),
    [
        ("linear.", "fc."),
        ("classifier.", "fc."),
        ("last_linear.", "fc."),
        ("shortcut.", "downsample."),
        ("skip.", "downsample."),
        ("norm1.", "bn1."),
    ],
)
def test_other_names_of_head_shortcut_and_norm_are_one_rename_each(other: str, ours: str) -> None:
    alignment = aligned(keys_with(lambda key: f".{key}".replace(f".{ours}", f".{other}")[1:]))
    assert alignment.verdict is Verdict.COMPLETE
    assert len(alignment.rules) == 1
    assert alignment.rules[0].kind == "rename"


def test_all_other_names_at_once_behind_a_prefix() -> None:
    def renamed(key: str) -> str:
        for old, new in (
            ("bn", "norm"),
            ("downsample.0.", "skip.conv."),
            ("downsample.1.", "skip.norm."),
            ("fc.", "head."),
        ):
            key = key.replace(old, new)
        return f"module.{key}"

    alignment = aligned(keys_with(renamed))
    assert alignment.verdict is Verdict.COMPLETE


def test_a_class_that_keeps_the_network_behind_a_prefix_of_its_own_gets_it_added(tmp_path: Path) -> None:
    write_class(
        tmp_path,
        "from tests.checkpoints import small_resnet\n\n"
        "class Wrapper(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.backbone = small_resnet()\n\n"
        "def wrapped():\n    return Wrapper()\n",
    )
    target = own_class(f"{tmp_path / 'my_net.py'}:wrapped")
    assert all(key.startswith("backbone.") for key in target.tree)
    alignment = aligned(small_resnet_state_dict(), target)
    assert alignment.verdict is Verdict.COMPLETE
    assert rules_of(alignment) == ["add prefix 'backbone.'"]
    assert aligned(add_prefix("module.", small_resnet_state_dict()), target).verdict is Verdict.COMPLETE


def test_counts_that_a_profiler_left_are_dropped() -> None:
    weights = {**small_resnet_state_dict(), "conv1.total_ops": torch.zeros(1), "total_params": torch.zeros(1)}
    alignment = aligned(weights)
    assert alignment.verdict is Verdict.COMPLETE
    assert alignment.summary["unexpected"] == 0


@pytest.mark.parametrize("tree", [VGG, VIT])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet20_cifar_a"])
def test_another_kind_of_network_never_fits(tree: Mapping[str, tuple[int, ...]], name: str) -> None:
    source = described(tree)
    target = architecture(name)
    assert align(source, target, suggest_rules(source, target)).verdict is Verdict.INCOMPATIBLE


@pytest.mark.parametrize(
    ("file", "target"),
    [("resnet34", "resnet18"), ("resnet18", "resnet34"), ("resnet50", "resnet101"), ("resnet50", "wide_resnet50_2")],
)
def test_another_residual_network_never_fits(file: str, target: str) -> None:
    source = described(architecture(file).tree, "module.")
    wanted = architecture(target)
    assert align(source, wanted, suggest_rules(source, wanted)).verdict is Verdict.INCOMPATIBLE


WRAPPED = st.sampled_from(["", "module.", "model.", "_orig_mod.", "a.b."])
HEAD = st.sampled_from(["fc.", "linear.", "classifier.", "head.", "x."])
SHORTCUT = st.sampled_from(["downsample.", "shortcut.", "skip.", "y."])


def filled(alignment: Alignment) -> int:
    return alignment.summary["matched"] + alignment.summary["adapted"]


@settings(max_examples=40)
@given(WRAPPED, WRAPPED, HEAD, SHORTCUT, st.randoms())
def test_rules_never_make_fewer_keys_fit_and_the_order_of_the_keys_does_not_matter(
    first: str, second: str, head: str, shortcut: str, random: object
) -> None:
    keys = [
        (first + second + key.replace("fc.", head).replace("downsample.", shortcut), row)
        for key, row in SMALL_NET.tree.items()
    ]
    source = described(dict(keys))
    rules = suggest_rules(source, SMALL_NET)
    assert filled(align(source, SMALL_NET, rules)) >= filled(align(source, SMALL_NET, RuleSet()))
    random.shuffle(keys)  # type: ignore[attr-defined]
    shuffled = described(dict(keys))
    again = align(shuffled, SMALL_NET, suggest_rules(shuffled, SMALL_NET))
    mapping = {pair.model: pair.checkpoint for pair in again.pairs if pair.model}
    assert mapping == {pair.model: pair.checkpoint for pair in align(source, SMALL_NET, rules).pairs if pair.model}


def test_no_tensor_is_read_to_suggest() -> None:
    assert aligned(small_resnet_state_dict()).verdict is Verdict.COMPLETE  # `described` has bytes that can't be read


def test_another_copy_can_be_taken_by_its_prefix_and_the_first_is_left_out() -> None:
    network = architecture("resnet18")
    both = {f"{copy}.{name}": row for copy in ("encoder_q", "encoder_k") for name, row in network.tree.items()}
    state_dict = described(both)
    found = suggest(state_dict, network)
    assert [str(rule) for rule in found.rules] == ["strip prefix 'encoder_q.'", "drop '^encoder_k.'"]
    assert [row.prefix for row in found.alternatives] == ["encoder_k."]
    other = suggest_rules(state_dict, network, "encoder_k.")
    assert [str(rule) for rule in other] == ["strip prefix 'encoder_k.'", "drop '^encoder_q.'"]
    assert align(state_dict, network, other).verdict is Verdict.COMPLETE


def test_a_copy_beside_a_network_that_fits_as_it_is_is_offered_too() -> None:
    network = architecture("resnet18")
    state_dict = described({**network.tree, **{f"ema.{name}": row for name, row in network.tree.items()}})
    found = suggest(state_dict, network)
    assert [str(rule) for rule in found.rules] == ["drop '^ema.'"]
    other = suggest_rules(state_dict, network, "ema.")
    assert align(state_dict, network, other).verdict is Verdict.COMPLETE
    assert "strip prefix 'ema.'" in [str(rule) for rule in other]
