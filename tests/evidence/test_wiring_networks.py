"""The wiring on networks of other kinds, whole and spoilt at every place: the figures are a golden text.

`tests/data/wiring_*.pt` were written by `python -m tests.train_small_networks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median

import pytest
import torch
from torch import Tensor

from ckpt_explorer.architectures.plain_resnet import PlainResNet
from ckpt_explorer.evidence.wiring import graph_of, wiring_of
from ckpt_explorer.evidence.wiring.graph import Graph
from tests.checkpoints import ROOT
from tests.train_small_networks import NETWORKS, unpacked

Tensors = dict[str, Tensor]

NAMES = ("bottleneck_7x7", "resnext")
NORM = ("weight", "bias", "running_mean", "running_var")


def network(name: str) -> tuple[Graph, Tensors]:
    graph = graph_of(PlainResNet(NETWORKS[name][0]))
    assert graph is not None
    return graph, unpacked(ROOT / "tests" / "data" / f"wiring_{name}.pt")


def conv_faults(tensors: Tensors, conv: str, norm: str, generator: torch.Generator) -> Iterator[tuple[str, Tensors]]:
    """Each fault of one conv and its norm: its name, and the tensors that it changes."""
    weight = tensors[f"{conv}.weight"]
    count = len(weight)
    yield "random", {f"{conv}.weight": torch.randn(weight.shape, generator=generator) * weight.std()}
    yield "shuffled outputs", {f"{conv}.weight": weight[torch.randperm(count, generator=generator)]}
    yield "halved", {f"{conv}.weight": weight / 2}
    yield "untrained", {f"{norm}.running_mean": torch.zeros(count), f"{norm}.running_var": torch.ones(count)}


def norm_faults(tensors: Tensors, norms: list[str]) -> Iterator[tuple[str, Tensors]]:
    """Each norm exchanged with the next of its size: the first of the two, and the tensors that change."""
    for at, one in enumerate(norms):
        size = len(tensors[f"{one}.weight"])
        other = next((name for name in norms[at + 1 :] if len(tensors[f"{name}.weight"]) == size), None)
        if other is not None:
            pairs = [(one, other), (other, one)]
            yield one, {f"{a}.{leaf}": tensors[f"{b}.{leaf}"] for a, b in pairs for leaf in NORM}


def figures_of(name: str) -> str:
    """The figures of one network, whole, and how many of its faults are doubted, and at the very place."""
    graph, tensors = network(name)
    whole = wiring_of(graph, tensors.__getitem__)
    assert whole.evidence == "trained" and whole.doubts == ()
    means = [row.correlation for row in whole.layers if row.correlation is not None]
    affinities = [row.affinity for row in whole.layers if row.affinity is not None]
    lines = [
        f"{name}: {len(whole.layers)} BatchNorms, pictures of {whole.side} pixels",
        f"  whole             mean {median(means):.2f}, worst {min(means):.2f}; affinity {median(affinities):.2f}, worst {min(affinities):.2f}",
    ]
    generator = torch.Generator().manual_seed(7)
    layers = [(graph[step.inputs[0]].module, step.module) for step in graph if step.kind == "norm"]
    found: dict[str, list[tuple[str, str | None]]] = {}
    for conv, norm in layers:
        for fault, changed in conv_faults(tensors, conv, norm, generator):
            said = wiring_of(graph, {**tensors, **changed}.__getitem__)
            found.setdefault(fault, []).append((norm, said.first_doubted))
    for norm, changed in norm_faults(tensors, [norm for _, norm in layers]):
        said = wiring_of(graph, {**tensors, **changed}.__getitem__)
        found.setdefault("norms exchanged", []).append((norm, said.first_doubted))
    for fault, rows in found.items():
        placed = sum(norm == said for norm, said in rows)
        missed = [norm for norm, said in rows if said is None]
        unseen = f", unseen: {', '.join(missed)}" if missed else ""
        lines.append(
            f"  {fault:16}  {len(rows) - len(missed)} of {len(rows)} doubted, {placed} at the very place{unseen}"
        )
    return "\n".join(lines)


def test_every_fault_of_every_layer_is_doubted(golden: Callable[[str, str], None]) -> None:
    golden("wiring.txt", "\n".join(map(figures_of, NAMES)) + "\n")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_doubted_in_half_precision(name: str, dtype: torch.dtype) -> None:
    graph, tensors = network(name)
    said = wiring_of(graph, {key: value.to(dtype) for key, value in tensors.items()}.__getitem__)
    assert said.evidence == "trained" and said.doubts == ()
