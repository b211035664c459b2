"""Identify, pair and write rules: milliseconds for a ResNet-152 and for nine copies of it, and how they grow.

Printed (`python -m pytest tests/benchmarks -s`) and not asserted: on a busy machine they would fail for no fault of
the code. The aims are 50 ms for 932 keys and 500 ms for 8,388, growing no faster than n log n.
"""

from __future__ import annotations

import math
import time

import pytest

from ckpt_explorer.architectures import architecture
from ckpt_explorer.architectures.architecture import ModelTensor
from ckpt_explorer.suggestion import identify, suggest
from tests.checkpoints import described
from tests.suggestion.dialects import in_dialect

TREE = dict(architecture("resnet152").tree)


def copies(count: int) -> dict[str, ModelTensor]:
    return {f"member{copy}.net.{key}": row for copy in range(count) for key, row in TREE.items()}


FILES = {
    "as it is": TREE,
    "behind module.": {f"module.{key}": row for key, row in TREE.items()},
    "norms in convs": in_dialect("norm in conv", TREE)[0],
    "modules of four levels": in_dialect("conv module", TREE)[0],
    "caffe's names": in_dialect("caffe2", TREE)[0],
    "three copies": copies(3),
    "nine copies": copies(9),
}


def milliseconds(tree: dict[str, ModelTensor]) -> float:
    best = math.inf
    for _ in range(5):
        source = described(tree)
        start = time.perf_counter()
        target = identify(source)[0].architecture
        suggest(source, target)
        best = min(best, time.perf_counter() - start)
    return best * 1000


@pytest.mark.benchmark
def test_suggesting_takes_milliseconds_and_grows_with_the_keys() -> None:
    identify(described(TREE))[0].architecture.builder()  # imports apart
    times = {name: milliseconds(tree) for name, tree in FILES.items()}
    print()
    for name, taken in times.items():
        print(f"{name:24} {len(FILES[name]):6,} keys {taken:7.1f} ms")
    few, many = len(FILES["three copies"]), len(FILES["nine copies"])
    grown = times["nine copies"] / times["three copies"]
    print(
        f"three to nine copies     {grown:.1f} x; n log n would be {many * math.log(many) / (few * math.log(few)):.1f} x"
    )
    assert all(taken > 0 for taken in times.values())
