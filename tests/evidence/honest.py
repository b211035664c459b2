"""Networks whose BatchNorm statistics are of pictures that are there, without training; and ways to spoil them.

A random network into which pictures were run in training mode has honest statistics: what arrives is what it kept. The
photographs are scikit-learn's two, cut into tiles.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ckpt_explorer.inference.prediction import NamedImage
from tests.checkpoints import small_architecture

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@cache
def tiles(size: int = 32) -> tuple[NamedImage, ...]:
    """96 tiles of two photographs, as PNG files, in an order that mixes them."""
    from sklearn.datasets import load_sample_images

    places = [
        (photograph, top, left)
        for photograph in load_sample_images().images
        for top in range(0, photograph.shape[0] - size, size)
        for left in range(0, photograph.shape[1] - size, size)
    ]
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(0))[:96].tolist()
    found = []
    for number in order:
        photograph, top, left = places[number]
        file = io.BytesIO()
        Image.fromarray(photograph[top : top + size, left : left + size]).save(file, "PNG")
        found.append(NamedImage(f"{number}.png", file.getvalue()))
    return tuple(found)


@cache
def pixels(count: int, size: int = 32, channels: int = 3) -> Tensor:
    """The first tiles, prepared as for ImageNet: (count, channels, size, size)."""
    from ckpt_explorer.inference.images import as_input, open_image
    from ckpt_explorer.inference.preprocessing import preprocessing

    steps = preprocessing("imagenet", size=size, resize=size, channels=channels)
    return torch.stack([as_input(open_image(tile.source, tile.name), steps, channels) for tile in tiles(size)[:count]])


def honest_network(size: int = 32, **options: Any) -> nn.Module:
    """A network of its own, like every other of these options: see `_honest`."""
    return copy.deepcopy(_honest(size, tuple(options.items())))


@cache
def _honest(size: int, given: tuple[tuple[str, Any], ...]) -> nn.Module:
    """A network of these options in eval mode, with scales and shifts of its own and the statistics of all tiles."""
    options = dict(given)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = small_architecture(**{"width": 16, **options}).builder()()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = None
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias, std=0.3)
        with torch.no_grad():
            module.train()
            module(pixels(len(tiles(size)), size, options.get("in_channels", 3)))
    return module.requires_grad_(False).eval()


def random_again(weight: Tensor) -> Tensor:
    return nn.init.kaiming_normal_(torch.empty_like(weight), mode="fan_out", nonlinearity="relu")


SPOILT: dict[str, Callable[[Tensor], Tensor]] = {
    "random": random_again,
    "halved": lambda weight: weight / 2,
    "shuffled": lambda weight: weight.roll(len(weight) // 2 + 1, 0),
}
