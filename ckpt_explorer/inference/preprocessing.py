"""Preprocessing: how a picture becomes a network's input, as a row of numbers, and the rows that have a name."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ckpt_explorer.errors import PreprocessingError
from ckpt_explorer.text import plural, visible

MAX_SIZE = 4096
INTERPOLATIONS = ("bilinear", "bicubic", "lanczos", "nearest")
SMALL_PICTURE = 64
"""Networks for pictures of up to this side (CIFAR, digits) get the whole picture; larger ones a centre cut."""

_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in gray: ITU-R BT.601, the ones of Pillow's `convert("L")`."""


@dataclass(frozen=True)
class Preprocessing:
    """The shorter side is scaled to `resize` px, the centre `size` x `size` px is cut, then numbers are made.

    Values 0..255 are multiplied by `scale`, put in the order blue, green, red where `bgr` is set, and channel by
    channel become `(x - mean) / std`. `mean` and `std` are in the order that the network sees, one number a channel.
    """

    name: str
    size: int
    resize: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 1 / 255
    bgr: bool = False
    interpolation: str = "bilinear"

    def has_cut_of(self, other: Preprocessing) -> bool:
        """Whether both scale to one size and cut the same square out of it."""
        return (self.size, self.resize) == (other.size, other.resize)

    def with_cut_of(self, other: Preprocessing) -> Preprocessing:
        """The same numbers for pictures that are scaled and cut as `other` does it."""
        return replace(self, size=other.size, resize=other.resize, interpolation=other.interpolation)

    def as_json(self) -> dict[str, Any]:
        """All fields as JSON values, under their own names."""
        return {
            "name": self.name,
            "size": self.size,
            "resize": self.resize,
            "mean": list(self.mean),
            "std": list(self.std),
            "scale": self.scale,
            "bgr": self.bgr,
            "interpolation": self.interpolation,
        }

    def __str__(self) -> str:
        cut = f"centre {self.size} × {self.size} px" if self.resize != self.size else "centre square"
        order = "" if len(self.mean) == 1 else ", BGR" if self.bgr else ", RGB"
        return (
            f"{self.name}: shorter side to {self.resize} px ({self.interpolation}), {cut}, "
            f"values 0..{255 * self.scale:g}{order}, mean {_numbers(self.mean)}, std {_numbers(self.std)}"
        )


@dataclass(frozen=True)
class Preset:
    """A preprocessing that has a name: what a person reads in the menu, and where its numbers are from."""

    label: str
    source: str
    values: Preprocessing


_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

PRESETS: dict[str, Preset] = {
    row.values.name: row
    for row in (
        Preset(
            "ImageNet (torchvision, timm)",
            "torchvision ResNet50_Weights.IMAGENET1K_V1.transforms()",
            Preprocessing("imagenet", 224, 256, _IMAGENET_MEAN, _IMAGENET_STD),
        ),
        Preset(
            "ImageNet, torchvision's second weights",
            "torchvision ResNet50_Weights.IMAGENET1K_V2.transforms(): resize 232",
            Preprocessing("imagenet_v2", 224, 232, _IMAGENET_MEAN, _IMAGENET_STD),
        ),
        Preset(
            "CIFAR-10",
            "mean and standard deviation of its 50,000 training pictures, as in kuangliu/pytorch-cifar's mean; "
            "the deviations are over all pixels (0.2023, 0.1994, 0.2010 there are means of each picture's own)",
            Preprocessing("cifar10", 32, 32, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        ),
        Preset(
            "CIFAR-100",
            "mean and standard deviation of its 50,000 training pictures, as in weiaicunzai/pytorch-cifar100",
            Preprocessing("cifar100", 32, 32, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
        ),
        Preset(
            "CIFAR-10, deviations of single pictures",
            "kuangliu/pytorch-cifar: the same mean, and 0.2023, 0.1994, 0.2010, the mean of each picture's own deviation",
            Preprocessing("cifar10_2023", 32, 32, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
        ),
        Preset(
            "Inception style: -1..1",
            "tf.keras.applications imagenet_utils.preprocess_input, mode 'tf'; timm IMAGENET_INCEPTION_MEAN and _STD",
            Preprocessing("inception", 224, 256, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ),
        Preset(
            "Caffe: BGR, 0..255 less the mean",
            "tf.keras.applications imagenet_utils.preprocess_input, mode 'caffe'",
            Preprocessing("caffe", 224, 256, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0), scale=1.0, bgr=True),
        ),
        Preset(
            "None: only 0..1",
            "torchvision transforms.ToTensor() alone",
            Preprocessing("none", 224, 256, (0.0,), (1.0,)),
        ),
        Preset(
            "None: the bytes 0..255",
            "torchvision transforms.PILToTensor() alone, or OpenCV's picture as it is",
            Preprocessing("bytes", 224, 256, (0.0,), (1.0,), scale=1.0),
        ),
        Preset(
            "MNIST",
            "mean and standard deviation of its 60,000 training pictures, as in pytorch/examples, mnist/main.py",
            Preprocessing("mnist", 32, 32, (0.1307,), (0.3081,)),
        ),
        Preset(
            "Digits (the built-in example)",
            "ckpt_explorer/examples/facts.json: gray, mean 0.5 and standard deviation 0.5",
            Preprocessing("digits", 32, 32, (0.5,), (0.5,)),
        ),
    )
}


def preprocessing(
    name: str = "imagenet",
    *,
    size: int | None = None,
    resize: int | None = None,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    scale: float | None = None,
    bgr: bool | None = None,
    interpolation: str | None = None,
    channels: int = 3,
) -> Preprocessing:
    """The preset `name` for a network of `channels` input channels, with the given values laid over it.

    It is called `custom` where a value then differs from the preset. Without `resize`, another `size` brings its own:
    the same for up to 64 px, else `size / 0.875`, the 256 for 224 of ImageNet. One mean or deviation serves all
    channels. Three serve one channel as their luma-weighted average: gray is that weighted sum of red, green and
    blue, so its mean is exactly the weighted mean, and its deviation the weighted deviation as far as the colours
    rise and fall together, which in photographs they nearly do. Given `mean` and `std` are in the order that the
    network sees; the preset's own are turned round with `bgr`.

    Raises:
        PreprocessingError: no such preset, or a value that can't be used; the text says which and what can.
    """
    if name not in PRESETS:
        raise PreprocessingError(f"No preprocessing is called {visible(str(name), 40)!r}: choose {', '.join(PRESETS)}.")
    if channels < 1:
        raise PreprocessingError(f"A network can't have {channels} input channels: give 1 for gray or 3 for colour.")
    preset = PRESETS[name].values
    swap = preset.bgr if bgr is None else bool(bgr)
    turned = slice(None, None, 1 if swap == preset.bgr else -1)
    chosen_size = preset.size if size is None else _side("size", size, MAX_SIZE)
    own_resize = preset.resize if chosen_size == preset.size else _usual_resize(chosen_size)
    custom = Preprocessing(
        name,
        chosen_size,
        own_resize if resize is None else _side("resize", resize, 2 * MAX_SIZE),
        _for_channels("mean", preset.mean[turned] if mean is None else _values("mean", mean), channels, swap),
        _for_channels("std", preset.std[turned] if std is None else _values("std", std), channels, swap),
        preset.scale if scale is None else _values("scale", scale)[0],
        swap and channels == 3,
        preset.interpolation if interpolation is None else str(interpolation).strip().lower(),
    )
    _check(custom)
    plain = replace(
        preset,
        mean=_for_channels("mean", preset.mean, channels, preset.bgr),
        std=_for_channels("std", preset.std, channels, preset.bgr),
        bgr=preset.bgr and channels == 3,
    )
    return plain if custom == plain else replace(custom, name="custom")


def size_kept(name: str, size: int) -> int | None:
    """The size at which a preset is used that was named and no more, in a network that takes `size`: that one, where
    the preset is for large pictures and the network for small ones; None for the preset's own, also of no such name."""
    return size if name in PRESETS and PRESETS[name].values.size > SMALL_PICTURE >= size else None


def default_preprocessing(input_size: int, channels: int) -> Preprocessing:
    """What to try first for a network whose usual input is `input_size` px square, when nobody says how it was trained.

    Up to 64 px: CIFAR-10's numbers for colour, those of the built-in digits (-1..1) for gray, since gray networks of
    that size come from MNIST and its kin and not from gray CIFAR pictures. Above: ImageNet's. It is a convention, not
    knowledge: the BatchNorm self-check can rank it against the others.
    """
    small = "digits" if channels == 1 else "cifar10"
    return preprocessing(small if input_size <= SMALL_PICTURE else "imagenet", size=input_size, channels=channels)


def values_from_text(text: str) -> tuple[float, ...]:
    """The numbers in `0.485,0.456,0.406`, separated by commas, semicolons or blanks, with or without brackets.

    Raises:
        PreprocessingError: no number, more than 64, or something that is none.
    """
    parts = [part for part in re.split(r"[\s,;]+", text[:2000].strip().strip("[]()")) if part]
    if not parts or len(parts) > 64 or len(text) > 2000:
        raise PreprocessingError(f"{visible(text, 40)!r} is no list of numbers: write them as 0.485,0.456,0.406.")
    return tuple(_number(part) for part in parts)


def _number(part: str) -> float:
    try:
        number = float(part)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise PreprocessingError(f"{visible(part, 40)!r} is not a number: write them as 0.485,0.456,0.406.")
    return number


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _usual_resize(size: int) -> int:
    return size if size <= SMALL_PICTURE else round(size / 0.875)


def _side(what: str, value: int, limit: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= limit:
        raise PreprocessingError(f"The {what} is {visible(str(value), 40)}, and must be 1 to {limit:,} whole pixels.")
    return value


def _values(what: str, given: Sequence[float] | float) -> tuple[float, ...]:
    try:
        values = tuple(float(value) for value in given) if isinstance(given, Sequence) else (float(given),)
    except (TypeError, ValueError, OverflowError):
        values = ()
    if not values or not all(math.isfinite(value) for value in values):
        raise PreprocessingError(f"The {what} is {visible(str(given), 40)}, and must be a finite number a channel.")
    return values


def _for_channels(what: str, values: tuple[float, ...], channels: int, bgr: bool) -> tuple[float, ...]:
    if len(values) == channels:
        return values
    if len(values) == 1:
        return values * channels
    if channels == 1 and len(values) == 3:
        weights = _LUMA[::-1] if bgr else _LUMA
        return (round(sum(weight * value for weight, value in zip(weights, values, strict=True)), 6),)
    raise PreprocessingError(
        f"The {what} has {plural(len(values), 'number')}, and the network {plural(channels, 'input channel')}: "
        f"give one number, or one for each channel."
    )


def _check(row: Preprocessing) -> None:
    if row.resize < row.size:
        raise PreprocessingError(
            f"The picture is scaled to {row.resize} px and can't have {row.size} px cut from it: "
            f"make resize {row.size} or more."
        )
    if min(row.std) <= 0:
        raise PreprocessingError(f"The std is {_numbers(row.std)}, and every number of it must be above 0.")
    if row.scale <= 0:
        raise PreprocessingError(f"The scale is {row.scale:g}, and must be above 0: 1/255 for values 0..1, or 1.")
    if row.interpolation not in INTERPOLATIONS:
        raise PreprocessingError(
            f"No interpolation is called {visible(row.interpolation, 40)!r}: choose {', '.join(INTERPOLATIONS)}."
        )
