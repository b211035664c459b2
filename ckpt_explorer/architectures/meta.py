"""Building on the meta device: shapes without memory, and without the random numbers that a constructor draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.overrides import TorchFunctionMode

_DRAWS = ("normal_", "uniform_", "bernoulli_", "exponential_", "cauchy_", "log_normal_", "geometric_", "random_")


@contextmanager
def on_meta() -> Iterator[None]:
    """In here, modules are built on the meta device.

    Random initialisation is passed over: there is nothing to fill, and torch would import its compiler for it, which
    takes seconds (`torch/_refs/__init__.py` normal_ -> `torch/_compile.py`, 2.15).
    """
    import torch

    with torch.device("meta"), _undrawn()():
        yield


@cache
def _undrawn() -> Callable[[], TorchFunctionMode]:
    import torch
    from torch.overrides import TorchFunctionMode

    draws = frozenset(getattr(torch.Tensor, name) for name in _DRAWS)

    class Undrawn(TorchFunctionMode):
        """Leaves a meta tensor as it is where random numbers would be written into it."""

        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            if func in draws and args and isinstance(args[0], torch.Tensor) and args[0].is_meta:
                return args[0]
            return func(*args, **(kwargs or {}))

    return Undrawn
