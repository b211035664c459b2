"""ResNetSpec: a plain residual network as a row of numbers, and the table of those that have a name.

Nothing here needs torch, so that a file can be identified before torch is imported.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from ckpt_explorer.errors import ArchitectureError

Block = Literal["basic", "bottleneck"]
Shortcut = Literal["A", "B", "C"]
Zeros = Literal["around", "behind"]

_PAPER_SHORTCUTS: tuple[Shortcut, ...] = ("A", "B")

MAX_BLOCKS = 2000
MAX_CHANNELS = 65536
MAX_CLASSES = 1_000_000


@dataclass(frozen=True)
class ResNetSpec:
    """A post-activation ResNet with BatchNorm: all that its keys, shapes and function depend on.

    `blocks` counts the blocks of each stage; stage `i` has `width * 2**i` planes. A bottleneck's inner convs have
    `planes * width_per_group / 64 * groups` channels (torchvision's definition, `torchvision/models/resnet.py`) and
    every block puts out `planes * expansion`. `shortcut` is He et al. 2015's option: A pads with zeros (no
    parameters), B projects where the shape changes, C projects in every block. `zeros` says where A's stand: half of
    them on either side of the channels, or all behind. `dilate` names stages whose stride is replaced by dilation. The
    last six change the function and not the keys.
    """

    block: Block = "basic"
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    groups: int = 1
    width_per_group: int = 64
    expansion: int = 1
    stem_kernel: int = 7
    shortcut: Shortcut = "B"
    in_channels: int = 3
    num_classes: int = 1000
    stem_stride: int = 2
    max_pool: bool = True
    stride_in_1x1: bool = False
    eps: float = 1e-5
    ceil_mode: bool = False
    dilate: tuple[bool, ...] = ()
    zeros: Zeros = "around"

    @property
    def input_size(self) -> int:
        """The usual side of its square input in pixels: 32 without a down-sampling stem, else 224."""
        return 32 if self.stem_stride == 1 and not self.max_pool else 224

    def planes(self, stage: int) -> int:
        """Channels of stage `stage` (from 0) before expansion."""
        return int(self.width * 2**stage)

    def inner_width(self, stage: int) -> int:
        """Channels inside the blocks of a stage, between the first conv and the last."""
        return int(self.planes(stage) * self.width_per_group / 64) * self.groups

    def out_width(self, stage: int) -> int:
        """Channels that leave the blocks of a stage."""
        return self.planes(stage) * self.expansion


FUNCTION_OPTIONS = ("stem_stride", "max_pool", "stride_in_1x1", "eps", "ceil_mode", "dilate", "zeros")
"""Fields that keys and shapes do not show."""


def _with_cifar_stem(spec: ResNetSpec) -> ResNetSpec:
    return replace(spec, stem_kernel=3, stem_stride=1, max_pool=False)


def _named_specs() -> dict[str, ResNetSpec]:
    """torchvision's ten, each with its CIFAR stem, and the twelve of He et al. 2015, section 4.2."""
    basic = ResNetSpec("basic")
    neck = ResNetSpec("bottleneck", expansion=4)
    ten = {
        "resnet18": replace(basic, blocks=(2, 2, 2, 2)),
        "resnet34": replace(basic, blocks=(3, 4, 6, 3)),
        "resnet50": replace(neck, blocks=(3, 4, 6, 3)),
        "resnet101": replace(neck, blocks=(3, 4, 23, 3)),
        "resnet152": replace(neck, blocks=(3, 8, 36, 3)),
        "resnext50_32x4d": replace(neck, blocks=(3, 4, 6, 3), groups=32, width_per_group=4),
        "resnext101_32x8d": replace(neck, blocks=(3, 4, 23, 3), groups=32, width_per_group=8),
        "resnext101_64x4d": replace(neck, blocks=(3, 4, 23, 3), groups=64, width_per_group=4),
        "wide_resnet50_2": replace(neck, blocks=(3, 4, 6, 3), width_per_group=128),
        "wide_resnet101_2": replace(neck, blocks=(3, 4, 23, 3), width_per_group=128),
    }
    cifar_stem = {f"{name}_cifar": replace(_with_cifar_stem(spec), num_classes=10) for name, spec in ten.items()}
    six_n = {
        f"resnet{depth}_cifar_{option.lower()}": replace(
            _with_cifar_stem(basic), blocks=((depth - 2) // 6,) * 3, width=16, shortcut=option, num_classes=10
        )
        for option in _PAPER_SHORTCUTS
        for depth in (20, 32, 44, 56, 110, 1202)
    }
    return {**ten, **cifar_stem, **six_n}


NAMED_SPECS: dict[str, ResNetSpec] = _named_specs()
TORCHVISION_NAMES = tuple(name for name in NAMED_SPECS if "_cifar" not in name)


@dataclass(frozen=True)
class SpecField:
    """One row of the form for a custom network: what it is called, what it may be, and what it means."""

    name: str
    label: str
    help: str
    choices: tuple[str, ...] = ()
    low: int = 0
    high: int = 0


CUSTOM_FIELDS: tuple[SpecField, ...] = (
    SpecField("block", "Block", "basic: two 3x3 convs; bottleneck: 1x1, 3x3, 1x1", choices=get_args(Block)),
    SpecField(
        "blocks", "Blocks a stage", "one number for each stage, such as 3, 4, 6, 3: their count is the number of stages"
    ),
    SpecField(
        "width", "Base width", "channels of the first stage before expansion; each stage doubles them", low=1, high=4096
    ),
    SpecField("groups", "Groups", "groups of the 3x3 convs: 32 in ResNeXt", low=1, high=1024),
    SpecField(
        "width_per_group", "Width a group", "64 is the plain ResNet, 128 the wide one, 4 or 8 ResNeXt", low=1, high=4096
    ),
    SpecField(
        "expansion",
        "Expansion",
        "output channels of a block over its planes: 1 for basic, 4 for bottleneck",
        low=1,
        high=64,
    ),
    SpecField(
        "stem_kernel", "Stem kernel", "side of the first conv in pixels: 7 for ImageNet, 3 for CIFAR", low=1, high=31
    ),
    SpecField("stem_stride", "Stem stride", "stride of the first conv: 2 for ImageNet, 1 for CIFAR", low=1, high=8),
    SpecField("max_pool", "Max-pool in the stem", "a 3x3 max-pool of stride 2 behind the first conv"),
    SpecField(
        "shortcut",
        "Shortcut",
        "A pads with zeros, B projects where the shape changes, C always projects",
        choices=get_args(Shortcut),
    ),
    SpecField(
        "zeros",
        "Zeros of shortcut A",
        "around the channels, half on either side, as in most; or all of them behind the channels",
        choices=get_args(Zeros),
    ),
    SpecField(
        "stride_in_1x1",
        "Stride in the 1x1 conv",
        "as in Caffe's ResNets (v1); torchvision's have it in the 3x3 conv (v1.5)",
    ),
    SpecField(
        "dilate",
        "Dilated stages",
        "yes or no for each stage: its stride is replaced by dilation, as in segmentation networks",
    ),
    SpecField("ceil_mode", "Ceil-mode max-pool", "the max-pool rounds its output size up, as in Caffe"),
    SpecField("eps", "BatchNorm eps", "added to the variance: 1e-5 in PyTorch, 1e-3 in TensorFlow"),
    SpecField("in_channels", "Input channels", "3 for RGB, 1 for gray", low=1, high=4096),
    SpecField("num_classes", "Classes", "rows of the last linear layer", low=1, high=MAX_CLASSES),
)


def spec_from_options(base: ResNetSpec, options: dict[str, Any]) -> ResNetSpec:
    """`base` with `options` laid over it, each converted and checked.

    Values may be text, as a form or a command line gives them (`blocks="3,4,6,3"`, `max_pool="no"`).

    Raises:
        ArchitectureError: an option has no such name, or its value can't be used; the text says what can.
    """
    known = {field.name: field for field in CUSTOM_FIELDS}
    changes: dict[str, Any] = {}
    for name, value in options.items():
        if name not in known:
            raise ArchitectureError(f"A network has no option {name!r}: choose from {', '.join(known)}.")
        changes[name] = _converted(known[name], value)
    if changes.get("block", base.block) != base.block and "expansion" not in changes:
        changes["expansion"] = 4 if changes["block"] == "bottleneck" else 1
    spec = replace(base, **changes)
    _check(spec)
    return spec


def options_of(spec: ResNetSpec, base: ResNetSpec | None = None) -> dict[str, Any]:
    """The fields of `spec` as plain JSON values; with `base`, only those that differ from it."""
    options = asdict(spec)
    if base is not None:
        options = {
            field.name: options[field.name]
            for field in fields(spec)
            if getattr(spec, field.name) != getattr(base, field.name)
        }
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


_YES_NO = {"yes": True, "true": True, "1": True, "on": True, "no": False, "false": False, "0": False, "off": False}


def _yes_no(value: Any) -> bool:
    return value if isinstance(value, bool) else _YES_NO[str(value).strip().lower()]


def _items(value: Any) -> list[Any]:
    return [part for part in re.split(r"[\s,;x]+", value.strip()) if part] if isinstance(value, str) else list(value)


def _converted(field: SpecField, value: Any) -> Any:
    try:
        if field.choices:
            return {choice.lower(): choice for choice in field.choices}[str(value).strip().lower()]
        if field.name == "blocks":
            return tuple(_whole(item) for item in _items(value))
        if field.name == "dilate":
            return tuple(_yes_no(item) for item in _items(value))
        if field.name in ("max_pool", "stride_in_1x1", "ceil_mode"):
            return _yes_no(value)
        if field.name == "eps":
            return float(value)
        return _whole(value)
    except (KeyError, ValueError, TypeError, OverflowError):
        wanted = " or ".join(field.choices) or field.help
        raise ArchitectureError(f"{field.label} can't be {str(value)[:40]!r}: {wanted}.") from None


def _whole(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool) or (isinstance(value, float) and value != number):
        raise ValueError(value)
    return number


def _check(spec: ResNetSpec) -> None:
    for field in CUSTOM_FIELDS:
        value = getattr(spec, field.name)
        if field.high and not field.low <= value <= field.high:
            raise ArchitectureError(f"{field.label} is {value}, and must be from {field.low} to {field.high:,}.")
    if not 1 <= len(spec.blocks) <= 8 or not all(n >= 1 for n in spec.blocks) or sum(spec.blocks) > MAX_BLOCKS:
        raise ArchitectureError(f"Blocks a stage must be 1 to 8 numbers above 0, {MAX_BLOCKS:,} blocks in all at most.")
    last = len(spec.blocks) - 1
    if max(spec.out_width(last), spec.inner_width(last)) > MAX_CHANNELS:
        raise ArchitectureError(
            f"The last stage would have more than {MAX_CHANNELS:,} channels: choose a smaller base width or fewer stages."
        )
    if spec.dilate and len(spec.dilate) != len(spec.blocks):
        raise ArchitectureError(f"Dilated stages needs one yes or no for each of the {len(spec.blocks)} stages.")
    if not 0 < spec.eps < 1:
        raise ArchitectureError(f"BatchNorm eps is {spec.eps}, and must be above 0 and below 1.")
    if spec.zeros != "around" and spec.shortcut != "A":
        raise ArchitectureError("Only shortcut A pads with zeros: it has to be chosen for them to stand behind.")
    if spec.shortcut == "A" and spec.out_width(0) < spec.width:
        raise ArchitectureError("Shortcut A can only add channels, and the first stage has fewer than the stem.")
    for stage in range(len(spec.blocks)):
        channels = spec.inner_width(stage)
        if channels < 1 or channels % spec.groups:
            raise ArchitectureError(
                f"The {channels} inner channels of stage {stage + 1} can't be divided into {spec.groups} groups."
            )
    around = (spec.width, spec.out_width(0)) if spec.block == "basic" else ()
    for channels in around:
        if channels % spec.groups:
            raise ArchitectureError(
                f"The {channels} channels before or behind a basic block can't be divided into {spec.groups} groups."
            )


def spec_as_json_options(spec: ResNetSpec) -> dict[str, Any]:
    """All fields of a custom network but its classes and input channels, which are listed beside them, and `zeros` that it lacks."""
    left_out = {"num_classes", "in_channels", *(("zeros",) if spec.shortcut != "A" else ())}
    return {name: value for name, value in options_of(spec).items() if name not in left_out}


def torchvision_name(name: str) -> str:
    """`resnet50` of `resnet50` and of `resnet50_cifar`."""
    return name.removesuffix("_cifar")
