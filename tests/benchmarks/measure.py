"""What one file costs, in a process of its own: `python -m tests.benchmarks.measure list|load FILE` prints JSON.

Times are the least of several runs, in milliseconds. torch.load's results are kept while it is timed, as an app keeps
its model: without that, glibc hands it pages that are already there from the second run on, which no one who opens a
file once will see.

In CI, where times mean nothing, everything runs once; memory is what is asserted there.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ckpt_explorer.loading import load
from ckpt_explorer.proposal import propose
from ckpt_explorer.reading import open_checkpoint


def fastest(call: Callable[[], Any], runs: int, kept: list[Any] | None = None) -> float:
    """The least time of so many runs, in milliseconds."""
    best = float("inf")
    for _ in range(1 if os.environ.get("CI") else runs):
        start = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - start)
        if kept is not None:
            kept.append(result)
        del result
    return best * 1000


def peak_of(call: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and how far the resident size rose above what it was before, at its highest, in MB."""

    def resident(which: str) -> float:
        return int(Path("/proc/self/status").read_text(encoding="ascii").split(f"{which}:")[1].split()[0]) / 1024

    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = resident("VmRSS")
    result = call()
    return result, resident("VmHWM") - before


class Inert(dict[Any, Any]):
    """What every class and function of a file is to the bare unpickler."""

    def __init__(self, *_: Any) -> None:
        super().__init__()


class Bare(pickle.Unpickler):
    """CPython's own unpickler, written in C, with nothing behind it."""

    def find_class(self, *_: str) -> Any:
        """Nothing is imported."""
        return Inert

    def persistent_load(self, _: Any) -> Any:
        """No storage is looked for."""
        return None


def bare(file: Path) -> Any:
    """The pickle alone, through Python's own zipfile."""
    with zipfile.ZipFile(file) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        with archive.open(name) as pickled:
            return Bare(pickled).load()


def listing(file: Path) -> dict[str, float]:
    """Opening and listing the keys, and what others take to come as far."""
    checkpoint, grown = peak_of(lambda: open_checkpoint(file))
    keys = len(checkpoint.state_dict)
    small = file.stat().st_size < 1 << 30
    many = keys > 20_000
    runs = 8 if many else 30
    unpickled = fastest(lambda: bare(file), runs)
    ours = fastest(lambda: open_checkpoint(file), runs)
    mapped = fastest(lambda: torch.load(file, mmap=True), 2 if many else 4)
    loaded = fastest(lambda: torch.load(file), 4 if small and not many else 2, kept=[])
    return {
        "keys": keys,
        "open_checkpoint": min(ours, fastest(lambda: open_checkpoint(file), runs)),
        "torch.load": loaded,
        "torch.load(mmap=True)": mapped,
        "bare C unpickler": min(unpickled, fastest(lambda: bare(file), runs)),
        "MB": grown,
    }


def loading(file: Path) -> dict[str, float]:
    """From the file to a module in eval mode. The checksums, which nobody else computes, are timed on their own: a
    record that was checked once is not checked again, so the second load of one opened file is without them."""
    from torchvision.models import resnet152

    alignment = propose(open_checkpoint(file)).alignment
    _, grown = peak_of(lambda: load(alignment))
    with_mmap: list[Any] = []

    def theirs() -> Any:
        state_dict = torch.load(file, mmap=True)["state_dict"]
        with torch.device("meta"):
            module = resnet152()
        module.load_state_dict(state_dict, assign=True)
        return module.eval()

    places = [info.storage.read() for info in alignment.state_dict.values()]
    return {
        "open_checkpoint and load": fastest(lambda: open_checkpoint(file), 10) + fastest(lambda: load(alignment), 6),
        "torch.load(mmap=True) and assign": fastest(theirs, 6, with_mmap),
        "checksums": fastest(lambda: [zlib.crc32(place) for place in places], 2),
        "MB": grown,
        "MB of tensors": sum(map(len, places)) / 2**20,
    }


if __name__ == "__main__":
    what, path = sys.argv[1:]
    print(json.dumps({"list": listing, "load": loading}[what](Path(path))))
