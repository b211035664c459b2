"""Least squares through the origin: one factor for all channels, and what it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

TINY = 1e-30


def through_origin(y: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The slopes (...) of (..., C) y on x, and the root mean square of what is left, over the slope."""
    slope = (y * x).sum(-1) / x.square().sum(-1).clamp_min(TINY)
    left = (y - slope[..., None] * x).square().mean(-1).sqrt()
    return slope, left / slope.abs().clamp_min(1e-12)
