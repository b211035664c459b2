"""Relatives of the ResNet are named by what gives them away, and a plain one is never taken for one of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ckpt_explorer.architectures import architecture
from ckpt_explorer.architectures.architecture import ModelTensor
from ckpt_explorer.suggestion.relatives import relatives_of
from ckpt_explorer.suggestion.structure import networks_in
from tests.checkpoints import described
from tests.suggestion.schemes import near_miss
from tests.suggestion.test_identify import VIT

Tree = dict[str, ModelTensor]
PLAIN: Tree = dict(architecture("resnet18").tree)


def families(tree: Tree) -> list[str]:
    source = described(tree)
    networks = networks_in(source)
    return [name for name, _ in relatives_of(source, networks[0] if networks else None)]


def also(key: str, *shape: int) -> Callable[[], Tree]:
    return lambda: {**PLAIN, key: ModelTensor(shape, "float32", True)}


CASES: dict[str, Callable[[], Tree]] = {
    "an SE-ResNet": lambda: near_miss("gate", PLAIN),
    "CBAM": also("layer1.0.gate.spatial.conv.weight", 1, 2, 7, 7),
    "ECA": also("layer1.0.eca.conv.weight", 1, 1, 3),
    "IResNet": also("layer1.0.prelu.weight", 64),
    "anti-aliased": also("layer2.0.downsample.filt", 64, 1, 3, 3),
    "pre-activation": lambda: near_miss("pre-activation", PLAIN),
    "DCN": also("layer4.0.conv2.conv_offset.weight", 18, 512, 3, 3),
    "NFNet": lambda: {
        **{key: row for key, row in PLAIN.items() if "bn" not in key and "downsample.1" not in key},
        "layer1.0.conv1.gain": ModelTensor((64,), "float32", True),
    },
    "-D (stem": lambda: {
        **PLAIN,
        "conv1.weight": ModelTensor((64, 32, 3, 3), "float32", True),
        "conv0.weight": ModelTensor((32, 3, 3, 3), "float32", True),
    },
    "DenseNet": lambda: {
        "features.denseblock1.denselayer1.conv1.weight": ModelTensor((128, 64, 1, 1), "float32", True)
    },
    "Vision Transformer": lambda: {key: ModelTensor(shape, "float32", True) for key, shape in VIT.items()},
    "3-D": lambda: {
        key: ModelTensor((*row.shape, row.shape[-1]) if len(row.shape) == 4 else row.shape, row.dtype, True)
        for key, row in PLAIN.items()
    },
    "quantised": lambda: {**PLAIN, "conv1.weight": ModelTensor((64, 3, 7, 7), "qint8", True)},
}


@pytest.mark.parametrize("family", CASES)
def test_each_relative_is_named(family: str) -> None:
    assert any(family in name for name in families(CASES[family]())[:1])


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d", "resnet20_cifar_a", "resnet20_cifar_b"])
def test_a_plain_network_is_no_relative(name: str) -> None:
    assert families(dict(architecture(name).tree)) == []
