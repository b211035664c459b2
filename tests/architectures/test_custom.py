"""Custom networks: every field of the form changes what it says, and what can't be is told in a sentence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from ckpt_explorer.architectures import architecture
from ckpt_explorer.architectures.spec import CUSTOM_FIELDS
from ckpt_explorer.errors import ArchitectureError
from tests.checkpoints import SMALL, small_architecture


def layer(name: str, **options: Any) -> nn.Module:
    return small_architecture(**options).builder()().get_submodule(name)


def shape(key: str, **options: Any) -> tuple[int, ...] | None:
    row = small_architecture(**options).tree.get(key)
    return row.shape if row else None


def conv(name: str, **options: Any) -> nn.Conv2d:
    found = layer(name, **options)
    assert isinstance(found, nn.Conv2d)
    return found


CHANGES: dict[str, tuple[Any, Any]] = {
    "block": (shape("layer1.0.conv3.weight", block="bottleneck"), (32, 8, 1, 1)),
    "blocks": (shape("layer4.1.conv1.weight", blocks="1,1,1,2"), (64, 64, 3, 3)),
    "width": (shape("layer2.0.conv1.weight", width="12"), (24, 12, 3, 3)),
    "groups": (shape("layer1.0.conv2.weight", block="bottleneck", groups=4, width_per_group=16), (8, 2, 3, 3)),
    "width_per_group": (shape("layer1.0.conv2.weight", block="bottleneck", width_per_group=128), (16, 16, 3, 3)),
    "expansion": (shape("layer1.0.conv3.weight", block="bottleneck", expansion=2), (16, 8, 1, 1)),
    "stem_kernel": (shape("conv1.weight", stem_kernel=5), (8, 3, 5, 5)),
    "stem_stride": (conv("conv1", stem_stride=2).stride, (2, 2)),
    "max_pool": (isinstance(layer("maxpool", max_pool="yes"), nn.MaxPool2d), True),
    "shortcut": (shape("layer2.1.downsample.0.weight", shortcut="c"), (16, 16, 1, 1)),
    "zeros": (getattr(layer("layer2.0.downsample", shortcut="A", zeros="behind"), "padding", None), (0, 8)),
    "stride_in_1x1": (conv("layer2.0.conv1", block="bottleneck", stride_in_1x1="on").stride, (2, 2)),
    "dilate": (conv("layer2.1.conv1", dilate="no yes no").dilation, (2, 2)),
    "ceil_mode": (getattr(layer("maxpool", max_pool=True, ceil_mode=True), "ceil_mode", None), True),
    "eps": (getattr(layer("bn1", eps="1e-3"), "eps", None), 1e-3),
    "in_channels": (shape("conv1.weight", in_channels=1), (8, 1, 3, 3)),
    "num_classes": (small_architecture(9).tree["fc.weight"].shape, (9, 32)),
}


@pytest.mark.parametrize("field", [row.name for row in CUSTOM_FIELDS])
def test_every_field_changes_what_it_says(field: str) -> None:
    found, expected = CHANGES[field]
    assert found == expected


def test_shortcut_a_has_no_parameters_b_projects_where_the_shape_changes() -> None:
    assert not [key for key in small_architecture(shortcut="A").tree if "downsample" in key]
    projected = {key.split(".downsample")[0] for key in small_architecture(shortcut="B").tree if "downsample" in key}
    assert projected == {"layer2.0", "layer3.0"}


def test_options_come_back_as_they_are_listed() -> None:
    target = small_architecture(4, width="16", dilate="no,no,yes")
    again = architecture(
        "custom", num_classes=target.num_classes, in_channels=target.in_channels, options=target.options
    )
    assert dict(again.tree) == dict(target.tree)
    assert again.options == target.options


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"blocks": ""}, "Blocks a stage"),
        ({"blocks": "2,0,2"}, "Blocks a stage"),
        ({"blocks": 3}, "Blocks a stage"),
        ({"blocks": "1," * 9}, "Blocks a stage"),
        ({"blocks": [2001]}, "2,000"),
        ({"block": "dense"}, "Block can't be 'dense'"),
        ({"width": 0}, "Base width"),
        ({"width": "x" * 300}, "Base width can't be"),
        ({"width": 2.5}, "Base width"),
        ({"width": True}, "Base width"),
        ({"width": 4096, "blocks": [1] * 8}, "65,536"),
        ({"groups": 3}, "divided into 3 groups"),
        ({"block": "basic", "width": 4, "groups": 8, "expansion": 2}, "8 groups"),
        ({"shortcut": "A", "expansion": 1, "block": "bottleneck", "width_per_group": 1, "width": 8}, "inner channels"),
        ({"eps": 0}, "eps"),
        ({"eps": float("inf")}, "eps"),
        ({"max_pool": "perhaps"}, "Max-pool"),
        ({"dilate": "yes,no"}, "3 stages"),
        ({"frob": 1}, "no option 'frob'"),
        ({"fr\x1bob\n": 1}, "no option"),
        ({"in_channels": None}, "Input channels"),
    ],
)
def test_what_a_custom_network_can_not_be_is_said_in_one_sentence(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ArchitectureError, match=says) as refused:
        architecture("custom", options={**SMALL, **options})
    assert "\n" not in str(refused.value) and "\x1b" not in str(refused.value)


ANY = st.fixed_dictionaries(
    {
        "block": st.sampled_from(["basic", "bottleneck"]),
        "blocks": st.lists(st.integers(1, 2), min_size=1, max_size=3),
        "width": st.integers(1, 24),
        "groups": st.sampled_from([1, 2, 3, 4, 8]),
        "width_per_group": st.sampled_from([1, 4, 16, 32, 64, 128]),
        "expansion": st.integers(1, 4),
        "shortcut": st.sampled_from("ABC"),
        "stem_kernel": st.integers(1, 8),
        "stem_stride": st.integers(1, 3),
        "max_pool": st.booleans(),
        "ceil_mode": st.booleans(),
        "stride_in_1x1": st.booleans(),
    },
    optional={"dilate": st.lists(st.booleans(), min_size=1, max_size=3)},
)


@settings(max_examples=60)
@example({"block": "basic", "blocks": [1], "width": 4, "groups": 8, "expansion": 2})
@given(ANY)
def test_any_options_give_a_network_that_answers_or_a_sentence(options: dict[str, Any]) -> None:
    try:
        target = architecture("custom", num_classes=3, options=options)
    except ArchitectureError:
        return
    with torch.device("meta"):
        module = target.builder()().eval()
        assert module(torch.empty(2, 3, 64, 64)).shape == (2, 3)
