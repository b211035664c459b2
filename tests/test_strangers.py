"""strangers_among(): learned layers beside the parts of a network that can only work between them make it another one."""

from __future__ import annotations

import pytest

from ckpt_explorer.alignment import Alignment, Verdict, align
from ckpt_explorer.architectures import architecture
from ckpt_explorer.architectures.architecture import ModelTensor
from ckpt_explorer.suggestion import suggest
from tests.checkpoints import described

Tensors = dict[str, tuple[int, ...]]

CHANNEL_ATTENTION: Tensors = {"ca.fc.0.weight": (32, 512, 1, 1), "ca.fc.2.weight": (512, 32, 1, 1)}
SPATIAL_ATTENTION: Tensors = {"sa.conv1.weight": (1, 2, 7, 7)}
SQUEEZE: Tensors = {"se.fc.0.weight": (32, 512), "se.fc.2.weight": (512, 32)}
NON_LOCAL: Tensors = {
    "nl.0.g.weight": (128, 256, 1, 1),
    "nl.0.theta.weight": (128, 256, 1, 1),
    "nl.0.W.0.weight": (256, 128, 1, 1),
    "nl.0.W.1.weight": (256,),
    "nl.0.W.1.running_mean": (256,),
}
CONV: Tensors = {"conv5.weight": (512, 512, 3, 3), "bn5.weight": (512,), "bn5.bias": (512,)}
INPUT_NORM: Tensors = {"bn0.weight": (3,), "bn0.bias": (3,), "bn0.running_mean": (3,), "bn0.running_var": (3,)}
TRANSFORMER: Tensors = {"localization.0.weight": (8, 3, 7, 7), "localization.3.weight": (10, 8, 5, 5)}
ACTIVATION: Tensors = {"act.beta": (1,)}
PREDICTOR: Tensors = {
    "predictor.0.weight": (128, 512),
    "predictor.1.weight": (128,),
    "predictor.1.running_mean": (128,),
    "predictor.3.weight": (512, 128),
}
PROJECTOR: Tensors = {"projector.0.weight": (2048, 512), "projector.2.weight": (128, 2048)}


def with_more(more: Tensors, name: str = "resnet18", without: str = "-") -> Alignment:
    """A network's own tree with these tensors beside it, and without its keys that begin so."""
    target = architecture(name, num_classes=10)
    tree = {key: row for key, row in target.tree.items() if not key.startswith(without)}
    tree |= {key: ModelTensor(shape, "float32", True) for key, shape in more.items()}
    source = described(tree)
    return align(source, target, suggest(source, target).rules)


@pytest.mark.parametrize(
    "more", [CHANNEL_ATTENTION, SPATIAL_ATTENTION, SQUEEZE, NON_LOCAL, CONV, INPUT_NORM, TRANSFORMER, ACTIVATION]
)
def test_what_stands_between_the_parts_of_a_whole_network_makes_it_another_one(more: Tensors) -> None:
    alignment = with_more(more)
    assert alignment.verdict is Verdict.INCOMPATIBLE
    assert set(alignment.strangers) & set(more)


@pytest.mark.parametrize("more", [PREDICTOR, PROJECTOR])
def test_heads_beside_a_whole_network_do_not(more: Tensors) -> None:
    assert with_more(more).verdict is Verdict.COMPLETE


@pytest.mark.parametrize("more", [SQUEEZE, CONV])
def test_where_the_last_layer_is_missing_they_may_belong_to_what_comes_behind(more: Tensors) -> None:
    assert with_more(more, without="fc.").verdict is Verdict.PARTIAL


@pytest.mark.parametrize(("key", "size"), [("relu.weight", 64), ("prelu1.weight", 1)])
def test_a_learned_activation_behind_the_stem_makes_it_another_network(key: str, size: int) -> None:
    assert with_more({key: (size,)}, without="fc.").verdict is Verdict.INCOMPATIBLE
    assert with_more({f"criterion.{key}": (size,)}).verdict is Verdict.COMPLETE


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ({"to_rgb.weight": (3, 1, 1, 1)}, Verdict.INCOMPATIBLE),
        ({"resizer.0.weight": (16, 3, 7, 7), "resizer.2.weight": (3, 16, 7, 7)}, Verdict.INCOMPATIBLE),
        ({"decoder.0.weight": (64, 512, 3, 3), "decoder.2.weight": (3, 64, 3, 3)}, Verdict.COMPLETE),
        ({"pool.p": (1,)}, Verdict.COMPLETE),
    ],
)
def test_what_makes_the_picture_that_a_network_takes_is_part_of_it(more: Tensors, verdict: Verdict) -> None:
    target = architecture("resnet18", num_classes=10)
    tree = {f"model.{key}": row for key, row in target.tree.items()}
    tree |= {key: ModelTensor(shape, "float32", True) for key, shape in more.items()}
    source = described(tree)
    assert align(source, target, suggest(source, target).rules).verdict is verdict


def test_a_conv_beside_a_network_without_projections_is_its_shortcut() -> None:
    alignment = with_more({"conv2.weight": (32, 16, 3, 3), "conv3.weight": (64, 32, 3, 3)}, "resnet20_cifar_a")
    assert alignment.verdict is Verdict.INCOMPATIBLE


def test_what_tensorflow_keeps_below_the_name_of_a_placed_tensor_is_no_stranger() -> None:
    target = architecture("resnet18", num_classes=10)
    tree = {key.replace(".", "/"): row for key, row in target.tree.items()}
    tree |= {f"{key}/Momentum": row for key, row in tree.items() if "running" not in key and row.shape}
    source = described(tree)
    assert align(source, target, suggest(source, target).rules).verdict is Verdict.COMPLETE
