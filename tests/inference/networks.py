"""Small networks that the inference tests look at: real ones, and ones with odd outputs."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ckpt_explorer.architectures.plain_resnet import PlainResNet
from ckpt_explorer.architectures.spec import NAMED_SPECS
from ckpt_explorer.inference.prediction import NamedImage


def resnet20(seed: int = 0) -> nn.Module:
    """The CIFAR ResNet-20 with random weights, (N, 3, 32, 32) to (N, 10), in eval mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return PlainResNet(NAMED_SPECS["resnet20_cifar_a"]).eval()


class Gives(nn.Module):
    """A network whose output is `shape(logits)` of fixed logits (N, K), one row a picture by its mean."""

    def __init__(self, shape: Callable[[Tensor], Any], classes: int = 4) -> None:
        super().__init__()
        self.shape = shape
        self.weight = nn.Parameter(torch.arange(1.0, classes + 1))
        self.eval()

    def forward(self, x: Tensor) -> Any:
        return self.shape(x.mean((1, 2, 3))[:, None] * self.weight)


def picture(seed: int, size: int = 32) -> NamedImage:
    """A PNG of noise, `seed.png`."""
    values = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return NamedImage(f"{seed}.png", file.getvalue())
