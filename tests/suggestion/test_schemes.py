"""Networks named as nobody has named them yet are recovered whole; near misses are never called complete.

`SCHEMES=1000 python -m pytest tests/suggestion/test_schemes.py` draws more of both; the figures are printed with -s.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping

import pytest

from ckpt_explorer.alignment import Alignment, Status, Verdict, align
from ckpt_explorer.architectures import architecture
from ckpt_explorer.architectures.architecture import ModelTensor
from ckpt_explorer.proposal import propose_architecture
from ckpt_explorer.suggestion import identify, suggest
from tests.checkpoints import described
from tests.suggestion.dialects import DIALECTS, in_dialect
from tests.suggestion.schemes import NEAR_MISSES, Scheme, near_miss

SCHEMES = int(os.environ.get("SCHEMES", "200"))
NETWORKS = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "resnet18_cifar",
    "resnet50_cifar",
    "resnet20_cifar_a",
    "resnet20_cifar_b",
    "resnet32_cifar_b",
)


def proposed(entries: Mapping[str, ModelTensor]) -> Alignment:
    """The alignment that these entries get when nobody says anything."""
    source = described(entries)
    target = propose_architecture(identify(source))
    found = suggest(source, target)
    return align(source, target, found.rules, found.by_order)


def pairs_of(alignment: Alignment) -> dict[str, str]:
    """The file's keys that fill a key of the network."""
    rows = alignment.rows(Status.MATCHED, Status.ADAPTED)
    return {pair.checkpoint: pair.model for pair in rows if pair.checkpoint and pair.model}


def test_random_consistent_schemes_are_recovered_whole_and_none_is_falsely_complete() -> None:
    failed = []
    for seed in range(SCHEMES):
        rng = random.Random(seed * 7919 + 1)
        name = rng.choice(NETWORKS)
        target = architecture(name, num_classes=rng.choice((10, 37, 1000)), in_channels=rng.choice((3, 3, 3, 1)))
        file = Scheme(seed).renamed(target.tree)
        alignment = proposed({key: ModelTensor(shape, dtype, True) for key, (shape, dtype) in file.entries.items()})
        found = pairs_of(alignment)
        wanted = {key: model for key, model in file.truth.items() if not model.endswith("num_batches_tracked")}
        false = [key for key, model in found.items() if file.truth.get(key) != model]
        assert not (false and alignment.verdict is Verdict.COMPLETE), f"seed {seed}: {file.says}"
        verdict = Verdict.COMPLETE if file.has_head else Verdict.PARTIAL
        whole = alignment.architecture.name == name and all(found.get(key) == row for key, row in wanted.items())
        if not whole or false or alignment.verdict is not verdict:
            failed.append(f"seed {seed}: {name} as {alignment.architecture.name}, {alignment.verdict}; {file.says}")
    print(f"\n{SCHEMES - len(failed)} of {SCHEMES} schemes are recovered whole", *failed, sep="\n")
    assert len(failed) * 100 <= SCHEMES, "\n".join(failed)


def test_no_near_miss_is_called_complete() -> None:
    for seed in range(SCHEMES * 3 // 10):
        kind = NEAR_MISSES[seed % len(NEAR_MISSES)]
        name = random.Random(seed).choice([name for name in NETWORKS if name[-1] != "a"])
        file = Scheme(seed + 100_000).renamed(near_miss(kind, architecture(name, num_classes=10).tree))
        alignment = proposed({key: ModelTensor(shape, dtype, True) for key, (shape, dtype) in file.entries.items()})
        assert alignment.verdict is not Verdict.COMPLETE, f"seed {seed}, {kind}: {file.says}"


@pytest.mark.parametrize(
    "options",
    [
        {"blocks": (2, 2, 3, 2)},
        {"width": 48},
        {"block": "bottleneck", "blocks": (3, 4, 6, 4)},
        {"block": "bottleneck", "width": 32, "blocks": (3, 4, 6, 3)},
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_a_block_more_or_other_widths_is_custom_and_no_network_with_a_name(
    options: dict[str, object], seed: int
) -> None:
    target = architecture("custom", num_classes=10, options=options)
    file = Scheme(seed).renamed(target.tree)
    alignment = proposed({key: ModelTensor(shape, dtype, True) for key, (shape, dtype) in file.entries.items()})
    assert alignment.architecture.name == "custom"
    assert alignment.verdict is (Verdict.COMPLETE if file.has_head else Verdict.PARTIAL)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_the_dialects_of_other_frameworks_are_understood(name: str, dialect: str) -> None:
    entries, truth = in_dialect(dialect, architecture(name).tree)
    alignment = proposed(entries)
    assert alignment.architecture.name == name
    assert pairs_of(alignment) == truth
    complete = Verdict.PARTIAL if alignment.fills else Verdict.COMPLETE
    assert alignment.verdict is complete
    assert alignment.doubted == ()


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_the_keys_in_the_file_never_changes_the_pairs(seed: int) -> None:
    rng = random.Random(seed)
    target = architecture(rng.choice(NETWORKS), num_classes=10)
    file = Scheme(seed).renamed(target.tree)
    rows = [(key, ModelTensor(shape, dtype, True)) for key, (shape, dtype) in file.entries.items()]
    first = proposed(dict(rows))
    for _ in range(3):
        rng.shuffle(rows)
        again = proposed(dict(rows))
        assert pairs_of(again) == pairs_of(first)
        assert [str(rule) for rule in again.rules] == [str(rule) for rule in first.rules]
        assert again.verdict is first.verdict
