"""Identify, pair and write rules: milliseconds for a ResNet-152, plain, renamed and in nine copies, and how they grow.

Printed (`python -m pytest tests/benchmarks -s`) and not asserted: on a busy machine they would fail for no fault of
the code. The aims are 50 ms for 932 keys and 500 ms for 8,388, growing no faster than n log n; and for an edit of a
rule, which aligns anew, 8 ms for 932 keys and 150 ms for 50,000. Times are of the processor, the best of several.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice

import pytest

from ckpt_explorer.alignment import align
from ckpt_explorer.architectures import architecture
from ckpt_explorer.architectures.architecture import ModelTensor
from ckpt_explorer.rules import RuleSet, parse_rule
from ckpt_explorer.suggestion import identify, suggest
from tests.checkpoints import described
from tests.suggestion.dialects import DIALECTS, in_dialect

pytestmark = pytest.mark.benchmark
TARGET = architecture("resnet152")
TREE = dict(TARGET.tree)
DEPTHS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
RULES = (
    "strip prefix module.net.",
    "rename stage{n}. -> layer{n}.",
    "rename shortcut. -> downsample.",
    "rename head. -> fc.",
    "rename norm{n}. -> bn{n}.",
)


def best_of(times: int, work: Callable[[], object]) -> float:
    """Milliseconds of the processor that `work` takes, at best."""
    best = math.inf
    for _ in range(times):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best * 1000


def suggesting(tree: Mapping[str, ModelTensor]) -> float:
    """Milliseconds for network, pairs and rules; each time of a state dict that nothing is known of."""

    def work() -> None:
        source = described(tree)
        suggest(source, identify(source)[0].architecture)

    return best_of(4, work)


def copies(count: int) -> dict[str, ModelTensor]:
    return {f"member{copy}.net.{key}": row for copy in range(count) for key, row in TREE.items()}


def test_network_pairs_and_rules_take_milliseconds_whatever_the_names_are() -> None:
    identify(described(TREE))[0].architecture.builder()  # imports apart
    files = {"as it is": TREE, "behind module.": {f"module.{key}": row for key, row in TREE.items()}}
    files |= {name: in_dialect(name, TREE)[0] for name in DIALECTS}
    files |= {"nine copies": copies(9)}
    print()
    for name, tree in files.items():
        taken = suggesting(tree)
        print(f"{name:16} {len(tree):6,} keys {taken:7.1f} ms (aim {500 if len(tree) > 8000 else 50})")
        assert taken > 0


def test_time_grows_no_faster_than_the_keys_do() -> None:
    files = {name: dict(in_dialect("norm in conv", architecture(name).tree)[0]) for name in DEPTHS}
    files |= {f"{count} copies": copies(count) for count in (1, 3, 9)}
    print()
    for name, tree in files.items():
        taken, count = suggesting(tree), len(tree)
        print(
            f"{name:12} {count:6,} keys {taken:7.1f} ms, {1e6 * taken / (count * math.log(count)):6.0f} ns a key log key"
        )
        assert taken > 0


def renamed(key: str) -> str:
    """The key as `RULES` expect it."""
    for ours, theirs in (("layer", "stage"), ("downsample", "shortcut"), ("fc.", "head."), ("bn", "norm")):
        key = key.replace(ours, theirs)
    return f"module.net.{key}"


def test_an_edit_of_a_rule_is_answered_at_once_also_in_a_large_file() -> None:
    small = {renamed(key): row for key, row in TREE.items()}
    others = ((f"module.other{copy}.{key}", row) for copy in range(60) for key, row in TREE.items())
    rules = RuleSet(tuple(map(parse_rule, RULES)))
    print()
    for tree, aim in ((small, 8), (small | dict(islice(others, 50_000 - len(small))), 150)):
        source = described(tree)
        found = align(source, TARGET, rules)
        asked = best_of(1, partial(getattr, found, "says"))
        taken = best_of(5, partial(align, source, TARGET, rules))
        print(f"{len(tree):6,} keys: align {taken:6.1f} ms (aim {aim}), verdict and sentence {asked:6.1f} ms")
        assert found.unfilled == ()
