"""The networks that have a name: they are torchvision's own, or the paper's, or compute the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from ckpt_explorer.architectures import NAMES, architecture
from ckpt_explorer.architectures.architecture import tree_of
from ckpt_explorer.architectures.plain_resnet import PlainResNet
from ckpt_explorer.architectures.spec import NAMED_SPECS, TORCHVISION_NAMES
from ckpt_explorer.errors import ArchitectureError
from tests.checkpoints import trained


def parameters(name: str) -> int:
    tree = architecture(name).tree
    return sum(torch.Size(row.shape).numel() for row in tree.values() if row.is_parameter)


def same_output(ours: nn.Module, theirs: nn.Module, size: int, channels: int = 3) -> bool:
    """Whether both give the same logits with the weights of `theirs`, bit for bit."""
    trained(theirs)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return torch.equal(ours.eval()(x), theirs(x))


@pytest.mark.parametrize("name", [name for name in NAMES if "1202" not in name])
def test_every_network_in_the_list_builds_and_its_tree_is_its_state_dict(name: str) -> None:
    target = architecture(name)
    with torch.device("meta"):
        module = target.builder()()
    assert tree_of(module) == dict(target.tree)
    assert list(module.state_dict()) == list(target.tree)
    assert target.head == ("fc.weight", "fc.bias")
    assert target.tree["fc.weight"].shape[0] == target.num_classes
    assert target.tree["conv1.weight"].shape[1] == target.in_channels == 3
    assert target.input_size == (32 if "cifar" in name else 224)


def test_the_largest_network_in_the_list_has_a_tree_too() -> None:
    assert len(architecture("resnet1202_cifar_a").tree) == 2 + 6 + (1202 - 2) // 2 * 12


def test_no_two_names_have_the_same_tree() -> None:
    trees = {name: tuple(architecture(name, num_classes=10).tree.items()) for name in NAMED_SPECS}
    assert len(set(trees.values())) == len(trees)


def test_torchvisions_ten_are_torchvisions_own_class_with_its_own_keys() -> None:
    assert len(TORCHVISION_NAMES) == 10
    for name in TORCHVISION_NAMES:
        with torch.device("meta"):
            ours, theirs = architecture(name).builder()(), getattr(torchvision.models, name)()
        assert isinstance(ours, torchvision.models.ResNet)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        assert tree_of(ours) == tree_of(theirs)
        strides = [[part.stride for part in net.modules() if isinstance(part, nn.Conv2d)] for net in (ours, theirs)]
        assert strides[0] == strides[1]


@pytest.mark.parametrize(
    ("name", "size"),
    [("resnet18", 64), ("resnet34", 33), ("resnet50", 64), ("resnext50_32x4d", 40), ("wide_resnet50_2", 32)],
)
def test_a_custom_network_of_torchvisions_numbers_computes_what_torchvision_computes(name: str, size: int) -> None:
    spec = replace(NAMED_SPECS[name], num_classes=7)
    assert same_output(PlainResNet(spec), getattr(torchvision.models, name)(num_classes=7), size)


def test_dilated_stages_compute_what_torchvisions_dilated_stages_compute() -> None:
    spec = replace(NAMED_SPECS["resnet50"], num_classes=4, dilate=(False, False, True, True))
    theirs = torchvision.models.resnet50(num_classes=4, replace_stride_with_dilation=[False, True, True])
    assert same_output(PlainResNet(spec), theirs, 64)
    named = architecture("resnet50", num_classes=4, options={"dilate": "no,no,yes,yes"})
    assert same_output(named.builder()(), theirs, 64)


@pytest.mark.parametrize(
    "options", [{"stride_in_1x1": True}, {"eps": 1e-3}, {"ceil_mode": True}, {"dilate": (False, False, False, True)}]
)
def test_options_that_keys_do_not_show_change_both_builders_alike_and_change_the_output(
    options: dict[str, Any],
) -> None:
    named = architecture("resnet50", num_classes=3, options=options)
    custom = architecture("custom", num_classes=3, options={**block50(), **options})
    plain = architecture("resnet50", num_classes=3)
    assert dict(named.tree) == dict(custom.tree) == dict(plain.tree)
    theirs = named.builder()()
    assert same_output(custom.builder()(), theirs, 64)
    assert not same_output(plain.builder()(), theirs, 64)
    assert named.options.keys() == options.keys()


def block50() -> dict[str, Any]:
    return {"block": "bottleneck", "blocks": "3,4,6,3"}


def test_caffes_strides_lie_in_the_first_conv_of_a_bottleneck() -> None:
    for name in ("resnet50", "custom"):
        options = {"stride_in_1x1": "yes", **(block50() if name == "custom" else {})}
        module = architecture(name, options=options).builder()()
        strides = [part.stride for part in module.get_submodule("layer2.0").children() if isinstance(part, nn.Conv2d)]
        assert strides == [(2, 2), (1, 1), (1, 1)]


def test_a_cifar_stem_keeps_the_size_of_the_picture() -> None:
    module = architecture("resnet18_cifar").builder()().eval()
    sizes: list[int] = []
    module.get_submodule("layer1").register_forward_hook(lambda _m, _i, out: sizes.append(out.shape[-1]))
    with torch.inference_mode():
        assert module(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    assert sizes == [32]


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7), (1202, 19.4)]
)
def test_the_papers_networks_have_the_papers_number_of_parameters(depth: int, millions: float) -> None:
    # He et al. 2015, table 6: option A
    assert round(parameters(f"resnet{depth}_cifar_a") / 1e6, 1 if millions > 1 else 2) == millions
    projections = (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)
    assert parameters(f"resnet{depth}_cifar_b") == parameters(f"resnet{depth}_cifar_a") + projections


def test_class_count_and_input_channels_are_the_given_ones() -> None:
    for name in ("resnet18", "resnet18_cifar", "resnet20_cifar_a"):
        target = architecture(name, num_classes=7, in_channels=1)
        module = target.builder()().eval()
        with torch.inference_mode():
            assert module(torch.zeros(1, 1, 64, 64)).shape == (1, 7)
        assert (target.num_classes, target.in_channels) == (7, 1)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("resnet19", {}, "no network 'resnet19'"),
        ("", {}, "no network"),
        ("\x1b[31m", {}, "no network"),
        ("resnet50", {"width": 32}, "choose custom"),
        ("resnet50", {"frob": 1}, "choose custom"),
        ("resnet50", {"dilate": "yes"}, "4 stages"),
        ("resnet50", {"eps": "nan"}, "eps"),
        ("resnet18", {"num_classes": 0}, "Classes"),
        ("resnet18", {"in_channels": -1}, "Input channels"),
    ],
)
def test_what_a_named_network_can_not_be_is_said_in_one_sentence(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ArchitectureError, match=says) as refused:
        architecture(name, options=options).builder()()
    assert "\n" not in str(refused.value) and "\x1b" not in str(refused.value)


@pytest.mark.parametrize("dilate", ["no,no,yes,yes", "yes,no,no,no"])
def test_torchvisions_basic_blocks_can_not_be_dilated_and_the_sentence_says_what_can(dilate: str) -> None:
    with pytest.raises(ArchitectureError):
        architecture("resnet18", options={"dilate": dilate})
    custom = architecture("custom", options={"blocks": "2,2,2,2", "dilate": dilate}).builder()()
    with torch.inference_mode():
        assert custom.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)
