"""Operation: one thing that a rule can do to a tensor: the shape it gives, its arithmetic, and its code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    """One operation on one tensor. `shape` gives None for a shape that it leaves alone.

    `code` and `fits` are the same in Python, for scripts that people take home: what is done to t, and when.
    """

    shape: Callable[[Shape], Shape | None]
    compute: Callable[[torch.Tensor], torch.Tensor]
    code: str
    help: str
    fits: str = "t.dim() == 4"
