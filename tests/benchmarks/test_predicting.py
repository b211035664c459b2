"""Predicting: pictures a second, held against the bare loop of decode, resize, normalise and forward; and memory.

Times are printed (`python -m pytest tests/benchmarks/test_predicting.py -s`) and not asserted: on a busy machine they
would fail for no fault of the code. The aim is 1.05 times the bare loop for 1,000 pictures; PREDICTING_PICTURES sets how
many, 96 on a slow machine. Memory is asserted: it does not grow from 100 pictures to 10,000.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models, transforms

from ckpt_explorer.inference.batches import predict_batches
from ckpt_explorer.inference.pace import Pace
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.inference.preprocessing import preprocessing
from tests.benchmarks.measure import peak_of
from tests.inference.networks import resnet20

COUNT = int(os.environ.get("PREDICTING_PICTURES", "96"))
BATCH = 32
STEPS = preprocessing("imagenet")
NOISE = 40
"""MiB by which the allocators' peaks differ from run to run. The answers to 10,000 pictures are not kept here."""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """JPEGs of 500 x 375 pixels, as large as ImageNet's are in the middle; smooth noise, which packs as photographs do."""
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    files = []
    for number in range(COUNT):
        small = Image.fromarray(random.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        file = folder / f"{number:04d}.jpg"
        small.resize((500, 375)).save(file, quality=90)
        files.append(file)
    return files


def bare(module: nn.Module, files: list[Path]) -> None:
    """What anybody would write."""
    steps = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    with torch.inference_mode():
        for start in range(0, len(files), BATCH):
            batch = torch.stack([steps(Image.open(file).convert("RGB")) for file in files[start : start + BATCH]])
            torch.softmax(module(batch), 1).topk(5)


def ours(module: nn.Module, files: list[Path], readers: int | None = None) -> None:
    images = [NamedImage(file.name, file) for file in files]
    for _ in predict_batches(module, images, STEPS, channels=3, pace=Pace(BATCH, readers=readers)):
        pass


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@pytest.mark.benchmark
@pytest.mark.skipif(bool(os.environ.get("CI")), reason="prints ratios: they mean something on a quiet machine only")
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_pictures_a_second_against_the_bare_loop(name: str, photographs: list[Path]) -> None:
    module = models.get_model(name).eval()
    bare(module, photographs[:BATCH])
    times: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(3):
        times["bare"].append(seconds(lambda: bare(module, photographs)))
        times["ours"].append(seconds(lambda: ours(module, photographs)))
    theirs, mine = min(times["bare"]), min(times["ours"])
    print(
        f"\n{name}, {COUNT} pictures: bare {theirs:.2f} s, ours {mine:.2f} s, {mine / theirs:.3f} x, {COUNT / mine:.1f} a second"
    )
    assert mine > 0


@pytest.mark.benchmark
def test_memory_does_not_grow_with_the_pictures() -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(file, "PNG")
    data, module, steps = file.getvalue(), resnet20(), preprocessing("cifar10")

    def run(count: int) -> None:
        images = [NamedImage(f"{number}.png", data) for number in range(count)]
        for _ in predict_batches(module, images, steps, channels=3):
            pass

    run(100)
    grown = {count: peak_of(lambda count=count: run(count))[1] for count in (100, 1_000, 10_000)}  # type: ignore[misc]
    print("\n" + ", ".join(f"{count:,} pictures: {mib:.0f} MiB" for count, mib in grown.items()))
    assert grown[10_000] < grown[100] + NOISE
