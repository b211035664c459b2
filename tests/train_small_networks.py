"""Train small residual networks of several kinds on scikit-learn's handwritten digits, for the tests of the wiring.

    python -m tests.train_small_networks FOLDER [NAME ...]     train, and write FOLDER/NAME.pt (a minute each, two cores)

One machine and one version of PyTorch give the same weights every time. To keep the files small, the weights of convs
are written as 8-bit integers with a scale for each output channel, all else in half precision.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ckpt_explorer.architectures.plain_resnet import PlainResNet
from ckpt_explorer.architectures.spec import ResNetSpec
from tests.train_example import all_digits, shifted_and_rotated

SEED = 5
BATCH = 64
PEAK_RATE = 0.1
WEIGHT_DECAY = 5e-4

_THREE = ResNetSpec(width=16, stem_kernel=3, stem_stride=1, max_pool=False, in_channels=1, num_classes=10)
_SEVEN = ResNetSpec(width=16, in_channels=1, num_classes=10)

NETWORKS: dict[str, tuple[ResNetSpec, int]] = {
    "basic_b": (replace(_THREE, blocks=(2, 2, 2)), 24),
    "bottleneck_7x7": (replace(_SEVEN, block="bottleneck", blocks=(2, 3, 2), expansion=4), 30),
    "resnext": (
        replace(_SEVEN, block="bottleneck", blocks=(2, 3, 2), groups=4, width_per_group=32, expansion=4),
        30,
    ),
    "kuangliu": (replace(_THREE, blocks=(2, 2, 2, 2)), 24),
    "wide": (replace(_SEVEN, block="bottleneck", blocks=(2, 2, 2), width_per_group=128, expansion=2), 24),
    "deep_a": (replace(_THREE, blocks=(5, 5, 5), shortcut="A"), 24),
    "projected": (replace(_SEVEN, blocks=(3, 3, 2), shortcut="C", max_pool=False), 24),
}
"""Each with the epochs that it is trained for."""


def train(spec: ResNetSpec, epochs: int) -> PlainResNet:
    """A network trained from scratch on all the digits, in eval mode; the last fifth without shifts and rotations."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    digits = all_digits()
    model = PlainResNet(spec).to(memory_format=torch.channels_last)
    inputs, answers = digits.inputs(), torch.from_numpy(digits.answers)
    steps = len(answers) // BATCH
    optimizer = torch.optim.SGD(model.parameters(), PEAK_RATE, momentum=0.9, weight_decay=WEIGHT_DECAY, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=epochs * steps, pct_start=0.1)
    for epoch in range(epochs):
        order = torch.randperm(len(answers), generator=generator)[: steps * BATCH]
        for batch in order.view(steps, BATCH):
            x = inputs[batch] if epoch >= epochs * 0.8 else shifted_and_rotated(inputs[batch], generator)
            logits = model(x.contiguous(memory_format=torch.channels_last))
            loss = functional.cross_entropy(logits, answers[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.inference_mode():
        right = (model(inputs).argmax(1) == answers).float().mean()
    print(f"  loss {loss.item():.4f}, {right:.1%} of what it was trained on", flush=True)
    return model.to(memory_format=torch.contiguous_format)


def packed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as they are written."""
    made: dict[str, Tensor] = {}
    for key, value in tensors.items():
        if value.dim() == 4:
            scale = (value.float().abs().amax((1, 2, 3)) / 127).clamp_min(1e-8).half()
            made[key] = (value.float() / scale.float()[:, None, None, None]).round().clamp(-127, 127).to(torch.int8)
            made[f"{key}.scale"] = scale
        elif value.is_floating_point():
            made[key] = value.half()
    return made


def unpacked(file: Path) -> dict[str, Tensor]:
    """The tensors of a file that `packed` made, in float32."""
    read: dict[str, Tensor] = torch.load(file, weights_only=True)
    scales = {
        key: read.pop(f"{key}.scale").float()[:, None, None, None] for key in list(read) if f"{key}.scale" in read
    }
    return {key: value.float() * scales.get(key, 1.0) for key, value in read.items()}


def main() -> None:
    """Train the named networks, or all."""
    parser = argparse.ArgumentParser(description="Train small networks for the tests of the wiring.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=list(NETWORKS))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.names:
        spec, epochs = NETWORKS[name]
        started = time.monotonic()
        model = train(spec, epochs)
        file = arguments.folder / f"{name}.pt"
        torch.save(packed(model.state_dict()), file)
        print(f"{name}: {file.stat().st_size:,} bytes, {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
