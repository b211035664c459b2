"""Opening and loading, against torch.load and against CPython's own unpickler: the time, and the memory.

Times are printed as ratios (`python -m pytest tests/benchmarks -s`) and not asserted: on a busy machine they would fail
for no fault of the code. Memory is asserted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.checkpoints import ROOT

MEGABYTES = 40
"""What listing the keys may take beyond the imports, at its highest."""
SHARE = 1.1
"""What loading may take, of the tensors' bytes."""
AIMS = {"torch.load": 50, "torch.load(mmap=True)": 8, "bare C unpickler": 0.5}
"""How many times longer than ours the others should take, at least."""

pytestmark = pytest.mark.benchmark


def resnet152_weights(copies: int) -> dict[str, torch.Tensor]:
    from torchvision.models import resnet152

    state_dict = resnet152().state_dict()
    if copies == 1:
        return dict(state_dict)
    return {f"copies.{number}.{key}": value.clone() for number in range(copies) for key, value in state_dict.items()}


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Written once for all: 240 MB in 932 tensors, 2.2 GB in 8,388, and 50,000 small ones."""
    folder = tmp_path_factory.mktemp("benchmarks")
    made: dict[str, Callable[[], dict[str, Any]]] = {
        "resnet152": lambda: {"state_dict": resnet152_weights(1)},
        "nine copies": lambda: {"state_dict": resnet152_weights(9)},
        "50,000 small": lambda: {"state_dict": {f"layers.{n}.weight": torch.full((4,), n) for n in range(50_000)}},
    }
    written = {}
    for name, make in made.items():
        written[name] = folder / f"{name.replace(' ', '_').replace(',', '')}.ckpt"
        torch.save(make(), written[name])
    return written


def measured(what: str, file: Path) -> dict[str, Any]:
    """What `tests.benchmarks.measure` prints, in a process of its own."""
    words = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.measure", what, str(file)]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", ["resnet152", "nine copies", "50,000 small"])
def test_listing_the_keys_takes_no_memory_to_speak_of_and_a_fraction_of_the_time(
    name: str, files: dict[str, Path]
) -> None:
    figures = measured("list", files[name])
    ours = figures["open_checkpoint"]
    print(f"\n{name}: {figures['keys']:,} tensors, {files[name].stat().st_size / 1e6:,.0f} MB")
    print(f"  {'open_checkpoint':24} {ours:9.1f} ms")
    for other, aim in AIMS.items():
        print(f"  {other:24} {figures[other]:9.1f} ms {figures[other] / ours:7.2f} x (aim {aim})")
    print(f"  {'memory above imports':24} {figures['MB']:9.1f} MB (at most {MEGABYTES})")
    assert figures["MB"] <= MEGABYTES


def test_loading_takes_the_time_of_a_mapped_torch_load_and_the_memory_of_the_tensors(files: dict[str, Path]) -> None:
    figures = measured("load", files["resnet152"])
    ours, theirs = figures["open_checkpoint and load"], figures["torch.load(mmap=True) and assign"]
    print(f"\nresnet152 to a module in eval(), without checksums {ours:.1f} ms")
    print(f"  torch.load(mmap=True), load_state_dict(assign=True) {theirs:.1f} ms: ours is {ours / theirs:.2f} of it")
    print(f"  all checksums, once, beside that {figures['checksums']:.1f} ms")
    print(f"  peak memory {figures['MB']:.1f} MB, of {figures['MB of tensors']:.1f} MB of tensors")
    assert figures["MB"] <= SHARE * figures["MB of tensors"]
