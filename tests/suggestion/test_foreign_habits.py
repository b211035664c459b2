"""Habits of other frameworks, wrappers and detectors that are no other network: each file is recovered, near misses are not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest
import torch

from ckpt_explorer.alignment import Alignment, Status, Verdict, align
from ckpt_explorer.architectures import architecture
from ckpt_explorer.architectures.architecture import ModelTensor
from ckpt_explorer.proposal import propose_architecture
from ckpt_explorer.rules.arithmetic import combination
from ckpt_explorer.suggestion import identify, suggest
from tests.checkpoints import described

Tree = dict[str, ModelTensor]


def tree_of(name: str = "resnet18") -> Tree:
    return dict(architecture(name, num_classes=10).tree)


def renamed(tree: Mapping[str, ModelTensor], new_name: Callable[[str], str]) -> Tree:
    return {new_name(key): row for key, row in tree.items()}


def tensor(*shape: int, dtype: str = "float32") -> ModelTensor:
    return ModelTensor(shape, dtype, True)


def proposed(tree: Tree) -> Alignment:
    source = described(tree)
    target = propose_architecture(identify(source))
    found = suggest(source, target)
    return align(source, target, found.rules, found.by_order)


def test_a_count_of_batches_under_another_name_does_not_make_it_another_network() -> None:
    alignment = proposed(renamed(tree_of(), lambda key: key.replace("num_batches_tracked", "n_updates")))
    assert (alignment.architecture.name, alignment.verdict) == ("resnet18", Verdict.COMPLETE)


def test_one_learned_number_in_each_block_still_does() -> None:
    tree = tree_of()
    tree |= {key.replace("conv1.weight", "gain"): tensor() for key in tree if key.endswith("conv1.weight")}
    assert proposed(tree).verdict is Verdict.INCOMPATIBLE


@pytest.mark.parametrize(
    "ends",
    [
        ("weight_orig", "weight_u", "weight_v"),
        ("parametrizations.weight.original", "parametrizations.weight.0._u", "parametrizations.weight.0._v"),
    ],
)
def test_spectral_norm_is_one_rule_that_combines_three(ends: tuple[str, str, str]) -> None:
    tree: Tree = {}
    for key, row in tree_of().items():
        if len(row.shape) < 2:
            tree[key] = row
            continue
        front = key.removesuffix("weight")
        wide = row.shape[1] * (row.shape[2] * row.shape[3] if len(row.shape) == 4 else 1)
        tree |= {front + ends[0]: row, front + ends[1]: tensor(row.shape[0]), front + ends[2]: tensor(wide)}
    alignment = proposed(tree)
    assert [str(rule) for rule in alignment.rules] == [
        f"combine '{ends[0]} / ({ends[1]} {ends[0]} {ends[2]})' -> 'weight'"
    ]
    assert (alignment.architecture.name, alignment.verdict) == ("resnet18", Verdict.COMPLETE)
    assert len([pair for pair in alignment.rows(Status.ADAPTED) if pair.model == "conv1.weight"]) == 3


def test_spectral_norm_is_computed_as_pytorch_does() -> None:
    layer = torch.nn.utils.spectral_norm(torch.nn.Conv2d(3, 8, 3))
    layer(torch.zeros(1, 3, 5, 5))
    layer.eval()
    layer(torch.zeros(1, 3, 5, 5))
    parts = layer.state_dict()
    made = combination("weight_orig / (weight_u weight_orig weight_v)")
    assert torch.equal(made.compute(*(parts[name] for name in made.parts)), layer.weight)
    assert made.shape([tuple(parts[name].shape) for name in made.parts]) == (8, 3, 3, 3)


def test_kernels_with_their_channels_last_are_turned() -> None:
    tree = {
        key: row._replace(shape=(row.shape[0], *row.shape[2:], row.shape[1])) if len(row.shape) == 4 else row
        for key, row in tree_of("resnet20_cifar_a").items()
    }
    alignment = proposed(tree)
    assert [str(rule) for rule in alignment.rules] == ["transform 'weight$' -> 'OHWI to OIHW'"]
    assert (alignment.architecture.name, alignment.verdict) == ("resnet20_cifar_a", Verdict.COMPLETE)


def test_dashes_separate_names_as_dots_do() -> None:
    tree = renamed(tree_of(), lambda key: f"net-{key.replace('.', '-')}")
    alignment = proposed(tree)
    assert (alignment.architecture.name, alignment.verdict) == ("resnet18", Verdict.COMPLETE)


def test_numbers_with_zeros_in_front_count() -> None:
    def padded(key: str) -> str:
        return re.sub(r"layer(\d)\.(\d+)", lambda m: f"stage_{int(m[1]):02d}.unit_{int(m[2]) + 1:02d}", key)

    alignment = proposed(renamed(tree_of("resnet50"), padded))
    assert [str(rule) for rule in alignment.rules] == ["rename 'stage_{n}.unit_{i}.' -> 'layer{n+0}.{i-1}.'"]
    assert alignment.verdict is Verdict.COMPLETE
    assert not alignment.doubted


def test_blocks_that_nest_deeper_where_they_do_not_project_are_one_stage() -> None:
    def nested(key: str) -> str:
        found = re.match(r"layer(\d)\.(\d+)\.(conv|bn|downsample\.)(\d)\.(.+)", key)
        if not found:
            return key
        stage, block, kind, at, leaf = found.groups()
        if kind == "downsample.":
            return f"{int(stage) + 3}.{block}.0.1.{at}.{leaf}"
        return f"{int(stage) + 3}.{block}.0.0.{3 * int(at) - 3 + (kind == 'bn')}.{leaf}"

    alignment = proposed(renamed(tree_of("resnext50_32x4d"), nested))
    assert (alignment.architecture.name, alignment.verdict) == ("resnext50_32x4d", Verdict.COMPLETE)


def test_a_stem_that_is_named_like_the_conv_of_a_block_is_the_stem() -> None:
    def counted(key: str) -> str:
        found = re.match(r"layer(\d)\.(\d+)\.(.+)", key)
        before = (0, 3, 7, 13)
        return f"layers.{1 + before[int(found[1]) - 1] + int(found[2])}.{found[3]}" if found else f"layers.0.{key}"

    tree = {key: row for key, row in tree_of("resnet50").items() if not key.startswith("fc.")}
    alignment = proposed(renamed(tree, counted))
    assert (alignment.architecture.name, alignment.verdict) == ("resnet50", Verdict.PARTIAL)
    assert set(alignment.unfilled) == set(alignment.architecture.head)


def test_shortcuts_in_a_list_of_their_own_are_those_of_the_blocks() -> None:
    tree = tree_of("resnet50")
    convs = [key for key, row in tree.items() if len(row.shape) == 4 and "downsample" not in key]
    names: dict[str, str] = {}
    for at, key in enumerate(convs):
        names[key.removesuffix("weight")] = f"convs.{at}."
        names[key.removesuffix("weight").replace("conv", "bn")] = f"norms.{at}."
    for at in range(4):
        names |= {
            f"layer{at + 1}.0.downsample.{kind}.": f"side_{word}.{at}." for kind, word in enumerate(("convs", "norms"))
        }
    alignment = proposed(
        {names.get(key.rpartition(".")[0] + ".", "fc.") + key.rpartition(".")[2]: row for key, row in tree.items()}
    )
    assert (alignment.architecture.name, alignment.verdict) == ("resnet50", Verdict.COMPLETE)


def test_a_head_beside_the_body_keeps_its_name_where_both_are_numbered() -> None:
    def fastai(key: str) -> str:
        front, rest = key.split(".", 1)
        return f"0.{ {'conv1': 0, 'bn1': 1}.get(front) if front in ('conv1', 'bn1') else int(front[5]) + 3 }.{rest}"

    body = renamed({key: row for key, row in tree_of("resnet34").items() if not key.startswith("fc.")}, fastai)
    norm = {f"1.2.{leaf}": tensor(1024) for leaf in ("weight", "bias", "running_mean", "running_var")}
    alignment = proposed(body | norm | {"1.4.weight": tensor(512, 1024), "1.8.weight": tensor(37, 512)})
    assert alignment.verdict is Verdict.PARTIAL
    assert not any((pair.renamed or "").startswith("bn1") for pair in alignment.rows(Status.UNEXPECTED))


def test_heads_beside_the_last_stage_of_a_detector_are_no_part_of_the_stage() -> None:
    def split(key: str) -> str:
        return f"roi.{key.replace('layer4', 'res5')}" if key.startswith("layer4") else f"backbone.{key}"

    tree = renamed({key: row for key, row in tree_of("resnet50").items() if not key.startswith("fc.")}, split)
    heads = {"roi.predictor.cls.weight": tensor(81, 2048), "roi.predictor.cls.bias": tensor(81)}
    heads |= {"roi.predictor.box.weight": tensor(320, 2048), "roi.predictor.box.bias": tensor(320)}
    assert proposed(tree | heads).verdict is Verdict.PARTIAL
    gate = {"roi.gate.0.weight": tensor(128, 2048), "roi.gate.2.weight": tensor(2048, 128)}
    assert proposed(tree | gate).verdict is Verdict.INCOMPATIBLE


def test_of_an_online_network_and_its_average_the_online_one_is_taken() -> None:
    tree = {f"{copy}_model.{key}": row for copy in ("ema", "online") for key, row in tree_of().items()}
    alignment = proposed(tree)
    assert {pair.checkpoint for pair in alignment.rows(Status.MATCHED)} == {
        key for key in tree if key.startswith("online")
    }


def test_a_network_that_was_trained_for_eight_bits_is_another_one() -> None:
    tree = tree_of()
    for key, row in tree_of().items():
        if len(row.shape) == 4:
            front = key.replace("weight", "weight_fake_quant")
            tree |= {f"{front}.scale": tensor(row.shape[0]), f"{front}.observer_enabled": tensor(1, dtype="int64")}
    alignment = proposed(tree)
    assert alignment.verdict is Verdict.INCOMPATIBLE


def test_shortcuts_by_themselves_are_those_of_the_blocks_that_change_the_width() -> None:
    alignment = proposed(
        renamed(tree_of(), lambda key: re.sub(r"layer(\d)\.0\.downsample\.", r"projection\1.", key)),
    )
    assert (alignment.architecture.name, alignment.verdict) == ("resnet18", Verdict.COMPLETE)


def test_of_exits_in_a_list_the_last_one_names_the_classes() -> None:
    tree = renamed(tree_of(), lambda key: key.replace("fc.", "exits.2.1."))
    tree |= {"exits.0.1.weight": tensor(10, 256), "exits.0.1.bias": tensor(10)}
    tree |= {"exits.1.1.weight": tensor(10, 512), "exits.1.1.bias": tensor(10)}
    alignment = proposed(tree)
    assert {pair.model: pair.checkpoint for pair in alignment.pairs}["fc.weight"] == "exits.2.1.weight"
    tasks = {key: row for key, row in tree.items() if not key.startswith("exits.0.")}
    assert {pair.model: pair.checkpoint for pair in proposed(tasks).pairs}["fc.weight"] == "exits.1.1.weight"


def test_a_layer_behind_the_network_that_bears_the_name_of_its_stem_is_in_nobodys_way() -> None:
    tree = {key: row for key, row in tree_of().items() if not key.startswith("fc.")}
    names = {"conv1.": "0.", "bn1.": "1.", **{f"layer{at}.": f"{at + 3}." for at in (1, 2, 3, 4)}}
    tree = renamed(tree, lambda key: "body." + names[key.split(".")[0] + "."] + key.split(".", 1)[1])
    alignment = proposed(tree | {"conv1.weight": tensor(64, 512, 1, 1), "conv1.bias": tensor(64)})
    assert (alignment.architecture.name, alignment.verdict) == ("resnet18", Verdict.PARTIAL)
    assert set(alignment.unfilled) == set(alignment.architecture.head)


def tensorflow(key: str, row: ModelTensor) -> tuple[str, ModelTensor]:
    """A tensor as TensorFlow keeps it, its last layer as a 1x1 conv."""
    front, leaf = key.replace("bn", "norm").rsplit(".", 1)
    shape = (*row.shape[:1:-1], *row.shape[1::-1]) if len(row.shape) == 4 else row.shape
    shape = (1, 1, *row.shape[::-1]) if len(row.shape) == 2 else shape
    return f"{front.replace('.', '/')}/{leaf}", ModelTensor(shape, row.dtype, True)


def test_a_last_layer_that_tensorflow_keeps_as_a_conv_is_turned_and_flattened() -> None:
    alignment = proposed(dict(tensorflow(key, row) for key, row in tree_of("resnet50").items()))
    assert (alignment.architecture.name, alignment.verdict) == ("resnet50", Verdict.COMPLETE)
    assert [str(rule) for rule in alignment.rules][-2:] == [
        "transform 'weight$' -> 'HWIO to OIHW'",
        "transform '^fc.weight$' -> '1x1 conv to linear'",
    ]


def test_layers_whose_names_are_said_twice_are_named_once() -> None:
    def keras(key: str) -> str:
        name, leaf = key.rsplit(".", 1)
        found = re.match(r"layer(\d)\.(\d)\.(conv|bn|downsample\.)(\d)", name)
        if found:
            stage, block, kind, at = found.groups()
            kind = ("conv", "bn")[int(at)] if kind == "downsample." else kind
            name = f"conv{int(stage) + 1}_block{int(block) + 1}_{0 if 'down' in name else at}_{kind}"
        return f"{name}/{name}/{leaf}"

    alignment = proposed(renamed(tree_of("resnet50"), keras))
    assert (alignment.architecture.name, alignment.verdict) == ("resnet50", Verdict.COMPLETE)
    assert str(alignment.rules[0]).startswith("regex ")


def test_a_norm_next_to_its_conv_in_one_numbering_is_its_own() -> None:
    order: list[str] = []
    for key in tree_of():  # the shortcut's layers stand behind those of its block
        layer = key.rpartition(".")[0]
        if layer not in order:
            order.append(layer)
    numbers = {layer: f"layer{at + at // 2 + 2}" for at, layer in enumerate(order)}
    alignment = proposed(renamed(tree_of(), lambda key: f"{numbers[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}"))
    assert (alignment.architecture.name, alignment.verdict) == ("resnet18", Verdict.COMPLETE)
    assert {pair.model: pair.checkpoint for pair in alignment.pairs}["layer2.0.downsample.1.bias"] == (
        f"{numbers['layer2.0.downsample.1']}.bias"
    )
