"""Evidence on 50 pictures: its processor time, held against bare forwards of the same network over the same pictures.

Printed (`python -m pytest tests/benchmarks/test_evidence.py -s`) and not asserted. The aim is four bare forwards for all
that the pictures add (decoding, preparations, the self-check), on one thread, over pictures that the bare forward finds
decoded and normalised. What is asserted is that the work was done: nothing doubted in a network that is whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models

from ckpt_explorer import load, open_checkpoint, propose
from ckpt_explorer.evidence import verify
from ckpt_explorer.inference.images import as_input, open_image
from ckpt_explorer.inference.preprocessing import Preprocessing, preprocessing
from tests.checkpoints import ROOT, write_checkpoint

COUNT, BATCH = 50, 32
REAL = ROOT.parent / "shared" / "real"


def prepared(files: list[Path], steps: Preprocessing) -> list[Tensor]:
    x = torch.stack([as_input(open_image(file, file.name), steps, 3) for file in files])
    return list(torch.split(x, BATCH))


def processor_seconds(calls: dict[str, Callable[[], Any]], runs: int) -> dict[str, float]:
    """The least of so many runs of each, in turn."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    return {name: min(taken) for name, taken in times.items()}


def ratio(name: str, file: Path, files: list[Path], steps: Preprocessing, runs: int) -> float:
    """What the pictures cost `verify`, in bare forwards; printed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        loaded = load(propose(open_checkpoint(file)).alignment)
        batches = prepared(files, steps)

        def bare() -> None:
            with torch.inference_mode():
                for batch in batches:
                    loaded.module(batch)

        calls: dict[str, Callable[[], Any]] = {
            "bare": bare,
            "decoding": lambda: prepared(files, steps),
            "without pictures": lambda: verify(loaded, ()),
            "with pictures": lambda: verify(loaded, files),
        }
        assert verify(loaded, files[:8]).doubts == ()
        took = processor_seconds(calls, runs)
    finally:
        torch.set_num_threads(threads)
    added, floor = took["with pictures"] - took["without pictures"], took["bare"]
    print(
        f"\n{name}, {len(files)} pictures: bare forward {floor:.3f} s; evidence from pictures {added / floor:.2f} x"
        f" (decoding {took['decoding'] / floor:.2f} of it); with all other evidence {took['with pictures'] / floor:.2f} x"
    )
    return added / floor


def lived_in_resnet18(files: list[Path], steps: Preprocessing) -> nn.Module:
    """Random weights with the statistics of these pictures, so that nothing is to be doubted in what arrives."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module: nn.Module = models.resnet18()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = None
        with torch.no_grad():
            module.train()(torch.cat(prepared(files[:16], steps)))
    return module.eval()


@pytest.mark.benchmark
def test_evidence_on_photographs_in_bare_forwards_of_resnet18(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    files = []
    for number in range(COUNT):
        small = Image.fromarray(random.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        file = tmp_path / f"{number:04d}.jpg"
        small.resize((500, 375)).save(file, quality=90)
        files.append(file)
    steps = preprocessing("imagenet")
    file = write_checkpoint(tmp_path, lived_in_resnet18(files, steps).state_dict())
    assert ratio("resnet18 at 224", file, files, steps, runs=1) > 0


@pytest.mark.benchmark
@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not here")
@pytest.mark.parametrize("name", ["resnet20-12fca82f.th", "resnet56-4bfd9763.th"])
def test_evidence_on_small_pictures_in_bare_forwards_of_published_networks(name: str) -> None:
    files = sorted((REAL / "images").glob("*.jpg"))[::2][:COUNT]
    assert ratio(name, REAL / name, files, preprocessing("imagenet", size=32), runs=5) > 0
