"""The rule lists themselves: what a person reads for each kind of naming, and that they are all that is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ckpt_explorer.alignment import Verdict, align
from ckpt_explorer.architectures import architecture
from ckpt_explorer.export import write_state_dict
from ckpt_explorer.proposal import propose
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.rules import RuleSet, parse_rule, rules_from_json
from ckpt_explorer.suggestion import identify, suggest
from tests.checkpoints import (
    add_prefix,
    described,
    network,
    small_architecture,
    small_resnet_state_dict,
    write_checkpoint,
)
from tests.suggestion.dialects import DIALECTS, in_dialect


def test_the_rules_for_each_dialect_read_like_this(golden: Callable[[str, str], None]) -> None:
    target = architecture("resnet50")
    lines = []
    for name in DIALECTS:
        source = described(in_dialect(name, target.tree)[0])
        rules = suggest(source, target).rules
        counts = align(source, target, rules).renaming.touched
        lines += [name, *(f"  {row.count:4} {rule}" for rule, row in zip(rules, counts, strict=True)), ""]
    golden("rules_by_dialect.txt", "\n".join(lines))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_rule_of_a_list_touches_a_key_and_says_why(dialect: str) -> None:
    target = architecture("resnet18")
    source = described(in_dialect(dialect, target.tree)[0])
    rules = suggest(source, target).rules
    alignment = align(source, target, rules)
    assert all(row.count for row in alignment.renaming.touched)
    assert all(rule.why for rule in rules)
    assert rules_from_json(str(rules)) == rules_from_json(str(rules_from_json(str(rules))))


def test_a_converted_file_needs_no_rule_at_all(tmp_path: Path) -> None:
    target = small_architecture()
    weights = {f"module.{key}".replace("bn", "norm"): row for key, row in small_resnet_state_dict().items()}
    alignment = propose(open_checkpoint(write_checkpoint(tmp_path, weights)), architecture=target).alignment
    assert alignment.verdict is Verdict.COMPLETE and len(alignment.rules) == 2
    again = propose(open_checkpoint(write_state_dict(alignment, tmp_path / "out.pth").path))
    assert (again.alignment.verdict, len(again.alignment.rules)) == (Verdict.COMPLETE, 0)
    assert all(pair.checkpoint == pair.model for pair in again.alignment.pairs)


def test_a_file_that_lost_a_conv_is_still_the_same_network_and_lacks_only_that() -> None:
    tree = {f"net.{key}": row for key, row in architecture("resnet50").tree.items()}
    del tree["net.layer2.1.conv2.weight"]
    source = described(tree)
    best = identify(source)[0]
    assert best.name == "resnet50" and "missing in net.layer2.1" in best.against
    alignment = align(source, best.architecture, suggest(source, best.architecture).rules)
    assert alignment.unfilled == ("layer2.1.conv2.weight",)
    assert alignment.verdict is Verdict.INCOMPATIBLE


def test_a_prefix_longer_than_any_rule_is_no_accident() -> None:
    tree = {f"{'a.' * 300}{key}": row for key, row in small_architecture().tree.items()}
    source = described(tree)
    assert align(source, small_architecture(), suggest(source, small_architecture()).rules).filled == ()


def test_names_that_no_number_orders_are_marked_as_decided_by_order() -> None:
    words = {"bn1": "muvex", "bn2": "tarko"}
    tree = {}
    for key, row in architecture("resnet18").tree.items():
        parts = key.split(".")
        if key.startswith("layer"):
            parts = [words.get(part, part) for part in parts]
        tree[".".join(parts)] = row
    source = described(tree)
    target = architecture("resnet18")
    found = suggest(source, target)
    alignment = align(source, target, found.rules, found.by_order)
    assert alignment.verdict is Verdict.COMPLETE
    assert "layer1.0.bn1.weight" in alignment.doubted
    assert "Nothing but the order of names" in alignment.says
    assert any(row.get("by_order") for row in alignment.as_json()["keys"])


def test_a_folded_batchnorm_is_filled_with_constants_and_answers_as_its_scale_and_bias_say(tmp_path: Path) -> None:
    target = small_architecture()
    net = network(target)
    weights = {}
    for key, tensor in net.state_dict().items():
        layer, _, leaf = key.rpartition(".")
        if "bn" in layer or "downsample.1" in layer:
            if leaf in ("weight", "bias"):
                weights[f"{layer}.{'s' if leaf == 'weight' else 'b'}"] = tensor
        else:
            weights[key] = tensor
    alignment = propose(open_checkpoint(write_checkpoint(tmp_path, weights)), architecture=target).alignment
    assert alignment.verdict is Verdict.PARTIAL and alignment.unfilled == ()
    assert "constants that a rule puts there" in alignment.says
    from ckpt_explorer.loading import load

    module = load(alignment).module
    assert torch.equal(module.get_buffer("bn1.running_mean"), torch.zeros(8))
    pixels = torch.randn(2, 8, 4, 4)
    scaled = pixels * weights["bn1.s"][:, None, None] + weights["bn1.b"][:, None, None]
    assert torch.allclose(module.get_submodule("bn1")(pixels), scaled, atol=1e-5)


@pytest.mark.parametrize(
    ("ours", "theirs", "arithmetic"), [(3, 1, "sum RGB to gray"), (1, 3, "gray to RGB, a third each")]
)
def test_another_number_of_input_channels_is_a_rule_that_says_its_arithmetic(
    tmp_path: Path, ours: int, theirs: int, arithmetic: str
) -> None:
    source = architecture(
        "custom", num_classes=5, in_channels=ours, options={"blocks": (1, 1), "width": 8, "stem_kernel": 3}
    )
    target = architecture(
        "custom", num_classes=5, in_channels=theirs, options={"blocks": (1, 1), "width": 8, "stem_kernel": 3}
    )
    weights = network(source).state_dict()
    file = write_checkpoint(tmp_path, add_prefix("module.", weights))
    alignment = propose(open_checkpoint(file), architecture=target).alignment
    assert alignment.verdict is Verdict.COMPLETE
    assert [str(rule) for rule in alignment.rules][-1] == f"transform '^conv1.weight$' -> '{arithmetic}'"
    stem, own = alignment.tensor("conv1.weight"), weights["conv1.weight"]
    assert torch.allclose(stem, own.sum(1, keepdim=True) if ours == 3 else own.repeat(1, 3, 1, 1) / 3)


def test_two_names_that_were_exchanged_are_exchanged_back_by_one_rule() -> None:
    target = architecture("resnet18")
    words = {"bn1": "bn2", "bn2": "bn1"}
    tree = {}
    for key, row in target.tree.items():
        parts = key.split(".")
        tree[".".join(words.get(part, part) for part in parts) if parts[0].startswith("layer") else key] = row
    swapped = align(
        described(tree), target, RuleSet((parse_rule("rename layer{n}.{i}.{bn1|bn2}. -> layer{n}.{i}.{bn2|bn1}."),))
    )
    assert {pair.checkpoint: pair.model for pair in swapped.pairs}["layer1.0.bn1.weight"] == "layer1.0.bn2.weight"
    assert swapped.verdict is Verdict.COMPLETE


def test_a_reason_names_the_layers_that_its_rule_touches() -> None:
    target = architecture("resnet50")
    whys = {}
    for dialect in ("slim", "norm in conv", "lists"):
        whys[dialect] = [rule.why for rule in suggest(described(in_dialect(dialect, target.tree)[0]), target).rules]
    assert whys["slim"][1:6] == [
        "the norms in the blocks have other names",
        "the convs in the blocks have other names",
        "the norms of the shortcuts have other names",
        "the convs of the shortcuts have other names",
        "the first layers and the last one have other names",
    ]
    assert whys["norm in conv"][2:] == [
        "the norms of the shortcuts have other names",
        "the convs of the shortcuts have other names",
        "the norms in the blocks have other names",
    ]
    assert "the convs and norms of the shortcuts have other names" in whys["lists"]
