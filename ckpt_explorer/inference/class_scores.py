"""Class scores: the logits (N, K) in whatever a network gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from ckpt_explorer.errors import InferenceError
from ckpt_explorer.text import listed, plural, shape_as_text, visible

if TYPE_CHECKING:
    from torch import Tensor

SCORE_NAMES = ("logits", "out", "output", "outputs", "scores", "pred", "prediction", "predictions")
"""How networks call their class scores where they give back several things; the first that fits is taken."""

MAX_PARTS = 1000


@dataclass(frozen=True)
class ClassScores:
    """Logits (N, K) as the network gave them, the shape of all that it gave, and what a person should know of it."""

    logits: Tensor
    output_shape: tuple[int, ...]
    notes: tuple[str, ...] = ()


def class_scores(output: Any, pictures: int) -> ClassScores:
    """The class scores of `pictures` inputs in `output`.

    A tensor (N, K), with or without sides of 1 behind, as fully convolutional heads leave them; (K,) for a single
    picture, as a bare `squeeze()` leaves it; or a dict, tuple, list or dataclass that holds such a tensor: the one
    under a usual name, else the first. What was taken is said in the notes.

    Raises:
        InferenceError: no class scores are in there; the text tells the shape and what it probably is.
    """
    parts = list(_parts(output))
    if not parts:
        raise InferenceError(
            f"The network gives back {_kind(output)} without a tensor in it, so there are no class scores: "
            f"make its forward return logits of shape (N, classes)."
        )
    fitting = [(name, tensor) for name, tensor in parts if _as_scores(tensor, pictures) is not None]
    name, tensor = _first_choice(fitting or parts)
    logits = _as_scores(tensor, pictures)
    if logits is None:
        raise InferenceError(_no_scores(name, tensor, pictures))
    notes = (
        () if name == "" else (f"The network gives back {_kind(output)}: the class scores are {visible(name, 60)}.",)
    )
    return ClassScores(logits, tuple(tensor.shape), notes)


def main_tensor(output: Any) -> Tensor | None:
    """The tensor that `output` is, or the likeliest one in it; None where there is none."""
    parts = list(_parts(output))
    return _first_choice(parts)[1] if parts else None


def _first_choice(parts: list[tuple[str, Tensor]]) -> tuple[str, Tensor]:
    named = {name: (name, tensor) for name, tensor in reversed(parts)}
    return next((named[name] for name in SCORE_NAMES if name in named), parts[0])


def _parts(output: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in `output`, one level deep, with its name: empty for a bare tensor, `item 0` without one."""
    import torch

    if isinstance(output, torch.Tensor):
        yield "", output
        return
    for position, (name, value) in enumerate(_named(output)):
        if position == MAX_PARTS:
            return
        if isinstance(value, torch.Tensor):
            yield name, value


def _named(output: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(output, Mapping):
        return ((str(name), value) for name, value in output.items())
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return zip(map(str, output._fields), output, strict=False)
    if isinstance(output, (tuple, list)):
        return ((f"item {position}", value) for position, value in enumerate(output))
    if is_dataclass(output) and not isinstance(output, type):
        return ((field.name, getattr(output, field.name)) for field in fields(output))
    return iter(())


def _as_scores(tensor: Tensor, pictures: int) -> Tensor | None:
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return None
    shape = tuple(tensor.shape)
    if len(shape) == 1 and pictures == 1 and shape[0] > 1:
        return tensor.reshape(1, -1)
    if len(shape) >= 2 and shape[0] == pictures and all(side == 1 for side in shape[2:]):
        return tensor.reshape(shape[0], shape[1])
    return None


def _no_scores(name: str, tensor: Tensor, pictures: int) -> str:
    shape = tuple(tensor.shape)
    what = f"The network's output{' ' + visible(name, 60) if name else ''} has shape {shape_as_text(shape)}"
    if not tensor.is_floating_point():
        return f"{what} and type {tensor.dtype}, so it holds no class scores: make its forward return the logits."
    if tensor.numel() == 0:
        return f"{what}, which is empty, so there are no class scores: try a larger input size."
    if len(shape) == 4 and shape[0] == pictures:
        return (
            f"{what}, a map of {plural(shape[1], 'channel')} and no class scores: load the network with its pooling "
            f"and its last layer (fc), or choose a classifier."
        )
    return (
        f"{what} for {plural(pictures, 'picture')}, and class scores are ({pictures}, classes): no class can be named."
    )


def _kind(output: Any) -> str:
    kind = visible(type(output).__name__, 60)
    return f"a {kind} ({listed(name for name, _ in _named(output))})" if isinstance(output, Mapping) else f"a {kind}"
