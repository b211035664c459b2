"""What a rule can do to a tensor: a table of operations, each with the shape it gives, its arithmetic and its code.

Nothing here reads a tensor before it is asked for, and shapes alone say whether an operation fits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules.operation import Operation, Shape
from ckpt_explorer.rules.sized_operations import NAMES, sized_operation
from ckpt_explorer.text import visible

if TYPE_CHECKING:
    import torch

__all__ = ["OPERATIONS", "Combination", "Operation", "Shape", "combination", "filling", "operation"]


def _four(shape: Shape) -> bool:
    return len(shape) == 4


OPERATIONS: dict[str, Operation] = {
    "HWIO to OIHW": Operation(
        lambda s: (s[3], s[2], s[0], s[1]) if _four(s) else None,
        lambda t: t.permute(3, 2, 0, 1),
        "t.permute(3, 2, 0, 1)",
        "a conv's kernel as TensorFlow keeps it, spatial axes first",
    ),
    "OHWI to OIHW": Operation(
        lambda s: (s[0], s[3], s[1], s[2]) if _four(s) else None,
        lambda t: t.permute(0, 3, 1, 2),
        "t.permute(0, 3, 1, 2)",
        "a conv's kernel with its channels last, as MLX keeps it",
    ),
    "transpose": Operation(
        lambda s: (s[1], s[0]) if len(s) == 2 else None,
        lambda t: t.t(),
        "t.t()",
        "a linear layer's kernel with inputs first",
        "t.dim() == 2",
    ),
    "1x1 conv to linear": Operation(
        lambda s: s[:2] if _four(s) and s[2:] == (1, 1) else None,
        lambda t: t.flatten(1),
        "t.flatten(1)",
        "a last layer that is a 1x1 conv",
        "t.dim() == 4 and t.shape[2:] == (1, 1)",
    ),
    "linear to 1x1 conv": Operation(
        lambda s: (*s, 1, 1) if len(s) == 2 else None,
        lambda t: t[:, :, None, None],
        "t[:, :, None, None]",
        "a last layer that the network has as a 1x1 conv",
        "t.dim() == 2",
    ),
    "sum RGB to gray": Operation(
        lambda s: (s[0], 1, *s[2:]) if _four(s) and s[1] == 3 else None,
        lambda t: t.sum(1, keepdim=True),
        "t.sum(1, keepdim=True)",
        "a stem for gray pictures that answers as for the same picture in RGB",
        "t.dim() == 4 and t.shape[1] == 3",
    ),
    "mean RGB to gray": Operation(
        lambda s: (s[0], 1, *s[2:]) if _four(s) and s[1] == 3 else None,
        lambda t: t.mean(1, keepdim=True),
        "t.mean(1, keepdim=True)",
        "a stem for gray pictures, at a third of the scale",
        "t.dim() == 4 and t.shape[1] == 3",
    ),
    "gray to RGB, a third each": Operation(
        lambda s: (s[0], 3, *s[2:]) if _four(s) and s[1] == 1 else None,
        lambda t: t.repeat(1, 3, 1, 1) / 3,
        "(t.repeat(1, 3, 1, 1) / 3)",
        "a stem for RGB that answers as for the same picture in gray",
        "t.dim() == 4 and t.shape[1] == 1",
    ),
    "gray to RGB, repeated": Operation(
        lambda s: (s[0], 3, *s[2:]) if _four(s) and s[1] == 1 else None,
        lambda t: t.repeat(1, 3, 1, 1),
        "t.repeat(1, 3, 1, 1)",
        "a stem for RGB, at three times the scale",
        "t.dim() == 4 and t.shape[1] == 1",
    ),
    "RGB to BGR": Operation(
        lambda s: s if _four(s) and s[1] == 3 else None,
        lambda t: t.flip(1),
        "t.flip(1)",
        "a stem that takes blue first for pictures that have red first, or the other way round",
        "t.dim() == 4 and t.shape[1] == 3",
    ),
}


def operation(name: str) -> Operation:
    """The operation of this name.

    Raises:
        RuleError: there is none; the text names those there are.
    """
    found = OPERATIONS.get(name) or sized_operation(name)
    if found is None:
        known = ", ".join((*OPERATIONS, *NAMES))
        raise RuleError(f"There is no arithmetic {visible(name, 60)!r}: choose from {known}.")
    return found


_COMBINATION = re.compile(
    r"([^\s*/|]+) (?:\* ([^\s*/|]+)( / \|\2\|)?|- ([^\s*/|]+)|/ \(([^\s*/|()]+) \1 ([^\s*/|()]+)\))$"
)


@dataclass(frozen=True)
class Combination:
    """Tensors that make one: `a * b`, `g * v / |v|` where every output's weights are scaled to length g, `a - b`, or `w / (u w v)`.

    A difference may lack its second: nothing is taken off then. A product needs both. The last is spectral norm's: `w`
    as a matrix with a row an output, over its largest singular value, which the vectors `u` and `v` find.
    Source: `torch.nn.utils.spectral_norm.SpectralNorm.compute_weight`, without a power iteration, as in `eval()`.
    """

    first: str
    second: str
    scaled: bool
    less: bool = False
    third: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """The ends of the keys, in order."""
        return (self.first, self.second, self.third) if self.third else (self.first, self.second)

    def __str__(self) -> str:
        if self.third:
            return f"{self.first} / ({self.second} {self.first} {self.third})"
        if self.less:
            return f"{self.first} - {self.second}"
        return f"{self.first} * {self.second}{f' / |{self.second}|' if self.scaled else ''}"

    def shape(self, shapes: Sequence[Shape]) -> Shape | None:
        """The shape of the result; None where the two don't fit each other."""
        one, other = shapes[:2]
        if self.third:
            wide = prod(one[1:])
            return one if one and other == one[:1] and shapes[2] == (wide,) else None
        if not self.scaled:
            return one if one == other else None
        length = 1
        for side in one:
            length *= side
        return other if other and length == other[0] else None

    def compute(self, one: torch.Tensor, other: torch.Tensor, third: torch.Tensor | None = None) -> torch.Tensor:
        """The result."""
        if third is not None:
            divided: torch.Tensor = one / (other @ (one.flatten(1) @ third))
            return divided
        if self.less:
            return one - other.to(one.dtype)
        if not self.scaled:
            return one * other.to(one.dtype)
        length: torch.Tensor = other.flatten(1).norm(dim=1).reshape(-1, *[1] * (other.dim() - 1))
        made: torch.Tensor = other * (one.reshape(length.shape) / length)
        return made


def combination(text: str) -> Combination:
    """Read `weight_orig * weight_mask`, `weight_g * weight_v / |weight_v|`, `running_mean - conv_bias` or `weight_orig / (weight_u weight_orig weight_v)`.

    Raises:
        RuleError: it is none of these.
    """
    found = _COMBINATION.match(text)
    second = found and (found[2] or found[4] or found[5])
    if not found or not second or found[1] in (second, found[6]) or second == found[6]:
        raise RuleError(
            f"{visible(text, 80)!r} combines nothing: write the ends of two keys, as in 'weight_orig * weight_mask', 'weight_g * weight_v / |weight_v|' or 'running_mean - conv_bias', or of three, as in 'weight_orig / (weight_u weight_orig weight_v)'."
        )
    return Combination(found[1], second, found[3] is not None, found[4] is not None, found[6] or "")


def filling(text: str, eps: float = 1e-5) -> float:
    """The number that a fill rule puts in: a number as text, or `1 - eps` of BatchNorm.

    Raises:
        RuleError: it is neither.
    """
    if text.replace(" ", "") == "1-eps":
        return 1.0 - eps
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value != value or abs(value) == float("inf"):
        raise RuleError(f"{visible(text, 40)!r} is no number to fill in: write a number, or 1 - eps.")
    return value
