"""Train the example that ships with the app: a ResNet-20 on scikit-learn's handwritten digits.

    python -m tests.train_example               train, measure, write ckpt_explorer/examples/ (two minutes on two cores)
    python -m tests.train_example --validate    try the settings: train on 80 % of the training images, score the rest

The held-out images are drawn before anything else and never trained on. `--validate` doesn't touch them, and the
settings below were judged with it alone. One machine and one version of PyTorch give the same weights every time.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

from ckpt_explorer.architectures.plain_resnet import PlainResNet
from ckpt_explorer.architectures.spec import NAMED_SPECS

EXAMPLES = Path(__file__).parents[1] / "ckpt_explorer" / "examples"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

SEED = 20
HELD_OUT = 0.2
SIDE = 32
BATCH = 64
EPOCHS = 80
PLAIN_EPOCHS = 16
PEAK_RATE = 0.1
WEIGHT_DECAY = 5e-4
SHIFT_PIXELS = 3
ROTATION_DEGREES = 12

HOW = (
    "ResNet-20 (He et al. 2015, section 4.2, shortcut option B, one input channel), trained from scratch by "
    "`python -m tests.train_example` on {trained_on} of the 1,797 pictures, {epochs} epochs of SGD, with shifts and "
    "rotations but for the last {plain}; each 8x8 picture was enlarged to 32x32 (bicubic, 8-bit gray) and normalised "
    "with mean 0.5 and standard deviation 0.5; the {held_out} held-out pictures were drawn at random, by class, and "
    "used only to measure, but the same people wrote both parts."
)
SOURCE = (
    "scikit-learn's load_digits(), a copy of the test part of: E. Alpaydin and C. Kaynak (1998), Optical Recognition "
    "of Handwritten Digits, UCI Machine Learning Repository, https://doi.org/10.24432/C50P49"
)
LICENCE = "The pictures are under CC BY 4.0 (Creative Commons Attribution), as UCI gives them; they were enlarged here."


@dataclass(frozen=True)
class Digits:
    """Pictures (N, 32, 32) of 0..255, what they show (N,), and their rows in load_digits() (N,)."""

    pictures: np.ndarray
    answers: np.ndarray
    rows: np.ndarray

    def inputs(self) -> Tensor:
        """(N, 1, 32, 32) in -1..1: the preprocessing preset `digits`."""
        return normalised(torch.from_numpy(self.pictures).unsqueeze(1).float() / 255)

    def split(self, share: float) -> tuple[Digits, Digits]:
        """The rest, and `share` of every class, drawn by `SEED`."""
        parts = train_test_split(np.arange(len(self.rows)), test_size=share, random_state=SEED, stratify=self.answers)
        rest, drawn = (Digits(self.pictures[part], self.answers[part], self.rows[part]) for part in map(np.sort, parts))
        return rest, drawn


def normalised(x: Tensor) -> Tensor:
    """0..1 to -1..1."""
    return (x - 0.5) / 0.5


def all_digits() -> Digits:
    """The 1,797 pictures, their 17 levels of gray spread over 0..255, enlarged to 32x32."""
    small, answers = load_digits(return_X_y=True)
    gray = np.rint(small.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    large = [np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for picture in gray]
    return Digits(np.stack(large), answers.astype(np.int64), np.arange(len(answers)))


def shifted_and_rotated(x: Tensor, generator: torch.Generator) -> Tensor:
    """(N, 1, H, W) in -1..1 moved and turned at random, each picture by itself; black comes in at the edges."""
    angle, right, down = torch.rand(3, len(x), generator=generator) * 2 - 1
    angle, shift = angle * math.radians(ROTATION_DEGREES), SHIFT_PIXELS * 2 / SIDE
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.stack([torch.stack([cos, -sin, right * shift], 1), torch.stack([sin, cos, down * shift], 1)], 1)
    grid = functional.affine_grid(matrix, list(x.shape), align_corners=False)
    return functional.grid_sample(x + 1, grid, align_corners=False) - 1


def train(digits: Digits) -> tuple[PlainResNet, float]:
    """A network trained on `digits` from scratch, in eval mode, and the seconds it took.

    The last epochs see the pictures as they are, at a rate that falls to 0: BatchNorm's running statistics then
    settle on what will arrive in use.
    """
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    model = PlainResNet(replace(NAMED_SPECS["resnet20_cifar_b"], in_channels=1, num_classes=10))
    model = model.to(memory_format=torch.channels_last)
    inputs, answers = digits.inputs(), torch.from_numpy(digits.answers)
    steps = len(answers) // BATCH
    optimizer = torch.optim.SGD(model.parameters(), PEAK_RATE, momentum=0.9, weight_decay=WEIGHT_DECAY, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=EPOCHS * steps, pct_start=0.1)
    started = time.monotonic()
    for epoch in range(1, EPOCHS + 1):
        losses = []
        order = torch.randperm(len(answers), generator=generator)[: steps * BATCH]
        for batch in order.view(steps, BATCH):
            x = inputs[batch] if epoch > EPOCHS - PLAIN_EPOCHS else shifted_and_rotated(inputs[batch], generator)
            loss = functional.cross_entropy(model(x.contiguous(memory_format=torch.channels_last)), answers[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        if epoch % 5 == 0:
            print(
                f"epoch {epoch:3} of {EPOCHS}: loss {sum(losses) / steps:.4f}, {time.monotonic() - started:.0f} s",
                flush=True,
            )
    return model.to(memory_format=torch.contiguous_format).eval(), time.monotonic() - started


@torch.inference_mode()
def predicted(model: PlainResNet, digits: Digits) -> np.ndarray:
    """What the network says to each picture, (N,)."""
    said: np.ndarray = model(digits.inputs()).argmax(1).numpy()
    return said


@torch.inference_mode()
def settled(model: PlainResNet, digits: Digits) -> tuple[float, float]:
    """How far what arrives at the BatchNorms is from what they kept: mean |z| and mean |log-variance gap|."""
    gaps: list[tuple[float, float]] = []

    def compare(norm: nn.Module, arriving: tuple[Tensor]) -> None:
        assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
        mean, variance = arriving[0].mean((0, 2, 3)), arriving[0].var((0, 2, 3))
        z = (mean - norm.running_mean).abs() / (norm.running_var + norm.eps).sqrt()
        gap = ((variance + norm.eps) / (norm.running_var + norm.eps)).log().abs()
        gaps.append((z.mean().item(), gap.mean().item()))

    hooks = [m.register_forward_pre_hook(compare) for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    model(digits.inputs())
    for hook in hooks:
        hook.remove()
    mean_z, mean_gap = np.mean(gaps, axis=0)
    return float(mean_z), float(mean_gap)


def write(model: PlainResNet, trained_on: int, held_out: Digits) -> None:
    """The weights, the held-out pictures and the facts, into `ckpt_explorer/examples/`."""
    said = predicted(model, held_out)
    accuracy = float((said == held_out.answers).mean())
    weights = EXAMPLES / "digits_resnet20.pth"
    torch.save({"state_dict": model.state_dict(), "arch": "resnet20", "epoch": EPOCHS, "best_acc": accuracy}, weights)

    folder = EXAMPLES / "images"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    names = [f"{NAMES[answer]}_{row:04}.png" for answer, row in zip(held_out.answers, held_out.rows, strict=True)]
    for name, picture in zip(names, held_out.pictures, strict=True):
        Image.fromarray(picture).save(folder / name, optimize=True)

    facts = {
        "accuracy": accuracy,
        "held_out": len(names),
        "trained_on": trained_on,
        "epochs": EPOCHS,
        "how": HOW.format(trained_on=f"{trained_on:,}", epochs=EPOCHS, plain=PLAIN_EPOCHS, held_out=len(names)),
        "source": SOURCE,
        "licence": LICENCE,
        "images": dict(sorted(zip(names, held_out.answers.tolist(), strict=True))),
        "predicted": dict(sorted(zip(names, said.tolist(), strict=True))),
    }
    (EXAMPLES / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    pictures = sum(picture.stat().st_size for picture in folder.iterdir())
    print(f"accuracy {accuracy:.4f}: {(said == held_out.answers).sum()} of {len(names)} held-out pictures")
    print(f"wrote {weights} ({weights.stat().st_size:,} bytes), {len(names)} pictures ({pictures:,} bytes), facts.json")


def main() -> None:
    """Train, and write or validate."""
    parser = argparse.ArgumentParser(description="Train the example that ships with the app.")
    parser.add_argument("--validate", action="store_true", help="score 20 %% of the training images; write nothing")
    validate = parser.parse_args().validate
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    training, held_out = all_digits().split(HELD_OUT)
    if validate:
        training, judged = training.split(HELD_OUT)
        model, seconds = train(training)
        accuracy = (predicted(model, judged) == judged.answers).mean()
        print(f"accuracy {accuracy:.4f} of {len(judged.rows)} validation pictures")
        print("arriving against kept: mean z {:.3f}, log-variance gap {:.3f}".format(*settled(model, judged)))
    else:
        model, seconds = train(training)
        write(model, len(training.rows), held_out)
        print("arriving against kept: mean z {:.3f}, log-variance gap {:.3f}".format(*settled(model, held_out)))
    print(f"trained {seconds:.0f} s")


if __name__ == "__main__":
    main()
