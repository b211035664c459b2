"""Forward: one batch through a network that somebody else wrote, timed, its failures told in a sentence."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from ckpt_explorer.errors import InferenceError
from ckpt_explorer.text import shape_as_text, visible

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Place:
    """Where a network's weights lie, and the type that its input must have."""

    device: torch.device
    dtype: torch.dtype


def place_of(module: torch.nn.Module) -> Place:
    """The device and floating type of the first floating parameter (or buffer); CPU and float32 without any.

    Raises:
        InferenceError: the weights are on the meta device, or the network is in training mode.
    """
    import torch

    if module.training:
        raise InferenceError(
            "The network is in training mode, where dropout is random and BatchNorm mixes the pictures of a batch: "
            "call eval() first."
        )
    tensors = chain(module.parameters(), module.buffers())
    first = next((tensor for tensor in tensors if tensor.is_floating_point()), None)
    if first is None:
        return Place(torch.device("cpu"), torch.float32)
    if first.device.type == "meta":
        raise InferenceError("The network has shapes and no weights yet (meta device): load the checkpoint first.")
    return Place(first.device, first.dtype)


def timed_forward(module: torch.nn.Module, x: torch.Tensor) -> tuple[Any, float]:
    """What `module` gives back for `x`, without gradients, and how long it took in milliseconds.

    An accelerator's queue is empty before the clock is read, at both ends. The first call on a device is longer than
    the next: memory is taken and kernels are chosen.

    Raises:
        InferenceError: the network's own code failed; the text has the input's shape and the cause's first line.
    """
    import torch

    try:
        with torch.inference_mode():
            _wait_for(x.device)
            start = time.perf_counter()
            output = module(x)
            _wait_for(x.device)
            return output, (time.perf_counter() - start) * 1000
    except torch.OutOfMemoryError as error:
        raise InferenceError(
            f"The memory of {x.device} is not enough for an input of shape {shape_as_text(x.shape)}: "
            f"choose a smaller batch or the CPU."
        ) from error
    except (Exception, SystemExit) as error:  # the user's own forward may raise anything
        first_line = next(iter(str(error).strip().splitlines()), "").rstrip(". ")
        cause = f"{type(error).__name__}{': ' if first_line else ''}{visible(first_line, 200)}"
        raise InferenceError(
            f"The network failed on an input of shape {shape_as_text(x.shape)} ({cause}): "
            f"check the size and channels that it was written for."
        ) from error


def _wait_for(device: torch.device) -> None:
    import torch

    waits: dict[str, Callable[[], None]] = {
        "cuda": lambda: torch.cuda.synchronize(device),
        "xpu": lambda: torch.xpu.synchronize(device),
        "mps": torch.mps.synchronize,
    }
    waits.get(device.type, lambda: None)()
