"""Options that keys do not show, asked of pictures: where a bottleneck strides, and how large BatchNorm's eps is.

A few pictures run through the network as it is built and as it could be built with the same weights. What arrives at the
layers in which the two differ is held against what training left there: Student's t over the layers says which of
them the pictures speak for, or that they can't tell. (v1 strides in the 1x1 conv, as He et al. 2015 and Caffe's models
do; v1.5 in the 3x3 conv, as torchvision does. TensorFlow's eps is 1e-3, PyTorch's 1e-5.)
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_explorer.evidence.batchnorm import Arrivals
from ckpt_explorer.evidence.readings import Readings
from ckpt_explorer.evidence.witnesses import students_t, times_nearer
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.text import plural

if TYPE_CHECKING:
    from torch import nn

PICTURES = 16
SURE, NEARER = 4.0, 1.1
"""Student's t from which the pictures are taken to speak for one of the two, and how many times as near it must be: a
small change can be small everywhere, and then all layers agree on next to nothing."""
MUCH_NEARER = 1.25
ALIKE = 1e-9
"""The logarithm of a ratio up to which a layer gets the same from both."""
LARGE_EPS, SMALL_EPS = 1e-3, 1e-5
MATTERS = 0.02
"""A share by which the scale of some layer must change on average before eps is asked about."""


@dataclass(frozen=True)
class OptionReading:
    """One option: as it is built, what else it could be, and what the pictures say.

    `t` is Student's t over `layers` layers, positive where they speak for what is built, and `ratio` how many times
    farther off the other is, in the (geometric) mean over them.
    """

    option: str
    built: str
    other: str
    t: float
    ratio: float
    layers: int
    pictures: int

    @property
    def speaks(self) -> str:
        """`built`, `other`, or nothing where the pictures do not tell."""
        if abs(self.t) < SURE or 1 / NEARER < self.ratio < NEARER:
            return ""
        return "built" if self.t > 0 else "other"

    @property
    def is_doubt(self) -> bool:
        """Whether the pictures speak so clearly against what is built that its answers are doubted."""
        return self.speaks == "other" and self.ratio * MUCH_NEARER < 1

    @property
    def says(self) -> str:
        """The finding in a sentence."""
        if not self.speaks:
            return f"{plural(self.pictures, 'picture')} can't tell whether the network was trained with {self.built} or with {self.other}."
        if self.speaks == "built":
            return f"The pictures speak for {self.built}, as the network is built, and against {self.other}."
        return f"The pictures speak for {self.other}; the network is built with {self.built}."

    def as_json(self) -> dict[str, Any]:
        """As `verify --json` gives it."""
        return {
            "option": self.option,
            "built": self.built,
            "other": self.other,
            "speaks": self.speaks,
            "t": self.t,
            "ratio": self.ratio,
        }


def read_options(readings: Readings, steps: Preprocessing) -> tuple[OptionReading, ...]:
    """What the pictures say of the options that a network of bottlenecks could have been trained with.

    Other networks have none that change enough to be worth a forward: nothing is read for them.

    Raises:
        InferenceError: no picture can be read, or the network failed.
    """
    module = readings.module
    blocks = _bottlenecks(module)
    asked: list[tuple[str, str, str, AbstractContextManager[None]]] = []
    if any(_stride(block) > 1 for block in blocks):
        in_1x1, in_3x3 = "the stride in the 1x1 conv (v1)", "the stride in the 3x3 conv (v1.5)"
        built, other = (in_1x1, in_3x3) if _strides_first(blocks) else (in_3x3, in_1x1)
        wanted = "stride_in_1x1=no" if _strides_first(blocks) else "stride_in_1x1=yes"
        asked.append((wanted, built, other, _strides_exchanged(blocks)))
    norms = _norms(module)
    sizes = {norm.eps for norm in norms}
    if blocks and len(sizes) == 1 and sizes <= {LARGE_EPS, SMALL_EPS} and _eps_matters(norms):
        size = sizes.pop()
        another = LARGE_EPS if size == SMALL_EPS else SMALL_EPS
        asked.append((f"eps={another:g}", f"eps {size:g}", f"eps {another:g}", _eps_of(norms, another)))
    if not asked:
        return ()
    as_built = readings.of_a_few(steps, PICTURES)
    count = min(PICTURES, len(readings.pictures.pixels))
    found = []
    for option, built, other, changed in asked:
        with changed:
            as_other = readings.of_a_few(steps, PICTURES)
        found.append(OptionReading(option, built, other, *_speaks_for(as_built, as_other), count))
    return tuple(found)


def _speaks_for(first: tuple[Arrivals, ...], second: tuple[Arrivals, ...]) -> tuple[float, float, int]:
    """Student's t of how much nearer the first is than the second, over the layers in which they differ; how many times
    as near it is in the mean; and how many layers these are."""
    for one, two in zip(first, second, strict=True):
        two.eps = one.eps  # one measure for both
    apart = [times for times in times_nearer(first, second) if abs(times) > ALIKE]
    t = students_t(apart)
    if t is None:
        return 0.0, 1.0, len(apart)
    return t, math.exp(statistics.fmean(apart)), len(apart)


def _bottlenecks(module: nn.Module) -> list[list[nn.Conv2d]]:
    """The convs of each bottleneck, 1x1, 3x3 and 1x1 in their order, whatever they are called."""
    from torch import nn

    found = []
    for part in module.modules():
        convs = [child for child in part.children() if isinstance(child, nn.Conv2d)]
        if [conv.kernel_size for conv in convs[:3]] == [(1, 1), (3, 3), (1, 1)]:
            found.append(convs)
    return found


def _stride(block: list[nn.Conv2d]) -> int:
    return int(max(*block[0].stride, *block[1].stride))


def _strides_first(blocks: list[list[nn.Conv2d]]) -> bool:
    return any(block[0].stride != (1, 1) for block in blocks)


@contextmanager
def _strides_exchanged(blocks: list[list[nn.Conv2d]]) -> Iterator[None]:
    def exchange() -> None:
        for one, two, *_ in blocks:
            one.stride, two.stride = two.stride, one.stride

    exchange()
    try:
        yield
    finally:
        exchange()


def _norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    from torch import nn

    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d) and part.running_var is not None]


def _eps_matters(norms: list[nn.BatchNorm2d]) -> bool:
    """Whether the two sizes scale some layer in another way: only where variances are small."""
    for norm in norms:
        assert norm.running_var is not None
        kept = norm.running_var.detach().double().clamp_min(0)
        if float((((kept + LARGE_EPS) / (kept + SMALL_EPS)).sqrt() - 1).mean()) > MATTERS:
            return True
    return False


@contextmanager
def _eps_of(norms: list[nn.BatchNorm2d], size: float) -> Iterator[None]:
    before = [norm.eps for norm in norms]
    for norm in norms:
        norm.eps = size
    try:
        yield
    finally:
        for norm, old in zip(norms, before, strict=True):
            norm.eps = old
