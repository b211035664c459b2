"""Shortcuts that no key shows: zeros around or behind the channels, and none at all."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ckpt_explorer import architecture
from ckpt_explorer.architectures.plain_resnet import Block, PlainResNet
from ckpt_explorer.architectures.spec import ResNetSpec
from ckpt_explorer.errors import ArchitectureError
from ckpt_explorer.evidence.wiring import Wiring, graph_of, wiring_of
from tests.evidence.honest import honest_network, pixels, tiles

SHAPE: dict[str, Any] = {"blocks": "3,3,3", "shortcut": "A", "stem_kernel": 3, "stem_stride": 1, "max_pool": "no"}


def held_against(filed: nn.Module, built: nn.Module) -> Wiring:
    """The wiring of a network as it is built, with the weights of another."""
    graph = graph_of(built)
    assert graph is not None
    return wiring_of(graph, filed.state_dict().__getitem__)


class _Nothing(nn.Module):
    """In the place of a shortcut."""

    def forward(self, _x: Tensor) -> float:
        return 0.0


def without_shortcuts() -> nn.Module:
    """A plain network with the keys of a residual one, and statistics of its own."""
    module = copy.deepcopy(honest_network(**SHAPE))
    for part in module.modules():
        if isinstance(part, Block):
            part.downsample = _Nothing()
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
    with torch.no_grad():
        module.train()
        module(pixels(len(tiles())))
    return module.eval()


def test_the_shortcuts_that_it_was_trained_with_are_not_doubted() -> None:
    for zeros in ("around", "behind"):
        network = honest_network(**SHAPE, zeros=zeros)
        wiring = held_against(network, network)
        assert (wiring.evidence, wiring.doubts, wiring.shortcuts) == ("trained", (), None)


def test_zeros_behind_the_channels_are_told_from_zeros_around_them() -> None:
    wiring = held_against(honest_network(**SHAPE, zeros="behind"), honest_network(**SHAPE))
    assert wiring.shortcuts == "behind" and len(wiring.doubts) == 1
    assert wiring.doubts[0].layer.startswith("layer2.") and "zeros=behind" in wiring.doubts[0].next
    assert wiring.as_json()["shortcuts"] == "behind"


def test_a_plain_network_is_not_taken_for_a_residual_one() -> None:
    wiring = held_against(without_shortcuts(), honest_network(**SHAPE))
    assert wiring.shortcuts == "none" and len(wiring.doubts) == 1
    assert "plain network" in wiring.doubts[0].says and "--model" in wiring.doubts[0].next


def test_projected_shortcuts_have_keys_and_are_not_asked() -> None:
    other = {**SHAPE, "shortcut": "B"}
    assert held_against(honest_network(**other), honest_network(**other)).shortcuts is None


def test_a_named_network_takes_the_place_of_its_zeros_and_one_that_projects_has_none() -> None:
    assert architecture("resnet20_cifar_a", options={"zeros": "behind"}).options == {"zeros": "behind"}
    with pytest.raises(ArchitectureError, match="Only shortcut A"):
        architecture("resnet18", options={"zeros": "behind"})


def test_zeros_stand_where_they_are_asked_for() -> None:
    x = torch.ones(1, 4, 2, 2)
    for zeros, places in (("around", [0, 0, 1, 1, 1, 1, 0, 0]), ("behind", [1, 1, 1, 1, 0, 0, 0, 0])):
        spec = ResNetSpec(blocks=(1, 1), width=4, shortcut="A", zeros=zeros)  # type: ignore[arg-type]
        shortcut = PlainResNet(spec).get_submodule("layer2.0.downsample")
        assert shortcut(x)[0, :, 0, 0].tolist() == places
