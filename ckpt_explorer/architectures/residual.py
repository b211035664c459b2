"""torchvision's ResNets, the CIFAR ones and custom ones, from their ResNetSpec to an Architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from ckpt_explorer.architectures.architecture import Architecture, ModelTensor, tree_of
from ckpt_explorer.architectures.meta import on_meta
from ckpt_explorer.architectures.spec import (
    NAMED_SPECS,
    TORCHVISION_NAMES,
    ResNetSpec,
    options_of,
    spec_as_json_options,
    spec_from_options,
    torchvision_name,
)
from ckpt_explorer.errors import ArchitectureError
from ckpt_explorer.text import visible

if TYPE_CHECKING:
    from torch import nn

NAMES = (*NAMED_SPECS, "custom")


def architecture(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Architecture:
    """The network `name`: one of torchvision's ten, `<name>_cifar`, `resnet20_cifar_a` and its like, or `custom`.

    `options` are fields of a ResNetSpec, as values or as text; a named network takes those that leave its keys as
    they are (`stride_in_1x1`, `eps`, `ceil_mode`, `dilate`, `zeros`), `custom` takes all. The key tree comes from the meta
    device: nothing is allocated.

    Raises:
        ArchitectureError: no network has this name, or an option can't be used.
    """
    given = {
        key: value for key, value in (("num_classes", num_classes), ("in_channels", in_channels)) if value is not None
    }
    given.update(options or {})
    if name == "custom":
        spec = spec_from_options(ResNetSpec(), given)
        return _architecture(name, spec, spec_as_json_options(spec))
    if name not in NAMED_SPECS:
        raise ArchitectureError(
            f"There is no network {visible(name)!r}: choose from {', '.join(NAMES)}, or give your own class."
        )
    base = NAMED_SPECS[name]
    allowed = {"num_classes", "in_channels", "stride_in_1x1", "eps", "ceil_mode", "dilate", "zeros"}
    if wrong := [key for key in given if key not in allowed]:
        raise ArchitectureError(f"{name} has its own {', '.join(map(visible, wrong))}: choose custom to set it.")
    spec = spec_from_options(base, given)
    sized = replace(base, num_classes=spec.num_classes, in_channels=spec.in_channels)
    return _architecture(name, spec, options_of(spec, sized))


def _architecture(name: str, spec: ResNetSpec, options: dict[str, Any]) -> Architecture:
    build = partial(build_residual, name, spec)
    tree = dict(_tree(name, spec))
    return Architecture(
        name,
        "custom" if name == "custom" else "named",
        tree,
        build,
        spec.num_classes,
        spec.in_channels,
        spec.input_size,
        options,
    )


@lru_cache(maxsize=64)
def _tree(name: str, spec: ResNetSpec) -> Mapping[str, ModelTensor]:
    with on_meta():
        return tree_of(build_residual(name, spec))


def build_residual(name: str, spec: ResNetSpec) -> nn.Module:
    """The module, with random weights, on torch's default device: torchvision's own class where the name is theirs.

    Raises:
        ArchitectureError: torchvision's class can't be built with these options.
    """
    if torchvision_name(name) in TORCHVISION_NAMES:
        return _torchvision(name, spec)
    from ckpt_explorer.architectures.plain_resnet import PlainResNet

    return PlainResNet(spec)


def _torchvision(name: str, spec: ResNetSpec) -> nn.Module:
    from torch import nn
    from torchvision import models
    from torchvision.models.resnet import Bottleneck

    if any(spec.dilate) and spec.block == "basic":
        raise ArchitectureError("torchvision's basic blocks can't be dilated: choose custom, which can.")
    if spec.dilate and spec.dilate[0]:
        raise ArchitectureError("The first stage has no stride that dilation could replace.")
    dilate = list(spec.dilate[1:]) or None
    model: nn.Module = getattr(models, torchvision_name(name))(
        num_classes=spec.num_classes,
        replace_stride_with_dilation=dilate,
        norm_layer=partial(nn.BatchNorm2d, eps=spec.eps),
    )
    small_stem = not spec.max_pool
    if small_stem:
        model.conv1 = nn.Conv2d(spec.in_channels, 64, 3, 1, 1, bias=False)
        model.maxpool = nn.Identity()
    elif spec.in_channels != 3:
        model.conv1 = nn.Conv2d(spec.in_channels, 64, 7, 2, 3, bias=False)
    if spec.in_channels != 3 or small_stem:
        nn.init.kaiming_normal_(model.get_parameter("conv1.weight"), mode="fan_out", nonlinearity="relu")
    if spec.ceil_mode and isinstance(model.maxpool, nn.MaxPool2d):
        model.maxpool.ceil_mode = True
    if spec.stride_in_1x1:
        for block in model.modules():
            if isinstance(block, Bottleneck):
                block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    return model
