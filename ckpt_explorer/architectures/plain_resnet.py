"""PlainResNet: the network that a ResNetSpec describes, with torchvision's key names."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ckpt_explorer.architectures.spec import ResNetSpec, Zeros


class ZeroPaddedShortcut(nn.Module):
    """Option A of He et al. 2015: every `stride`-th pixel, and zeros for the channels that are new.

    The zeros stand on both sides, half before and half behind, as in the CIFAR ResNets that most people train; or all
    of them behind the channels, as in others.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, zeros: Zeros) -> None:
        super().__init__()
        self.stride = stride
        new = out_channels - in_channels
        before = new // 2 if zeros == "around" else 0
        self.padding = (before, new - before)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, *self.padding))


class Block(nn.Module):
    """A basic block or a bottleneck; `downsample` is its shortcut where it is not the identity."""

    def __init__(
        self, spec: ResNetSpec, stage: int, in_channels: int, stride: int, dilation: int, project: bool
    ) -> None:
        super().__init__()
        inner, out = spec.inner_width(stage), spec.out_width(stage)

        def norm(channels: int) -> nn.BatchNorm2d:
            return nn.BatchNorm2d(channels, eps=spec.eps)

        def conv3(channels_in: int, channels_out: int, step: int, spread: int) -> nn.Conv2d:
            return nn.Conv2d(
                channels_in, channels_out, 3, step, spread, dilation=spread, groups=spec.groups, bias=False
            )

        self.bottleneck = spec.block == "bottleneck"
        if self.bottleneck:
            first, second = (stride, 1) if spec.stride_in_1x1 else (1, stride)
            self.conv1, self.bn1 = nn.Conv2d(in_channels, inner, 1, first, bias=False), norm(inner)
            self.conv2, self.bn2 = conv3(inner, inner, second, dilation), norm(inner)
            self.conv3, self.bn3 = nn.Conv2d(inner, out, 1, bias=False), norm(out)
        else:
            self.conv1, self.bn1 = conv3(in_channels, inner, stride, dilation), norm(inner)
            self.conv2, self.bn2 = conv3(inner, out, 1, dilation), norm(out)
        changes = stride != 1 or in_channels != out
        if project or (changes and spec.shortcut == "B"):
            self.downsample: nn.Module = nn.Sequential(nn.Conv2d(in_channels, out, 1, stride, bias=False), norm(out))
        elif changes:
            self.downsample = ZeroPaddedShortcut(in_channels, out, stride, spec.zeros)
        else:
            self.downsample = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out_width, H / stride, W / stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.bottleneck:
            y = self.bn3(self.conv3(functional.relu(y)))
        return functional.relu(y + self.downsample(x))


class PlainResNet(nn.Module):
    """Stem, stages `layer1` ... `layerN` of residual blocks, global average, `fc`."""

    def __init__(self, spec: ResNetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.conv1 = nn.Conv2d(
            spec.in_channels, spec.width, spec.stem_kernel, spec.stem_stride, (spec.stem_kernel - 1) // 2, bias=False
        )
        self.bn1 = nn.BatchNorm2d(spec.width, eps=spec.eps)
        self.maxpool = nn.MaxPool2d(3, 2, 1, ceil_mode=spec.ceil_mode) if spec.max_pool else nn.Identity()
        channels, dilation = spec.width, 1
        for stage, count in enumerate(spec.blocks):
            stride = 1 if stage == 0 else 2
            first_dilation = dilation
            if spec.dilate and spec.dilate[stage]:
                dilation, stride = dilation * stride, 1
            layer = nn.Sequential()
            for block in range(count):
                layer.append(
                    Block(
                        spec,
                        stage,
                        channels,
                        stride if block == 0 else 1,
                        first_dilation if block == 0 else dilation,
                        project=spec.shortcut == "C"
                        or (spec.shortcut == "B" and block == 0 and (stride != 1 or channels != spec.out_width(stage))),
                    )
                )
                channels = spec.out_width(stage)
            self.add_module(f"layer{stage + 1}", layer)
        self.fc = nn.Linear(channels, spec.num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to logits (N, num_classes)."""
        x = self.maxpool(functional.relu(self.bn1(self.conv1(x))))
        for stage in range(len(self.spec.blocks)):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        logits: Tensor = self.fc(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))
        return logits
