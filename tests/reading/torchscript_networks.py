"""Networks with all that a TorchScript class can declare.

Annotations stay objects here (no `from __future__`): torch.jit.script reads them.
"""

# ruff: noqa: UP045
from typing import Optional

import torch
from torch import Tensor, nn


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.spare = None

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)  # type: ignore[no-any-return]


class Net(nn.Module):
    maybe: Optional[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.plain = torch.arange(3.0)
        self.sizes = [1, 2]
        self.rates = {"a": 1.5}
        self.several = [torch.ones(1)]
        self.title = "a network"
        self.register_buffer("passing", torch.zeros(2), persistent=False)
        self.register_buffer("absent", None)
        self.register_buffer("maybe", torch.ones(2))
        self.register_parameter("none", None)
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.BatchNorm2d(2), nn.ReLU())
        self.own = nn.Parameter(torch.randn(2))
        self.heads = nn.ModuleList([Head()])
        self.listed = nn.ParameterList([nn.Parameter(torch.ones(1))])
        self.last = nn.Linear(3, 3)
        self.register_buffer("view", torch.arange(12.0).reshape(3, 4).t())

    def forward(self, x: Tensor) -> Tensor:
        for head in self.heads:
            x = head(x)
        return x + self.plain


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = Head()
        self.second = self.first
        self.weight = self.first.linear.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) + self.second(x)  # type: ignore[no-any-return]
