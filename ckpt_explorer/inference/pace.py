"""Pace: how pictures are sent through a network, which changes the time and, with half precision, the last digits."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_explorer.errors import InferenceError
from ckpt_explorer.text import visible

if TYPE_CHECKING:
    import torch

PRECISIONS = {"": "as loaded", "float16": "float16", "bfloat16": "bfloat16"}
"""How precisely convolutions and matrices are computed; the others run under `torch.autocast`, weights stay as they are."""

MAX_BATCH = 4096


@dataclass(frozen=True)
class Pace:
    """`readers` pictures are decoded at once beside the network; None leaves it to the device and the machine's cores.

    `channels_last` gives the network its input as (N, H, W, C) in memory, which convolutions on CUDA in half precision
    and on many CPUs prefer; shapes and answers stay.
    """

    batch_size: int = 32
    precision: str = ""
    channels_last: bool = False
    readers: int | None = None

    def check(self) -> None:
        """Refuse what can't be.

        Raises:
            InferenceError: a batch below 1 or above 4,096, or a precision that is none.
        """
        if not 1 <= self.batch_size <= MAX_BATCH:
            raise InferenceError(f"Batches of {self.batch_size:,} can't be made: choose 1 to {MAX_BATCH:,} pictures.")
        if self.precision not in PRECISIONS:
            known = ", ".join(name for name in PRECISIONS if name)
            raise InferenceError(f"{visible(self.precision, 40)!r} is no precision to predict in: choose {known}.")

    def as_json(self) -> dict[str, Any]:
        """Batch size, precision and memory layout."""
        return {
            "batch_size": self.batch_size,
            "precision": PRECISIONS[self.precision],
            "channels_last": self.channels_last,
        }

    def readers_for(self, device: torch.device) -> int:
        """How many pictures are decoded at once. On the CPU decoding and the network share the cores, so half of them
        read; beside an accelerator all but one, up to 8."""
        if self.readers is not None:
            return max(self.readers, 1)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, min(4, cores // 2) if device.type == "cpu" else min(8, cores - 1))
