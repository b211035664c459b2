"""Prediction: what a network says to one named picture, from its class scores; and the check with a random one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_explorer.errors import InferenceError
from ckpt_explorer.inference.class_scores import ClassScores, main_tensor
from ckpt_explorer.inference.forward import place_of, timed_forward
from ckpt_explorer.inference.images import ImageSource
from ckpt_explorer.inference.preprocessing import MAX_SIZE
from ckpt_explorer.text import plural, shape_as_text

if TYPE_CHECKING:
    import torch

MAX_RANDOM_VALUES = 2**27
"""Numbers in a random picture: 512 MiB in float32."""

SUM_TOLERANCE = 1e-3
"""Scores of 0..1 whose sum is this near 1 are probabilities already: half precision, 1,000 classes."""


@dataclass(frozen=True)
class NamedImage:
    """A picture to be looked at: the name that a person knows it by, and its file, its bytes, or the way to them."""

    name: str
    source: ImageSource

    @property
    def folder(self) -> str:
        """The folder that it lies in, as its name tells: `cat` of `val/cat/1.png`; empty without one."""
        return self.name.rpartition("/")[0].rpartition("/")[2]


@dataclass(frozen=True)
class ClassScore:
    """One class of one picture: probability 0..1, None where the logits allow none."""

    index: int
    label: str | None
    probability: float | None
    logit: float

    def as_json(self) -> dict[str, Any]:
        """`{"index", "label", "probability"}`."""
        return {"index": self.index, "label": self.label, "probability": _finite(self.probability)}


@dataclass(frozen=True)
class Prediction:
    """The best classes of one picture, best first; equal ones by index.

    `output_shape` is of this picture alone, (1, K) mostly; `milliseconds` its share of the time that its batch took
    in the network, without reading and scaling. `notes` are sentences on what is unusual.
    """

    image: str
    top: tuple[ClassScore, ...]
    output_shape: tuple[int, ...]
    milliseconds: float
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """`{"image", "top", "output_shape", "milliseconds"}`, and `"notes"` where there are any."""
        return {
            "image": self.image,
            "top": [score.as_json() for score in self.top],
            "output_shape": list(self.output_shape),
            "milliseconds": _finite(self.milliseconds),
            **({"notes": list(self.notes)} if self.notes else {}),
        }


@dataclass(frozen=True)
class FailedImage:
    """A picture that could not be read, and why, in one sentence."""

    image: str
    says: str

    def as_json(self) -> dict[str, Any]:
        """`{"image", "error"}`."""
        return {"image": self.image, "error": self.says}


def check_counts(top: int, batch_size: int) -> None:
    """Refuse, before any picture is looked for, what can't be counted.

    Raises:
        InferenceError: one of them is below 1.
    """
    if top < 1 or batch_size < 1:
        raise InferenceError(f"{top} classes of batches of {batch_size} can't be shown: both must be 1 or more.")


def predictions(
    names: Sequence[str], scores: ClassScores, labels: Sequence[str] | None, top: int, milliseconds: float
) -> list[Prediction]:
    """The best `top` classes of each of `names`, which took `milliseconds` each; `scores.logits` has one row a name.

    Probabilities are the softmax of the logits; a network whose output is that already is recognised (0..1, sum 1), and
    the notes say so.
    """
    import torch

    rows = scores.logits.detach().cpu().to(torch.float64)
    return [_prediction(name, row, scores, labels, top, milliseconds) for name, row in zip(names, rows, strict=True)]


def _prediction(
    name: str, logits: torch.Tensor, scores: ClassScores, labels: Sequence[str] | None, top: int, milliseconds: float
) -> Prediction:
    import torch

    probabilities, note = _probabilities(logits)
    comparable = torch.where(logits.isnan(), -torch.inf, logits)
    order = torch.sort(comparable, descending=True, stable=True).indices[:top].tolist()
    best = tuple(
        ClassScore(
            index,
            labels[index] if labels is not None else None,
            None if probabilities is None else float(probabilities[index]),
            float(logits[index]),
        )
        for index in order
    )
    shape = (1, *scores.output_shape[1:]) if len(scores.output_shape) > 1 else scores.output_shape
    return Prediction(name, best, shape, milliseconds, scores.notes + ((note,) if note else ()))


def _probabilities(logits: torch.Tensor) -> tuple[torch.Tensor | None, str]:
    """The probabilities (K,) of logits (K,), or None and why there are none; the second is a sentence or empty."""
    import torch

    wrong = int((logits.isnan() | (logits == torch.inf)).sum())
    if wrong or bool((logits == -torch.inf).all()):
        return None, (
            f"{wrong or len(logits):,} of the {plural(len(logits), 'logit')} are NaN or infinite, so there are no "
            f"probabilities: look for NaN in the weights, or try float32."
        )
    if len(logits) == 1:
        return None, "The network gives one number a picture, so there is no choice of classes: its logit is shown."
    if bool((logits >= 0).all()) and abs(float(logits.sum()) - 1) < SUM_TOLERANCE:
        return logits, "The network's output is 0..1 with the sum 1, so it is taken as probabilities: no softmax."
    return torch.softmax(logits, 0), ""


@dataclass(frozen=True)
class RandomCheck:
    """What became of one random picture: shapes, milliseconds in the network, whether all numbers are finite."""

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    milliseconds: float
    finite: bool
    says: str

    def as_json(self) -> dict[str, Any]:
        """All fields under their own names."""
        return {
            "input_shape": list(self.input_shape),
            "output_shape": list(self.output_shape),
            "milliseconds": _finite(self.milliseconds),
            "finite": self.finite,
            "says": self.says,
        }


def random_check(module: torch.nn.Module, channels: int, size: int, seed: int = 0) -> RandomCheck:
    """Send normal noise (1, channels, size, size) through `module`: the usual first check of a loaded network.

    It shows that the shapes fit and the code runs. It shows nothing of the weights, and `says` says so.

    Raises:
        InferenceError: a size out of 1..4096, the network failed, or gave back no tensor.
    """
    import torch

    if not 1 <= size <= MAX_SIZE or channels < 1 or channels * size**2 > MAX_RANDOM_VALUES:
        raise InferenceError(
            f"A random picture of {channels} × {size} × {size} can't be made: give 1 to {MAX_SIZE:,} px."
        )
    place = place_of(module)
    noise = torch.randn((1, channels, size, size), generator=torch.Generator().manual_seed(seed))
    output, milliseconds = timed_forward(module, noise.to(place.device, place.dtype))
    tensor = main_tensor(output)
    if tensor is None:
        raise InferenceError(
            f"The network gives back a {type(output).__name__} without a tensor in it: make its forward return logits."
        )
    finite = bool(torch.isfinite(tensor).all())
    shapes = f"{shape_as_text(noise.shape)} went in and {shape_as_text(tensor.shape)} came out"
    says = (
        f"Random numbers of shape {shapes}: the shapes fit and the code runs, which it would with any weights, "
        f"also with random ones."
        if finite
        else f"Random numbers of shape {shapes}, with NaN or infinite values among them: something is wrong in the "
        f"weights, or their type is too narrow."
    )
    return RandomCheck(tuple(noise.shape), tuple(tensor.shape), milliseconds, finite, says)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
