"""Which ResNet is this? From keys and shapes alone: no test here has a weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt_explorer.architectures import architecture
from ckpt_explorer.architectures.architecture import ModelTensor
from ckpt_explorer.architectures.spec import NAMED_SPECS
from ckpt_explorer.errors import ArchitectureError
from ckpt_explorer.suggestion import identify
from tests.checkpoints import described, small_architecture

BLOCKS = {"resnet18": "2-2-2-2", "resnet34": "3-4-6-3", "resnet101": "3-4-23-3", "resnet152": "3-8-36-3"}


@pytest.mark.parametrize("name", [name for name in NAMED_SPECS if "1202" not in name])
def test_every_network_with_a_name_is_told_from_its_shapes(name: str) -> None:
    target = architecture(name, num_classes=17, in_channels=1)
    best = identify(described(target.tree))[0]
    assert (best.name, best.num_classes, best.in_channels, best.score) == (name, 17, 1, 1.0)
    assert best.against == ""
    assert "block" in best.why and "17 rows" in best.why and "1 channel" in best.why
    assert dict(best.architecture.tree) == dict(target.tree)


def test_the_largest_network_is_told_too() -> None:
    assert identify(described(architecture("resnet1202_cifar_b").tree))[0].name == "resnet1202_cifar_b"


@pytest.mark.parametrize("name", BLOCKS)
def test_the_reason_counts_the_blocks(name: str) -> None:
    assert BLOCKS[name] in identify(described(architecture(name).tree))[0].why


@pytest.mark.parametrize("prefix", ["module.", "model.module.", "backbone.net._orig_mod.", "_fsdp_wrapped_module."])
def test_a_prefix_hides_no_network(prefix: str) -> None:
    best = identify(described(architecture("resnet34", num_classes=10).tree, prefix))[0]
    assert (best.name, best.num_classes) == ("resnet34", 10)


def test_a_file_without_a_last_layer_has_no_class_count() -> None:
    tree = {key: row for key, row in architecture("resnet50").tree.items() if not key.startswith("fc.")}
    best = identify(described(tree))[0]
    assert (best.name, best.num_classes) == ("resnet50", None)
    assert "no last layer" in best.why
    assert best.architecture.num_classes == 1000


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"width": 12},
        {"blocks": (1, 1)},
        {"blocks": (2, 3, 2, 1, 1)},
        {"block": "bottleneck"},
        {"block": "bottleneck", "expansion": 2},
        {"block": "bottleneck", "groups": 4, "width_per_group": 32},
        {"shortcut": "A"},
        {"shortcut": "C"},
        {"stem_kernel": 7, "stem_stride": 2, "max_pool": True},
        {"stem_kernel": 5},
    ],
)
def test_any_other_plain_network_is_custom_with_exactly_its_numbers(options: dict[str, Any]) -> None:
    target = small_architecture(6, **options)
    best = identify(described(target.tree))[0]
    assert best.name == "custom"
    assert dict(best.architecture.tree) == dict(target.tree)


@settings(max_examples=40)
@given(
    st.fixed_dictionaries(
        {
            "block": st.sampled_from(["basic", "bottleneck"]),
            "blocks": st.lists(st.integers(1, 3), min_size=2, max_size=4),
            "width": st.sampled_from([4, 8, 16, 64]),
            "stem_kernel": st.sampled_from([3, 7]),
            "shortcut": st.sampled_from("AB"),
            "num_classes": st.integers(1, 50),
        }
    )
)
def test_whatever_is_built_is_told_again(options: dict[str, Any]) -> None:
    try:
        target = architecture("custom", options=options)
    except ArchitectureError:
        return
    best = identify(described(target.tree))[0]
    assert dict(best.architecture.tree) == dict(target.tree)


def test_a_block_part_that_no_plain_network_has_is_held_against_it() -> None:
    tree = dict(architecture("resnet18").tree)
    for key in [key for key in tree if key.endswith("bn2.bias")]:
        tree[key.replace("bn2.bias", "se.fc1.weight")] = ModelTensor((4, 64), "float32", True)
    for candidate in identify(described(tree)):
        assert candidate.score < 1
        assert "se" in candidate.against


def test_candidates_are_ranked_and_few() -> None:
    candidates = identify(described(architecture("resnet50").tree))
    assert [row.score for row in candidates] == sorted((row.score for row in candidates), reverse=True)
    assert len(candidates) == 5
    assert all(row.against for row in candidates[1:])


VGG: Mapping[str, tuple[int, ...]] = {
    "features.0.weight": (64, 3, 3, 3),
    "features.0.bias": (64,),
    "features.3.weight": (128, 64, 3, 3),
    "features.3.bias": (128,),
    "classifier.0.weight": (4096, 25088),
    "classifier.0.bias": (4096,),
    "classifier.6.weight": (1000, 4096),
    "classifier.6.bias": (1000,),
}
VIT: Mapping[str, tuple[int, ...]] = {
    "cls_token": (1, 1, 192),
    "pos_embed": (1, 197, 192),
    "patch_embed.proj.weight": (192, 3, 16, 16),
    "patch_embed.proj.bias": (192,),
    **{
        f"blocks.{i}.{part}": shape
        for i in range(3)
        for part, shape in (
            ("norm1.weight", (192,)),
            ("norm1.bias", (192,)),
            ("attn.qkv.weight", (576, 192)),
            ("attn.proj.weight", (192, 192)),
            ("mlp.fc1.weight", (768, 192)),
            ("mlp.fc2.weight", (192, 768)),
        )
    },
    "norm.weight": (192,),
    "head.weight": (1000, 192),
    "head.bias": (1000,),
}


def deep_stem(convs: int, pooled: bool) -> dict[str, ModelTensor]:
    """A ResNet-50 with so many 3x3 convs in the stem, and a pool in front of each shortcut's conv where `pooled`."""
    tree = dict(architecture("resnet50", num_classes=10).tree)
    if pooled:
        for key in [key for key in tree if ".downsample." in key]:
            front, _, rest = key.partition(".downsample.")
            place, _, leaf = rest.partition(".")
            tree[f"{front}.shortcut.{int(place) + 1}.{leaf}"] = tree.pop(key)
    widths = [3, *[32] * (convs - 1), 64]
    del tree["conv1.weight"]
    for at in range(convs):
        tree[f"conv1.{3 * at}.weight"] = ModelTensor((widths[at + 1], widths[at], 3, 3), "float32", True)
        for leaf in ("weight", "bias", "running_mean", "running_var") if at < convs - 1 else ():
            tree[f"conv1.{3 * at + 1}.{leaf}"] = ModelTensor((32,), "float32", leaf in ("weight", "bias"))
    return tree


@pytest.mark.parametrize("convs", [2, 3])
@pytest.mark.parametrize("pooled", [False, True])
def test_a_stem_of_several_convs_stands_for_the_large_one_and_not_for_that_of_a_small_picture(
    convs: int, pooled: bool
) -> None:
    best = identify(described(deep_stem(convs, pooled)))[0]
    assert (best.name, best.in_channels, best.num_classes) == ("resnet50", 3, 10)
    assert f"stem of {convs} convs for 3 channels" in best.why
    assert best.against.startswith(f"its stem has {convs} convs in the place of one")
    assert ("average pool" in best.against) == pooled


@pytest.mark.parametrize("tree", [VGG, VIT, {}, {"weight": (3,)}, {"layer1.0.conv1.weight": (3,)}])
def test_what_is_no_residual_network_is_none(tree: Mapping[str, tuple[int, ...]]) -> None:
    assert identify(described(tree)) == ()


@settings(max_examples=150)
@given(
    st.dictionaries(
        st.builds(
            "layer{}.{}.{}.weight".format,
            st.integers(0, 12),
            st.integers(0, 3),
            st.sampled_from(["conv1", "conv2", "conv3", "downsample.0", "fc"]),
        )
        | st.sampled_from(["conv1.weight", "fc.weight", "fc.bias", "bn1.weight"]),
        st.lists(st.sampled_from([0, 1, 2, 3, 64, 10**6, 10**12]), max_size=5).map(tuple),
        max_size=8,
    )
)
def test_no_shapes_crash_it(tree: dict[str, tuple[int, ...]]) -> None:
    for candidate in identify(described(tree)):
        try:
            assert candidate.architecture.tree
        except ArchitectureError as error:
            assert "\n" not in str(error)


@given(st.randoms())
@settings(max_examples=10)
def test_the_order_of_the_keys_changes_nothing(random: Any) -> None:
    tree = list(small_architecture().tree.items())
    expected = [row.as_json() for row in identify(described(dict(tree)))]
    random.shuffle(tree)
    assert [row.as_json() for row in identify(described(dict(tree)))] == expected
