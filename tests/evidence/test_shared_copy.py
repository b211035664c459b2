"""A copy on the same tensors: places of its own, for ordinary networks and for classes that hold more than layers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from ckpt_explorer.architectures import architecture
from ckpt_explorer.evidence.shared_copy import shared_copy


class ListOfParts(nn.Module):
    """Calls its layers through a plain list: a copy must call its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.steps = [self.conv, self.norm]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for step in self.steps:
            x = step(x)
        return x


class Slotted(nn.Module):
    """Keeps a number where `vars` does not show it."""

    __slots__ = ("factor",)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.factor = 2.0

    def forward(self, x: torch.Tensor) -> Any:
        return self.conv(x) * self.factor


class Refuses(nn.Module):
    def __deepcopy__(self, _memo: dict[int, object]) -> nn.Module:
        raise TypeError("not me")


def built(name: str) -> nn.Module:
    return architecture(name).builder()()


@pytest.mark.parametrize(
    "module",
    [models.resnet18(), built("resnet20_cifar_a"), ListOfParts()],
    ids=["torchvision", "ours", "list"],
)
def test_the_copy_answers_the_same_on_the_same_tensors_and_keeps_to_itself(module: nn.Module) -> None:
    twin = shared_copy(module.eval())
    x = torch.randn(2, 3, 32, 32)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert torch.equal(twin(x), module(x))
    for one, two in zip(
        twin.state_dict(keep_vars=True).values(), module.state_dict(keep_vars=True).values(), strict=True
    ):
        assert one is two
    called = []
    for part in twin.modules():
        part.register_forward_hook(lambda part, _x, _y: called.append(id(part)))
        for name, value in part._buffers.items():
            part._buffers[name] = None if value is None else value + 7
    module(x)
    assert called == []
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    twin(x)
    mine = {id(part) for part in twin.modules()}
    assert called and set(called) <= mine
    assert mine.isdisjoint(id(part) for part in module.modules())
    assert twin.state_dict().keys() == module.state_dict().keys()
    assert not twin.training


def test_a_part_that_stands_in_two_places_stays_one() -> None:
    layer = nn.Linear(4, 4)
    twin = shared_copy(nn.Sequential(layer, nn.ReLU(), layer))
    assert twin.get_submodule("0") is twin.get_submodule("2")
    assert twin.get_submodule("0") is not layer


def test_ordinary_networks_do_not_go_through_deepcopy(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("deepcopy")

    networks = (models.resnet50(), built("resnet20_cifar_a"))
    monkeypatch.setattr(copy, "deepcopy", never)
    for module in networks:
        assert shared_copy(module) is not module


@pytest.mark.parametrize("module", [Refuses(), Slotted()], ids=["refuses", "slots"])
def test_a_class_that_can_not_be_copied_is_used_as_it_is(module: nn.Module) -> None:
    assert shared_copy(module) is module
