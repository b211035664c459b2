"""Loose tensors: what a module keeps as plain attributes, outside of any state dict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


def loose_attributes(part: nn.Module) -> Iterator[tuple[str, Any]]:
    """Name and value of each attribute of one module, its children aside, that is a tensor or has one in it."""
    from torch import nn

    torchs_own = frozenset(vars(nn.Module()))
    for name, value in vars(part).items():
        if name not in torchs_own and tensors_inside(value):
            yield name, value


def tensors_inside(value: Any) -> list[torch.Tensor]:
    """The tensors in an attribute: itself, or those in its lists, tuples and dicts."""
    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for item in items for tensor in tensors_inside(item)]
