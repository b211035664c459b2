"""Two keys put together by hand: the rules that are offered for it, and what is offered as the other half of a row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ckpt_explorer import Alignment, Architecture, RuleSet, Status, Verdict, align, architecture, parse_rule
from ckpt_explorer.architectures.architecture import ModelTensor
from ckpt_explorer.cli import main
from ckpt_explorer.suggestion import Offer, candidates_for, offers_for_pair
from ckpt_explorer.suggestion.by_hand import no_offer_says
from tests.checkpoints import described, small_resnet_state_dict, write_checkpoint
from tests.suggestion.dialects import DIALECTS, in_dialect

HOSTILE = {
    "html": "<img src=x onerror=alert(1)>",
    "ansi": "\x1b[31mred\x1b[0m",
    "right to left": "\u202egnp.thgiew",
    "zero byte": "conv\x00.weight",
    "empty": "",
    "number": "12345",
    "holes": "a{n}.*.{",
    "regex": "^(a+)+$",
    "backslash": "a\\1.b",
    "dots": "...",
    "long": "x" * 490,
}


def resnet18() -> Architecture:
    return architecture("resnet18")


def aligned(tree: dict[str, ModelTensor], *rules: str) -> Alignment:
    return align(described(tree), resnet18(), RuleSet(tuple(map(parse_rule, rules))))


def renamed(*replacements: tuple[str, str], prefix: str = "") -> dict[str, ModelTensor]:
    """The ResNet-18 of torchvision under other names."""
    tree = {}
    for key, tensor in resnet18().tree.items():
        for find, to in replacements:
            key = key.replace(find, to)
        tree[prefix + key] = tensor
    return tree


def with_shape(key: str, shape: tuple[int, ...], **other: str) -> dict[str, ModelTensor]:
    tree = dict(resnet18().tree)
    tree[other.get("name", key)] = tree.pop(key)._replace(shape=shape)
    return tree


def texts(offer: Offer) -> list[str]:
    return [str(rule) for rule in offer.added]


def test_the_general_offer_comes_first_and_this_key_alone_last() -> None:
    offers = offers_for_pair(aligned(renamed(("bn", "norm"))), "layer1.0.norm1.weight", "layer1.0.bn1.weight")
    assert texts(offers[0]) == ["rename 'norm{n}.' -> 'bn{n}.'"]
    assert offers[0].says == "rename `norm{n}.` to `bn{n}.`: this key and the 84 others of its form"
    assert offers[0].verdict is Verdict.COMPLETE
    assert offers[0].after["matched"] - offers[0].before["matched"] == len(offers[0].keys) == 85
    assert texts(offers[-1]) == ["rename '^layer1.0.norm1.weight$' -> 'layer1.0.bn1.weight'"]
    assert offers[-1].keys == ("layer1.0.norm1.weight",)
    assert [len(offer.keys) for offer in offers] == sorted((len(offer.keys) for offer in offers), reverse=True)


def test_a_prefix_and_another_name_are_two_rules_of_one_offer() -> None:
    alignment = aligned(renamed(("bn", "norm"), prefix="module."))
    offers = offers_for_pair(alignment, "module.layer3.1.norm2.running_var", "layer3.1.bn2.running_var")
    assert texts(offers[0]) == ["strip prefix 'module.'", "rename 'norm{n}.' -> 'bn{n}.'"]
    assert offers[0].verdict is Verdict.COMPLETE


def test_numbers_that_count_from_elsewhere_are_computed() -> None:
    tree = {}
    for key, tensor in resnet18().tree.items():
        parts = key.split(".")
        if key.startswith("layer"):
            parts[:2] = [f"stage{int(parts[0][5]) + 1}_unit{int(parts[1]) + 1}_{parts[2]}"]
            parts[1:] = parts[2:]
        tree[".".join(parts)] = tensor
    offers = offers_for_pair(aligned(tree), "stage3_unit2_conv1.weight", "layer2.1.conv1.weight")
    assert "stage{n}_unit{i}_" in texts(offers[0])[0] and "layer{n-1}.{i-1}." in texts(offers[0])[0]


def test_the_other_words_of_a_layer_come_with_the_one_that_was_paired() -> None:
    words = (("running_mean", "moving_mean"), ("running_var", "moving_variance"))
    tree = {}
    for key, tensor in renamed(*words).items():
        layer, _, leaf = key.rpartition(".")
        if ".bn" in key or layer == "bn1":
            key = f"{layer}.{ {'weight': 'gamma', 'bias': 'beta'}.get(leaf, leaf) }"
        tree[key] = tensor
    offers = offers_for_pair(aligned(tree), "layer1.0.bn1.gamma", "layer1.0.bn1.weight")
    assert set(texts(offers[0])) == {
        "rename 'gamma$' -> 'weight'",
        "rename 'beta$' -> 'bias'",
        "rename 'moving_mean$' -> 'running_mean'",
        "rename 'moving_variance$' -> 'running_var'",
    }


def test_a_mask_is_multiplied_where_half_of_a_pruned_tensor_is_paired() -> None:
    tree: dict[str, ModelTensor] = {}
    for key, tensor in resnet18().tree.items():
        tree |= {f"{key}_orig": tensor, f"{key}_mask": tensor} if len(tensor.shape) == 4 else {key: tensor}
    offers = offers_for_pair(aligned(tree), "layer1.0.conv1.weight_mask", "layer1.0.conv1.weight")
    assert texts(offers[0]) == ["combine 'weight_orig * weight_mask' -> 'weight'"]
    assert offers[0].verdict is Verdict.COMPLETE


def test_kernels_of_tensorflow_are_turned_with_the_pair() -> None:
    tree = {}
    for key, tensor in renamed(("conv", "convolution")).items():
        shape = tensor.shape
        tree[key] = tensor._replace(shape=(*shape[2:], shape[1], shape[0]) if len(shape) == 4 else shape)
    offers = offers_for_pair(aligned(tree), "layer1.0.convolution1.weight", "layer1.0.conv1.weight")
    assert texts(offers[0]) == ["rename 'convolution{n}.' -> 'conv{n}.'", "transform 'weight$' -> 'HWIO to OIHW'"]
    assert offers[0].after["adapted"] == 20


@pytest.mark.parametrize(
    ("key", "shape", "operations"),
    [
        ("conv1.weight", (64, 1, 7, 7), {"gray to RGB, a third each", "gray to RGB, repeated"}),
        ("fc.weight", (1000, 512, 1, 1), {"1x1 conv to linear"}),
        ("fc.weight", (512, 1000), {"transpose"}),
        ("layer1.0.conv1.weight", (3, 3, 64, 64), {"HWIO to OIHW"}),
    ],
)
def test_arithmetic_is_offered_for_a_pair_that_does_not_fit(
    key: str, shape: tuple[int, ...], operations: set[str]
) -> None:
    offers = offers_for_pair(aligned(with_shape(key, shape)), key, key)
    assert {rule.to for offer in offers for rule in offer.added} == operations
    assert all(offer.after["shape_mismatch"] == 0 and offer.verdict is Verdict.COMPLETE for offer in offers)


def test_a_pair_that_no_arithmetic_mends_is_offered_and_said_not_to_fit() -> None:
    alignment = aligned(with_shape("fc.weight", (10, 512), name="head.weight"))
    (offer,) = offers_for_pair(alignment, "head.weight", "fc.weight")
    assert "does not fit: (10, 512) in the file, (1000, 512) in the network" in offer.says
    assert (offer.keys, offer.after["shape_mismatch"]) == ((), 1)
    together = align(alignment.state_dict, alignment.architecture, offer.rules)
    assert offers_for_pair(together, "head.weight", "fc.weight") == ()
    assert "does not fit" in no_offer_says(together, "head.weight", "fc.weight")


def test_two_keys_in_each_others_place_change_places() -> None:
    alignment = aligned(dict(resnet18().tree))
    offers = offers_for_pair(alignment, "layer1.0.bn1.weight", "layer1.0.bn2.weight")
    swapped = align(alignment.state_dict, alignment.architecture, offers[0].rules)
    assert {pair.checkpoint: pair.model for pair in swapped.pairs}["layer1.0.bn2.weight"] == "layer1.0.bn1.weight"
    assert "changes places with layer1.0.bn2.weight" in offers[0].says and offers[0].verdict is Verdict.COMPLETE
    assert "is left out" in offers[1].says and offers[1].after["missing"] == 1


def test_a_key_whose_place_is_taken_says_which_one_goes() -> None:
    tree = {**resnet18().tree, "ema.conv1.weight": resnet18().tree["conv1.weight"]}
    (offer,) = offers_for_pair(aligned(tree), "ema.conv1.weight", "conv1.weight")
    assert "conv1.weight, which has the place now, is left out" in offer.says
    assert offer.verdict is Verdict.COMPLETE


def test_a_key_that_a_rule_leaves_out_comes_back_by_switching_it_off() -> None:
    offers = offers_for_pair(
        aligned(dict(resnet18().tree), "drop ^layer4."), "layer4.0.bn1.weight", "layer4.0.bn1.weight"
    )
    assert offers[0].says.startswith("switch rule 1 off, which leaves it out")
    assert offers[0].verdict is Verdict.COMPLETE and not offers[0].rules[0].enabled


def test_what_was_in_its_place_stays_there() -> None:
    tree = {**renamed(("layer4", "old4")), "old3.0.conv1.weight": resnet18().tree["layer3.0.conv1.weight"]}
    alignment = aligned(tree)
    before = {(pair.checkpoint, pair.model) for pair in alignment.rows(Status.MATCHED)}
    for offer in offers_for_pair(alignment, "old4.0.conv1.weight", "layer4.0.conv1.weight"):
        after = align(alignment.state_dict, alignment.architecture, offer.rules)
        assert before <= {(pair.checkpoint, pair.model) for pair in after.rows(Status.MATCHED)}


@pytest.mark.parametrize("name", [name for name in DIALECTS if name not in ("counted", "gluon", "flax")])
def test_pairing_one_row_after_another_ends_complete_without_a_false_pair(name: str) -> None:
    """The first offer for the first row that is out of place, again and again; no more than 16 pairs for 122 keys."""
    network = resnet18()
    entries, truth = in_dialect(name, network.tree)
    alignment = align(described(entries), network)
    for _ in range(17):
        placed = alignment.rows(Status.MATCHED, Status.ADAPTED)
        assert all(truth[pair.checkpoint or ""] == pair.model for pair in placed)
        done = {pair.checkpoint for pair in placed}
        if not (left := [key for key in entries if key not in done]):
            break
        alignment = align(alignment.state_dict, network, offers_for_pair(alignment, left[0], truth[left[0]])[0].rules)
    assert alignment.verdict is Verdict.COMPLETE


@pytest.mark.parametrize("key", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_key_finds_its_place_by_a_rule_for_it_alone(key: str) -> None:
    tree = dict(resnet18().tree)
    tree[key] = tree.pop("conv1.weight")
    (offer,) = offers_for_pair(aligned(tree), key, "conv1.weight")
    assert (offer.keys, offer.verdict) == ((key,), Verdict.COMPLETE)
    assert "\x1b" not in offer.says and "\x00" not in offer.says and "\u202e" not in offer.says


def test_a_key_too_long_for_any_pattern_says_so() -> None:
    tree = dict(resnet18().tree)
    tree["x" * 10_000] = tree.pop("conv1.weight")
    alignment = aligned(tree)
    assert offers_for_pair(alignment, "x" * 10_000, "conv1.weight") == ()
    assert "too long for a pattern" in no_offer_says(alignment, "x" * 10_000, "conv1.weight")


def test_for_a_missing_place_the_key_of_the_same_shape_place_and_name_comes_first() -> None:
    alignment = aligned(renamed(("layer", "stage"), ("bn", "norm"), ("downsample", "skip")))
    missing = next(pair for pair in alignment.pairs if pair.model == "layer3.0.downsample.0.weight")
    best = candidates_for(alignment, missing)[0]
    assert (best.side, best.key) == ("checkpoint", "stage3.0.skip.0.weight")
    assert "the same shape" in best.shape_says and "block 1 of stage 3" in best.place_says and best.name_says
    free = next(pair for pair in alignment.pairs if pair.checkpoint == "stage2.1.norm1.bias")
    assert candidates_for(alignment, free)[0].key == "layer2.1.bn1.bias"


def test_for_a_shape_that_does_not_fit_both_sides_are_looked_at() -> None:
    tree = dict(resnet18().tree)
    tree["stem.weight"] = tree["conv1.weight"]
    tree["conv1.weight"] = tree.pop("layer2.0.downsample.0.weight")
    alignment = aligned(tree)
    found = candidates_for(alignment, next(pair for pair in alignment.pairs if pair.model == "conv1.weight"))
    assert (found[0].side, found[0].key) == ("checkpoint", "stem.weight")
    assert ("model", "layer2.0.downsample.0.weight") in [(candidate.side, candidate.key) for candidate in found]


def test_every_key_of_every_dialect_finds_its_place_among_the_first_candidates() -> None:
    network = resnet18()
    first = total = 0
    for name in DIALECTS:
        entries, truth = in_dialect(name, network.tree)
        alignment = align(described(entries), network)
        for pair in alignment.rows(Status.UNEXPECTED):
            wanted = truth[pair.checkpoint or ""]
            found = [candidate.key for candidate in candidates_for(alignment, pair)]
            first += found[:1] == [wanted]
            total += 1
    assert first >= 0.98 * total, f"{first} of {total}"


def test_the_command_line_pairs_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = {key.replace("conv", "kernel_of_"): tensor for key, tensor in small_resnet_state_dict().items()}
    file = str(write_checkpoint(tmp_path, weights))
    target = ["--arch", "custom", "--no-suggest", "--json"]
    assert main(["align", file, *target]) == 1
    capsys.readouterr()
    assert main(["align", file, *target, "--pair", "layer1.0.kernel_of_1.weight=layer1.0.conv1.weight"]) == 0
    assert [rule["text"] for rule in json.loads(capsys.readouterr().out)["rules"]] == [
        "rename 'kernel_of_{n}.' -> 'conv{n}.'"
    ]


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        ("nothing", "names no key of the file"),
        ("no.such.key=conv1.weight", "names no key of the file"),
        ("conv1.weight=no.such.key", "is no key of"),
        ("conv1.weight=conv1.weight", "is in the place of conv1.weight already"),
    ],
)
def test_the_command_line_refuses_a_pair_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pair: str, sentence: str
) -> None:
    file = str(write_checkpoint(tmp_path, small_resnet_state_dict()))
    assert main(["align", file, "--pair", pair]) == 2
    assert sentence in capsys.readouterr().err
