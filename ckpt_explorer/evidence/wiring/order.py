"""Are the blocks of a stage in the order in which they were trained? Every exchange of two is tried.

Blocks of a stage have tensors of one shape, and load in each other's place without a word. Each first conv of a block
knows the residual stream that it was trained on: with two blocks exchanged, the stream between them is another one.
The margins are small, so orders are compared with each other, and no figure is judged alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_explorer.evidence.wiring.arrivals import after
from ckpt_explorer.evidence.wiring.flow import Kernel, Moments, Norm, Weights, normalised, rectified, summed, through
from ckpt_explorer.evidence.wiring.graph import Graph, Step

if TYPE_CHECKING:
    import torch

MOST_EXCHANGES = 1000
"""Exchanges that are tried in one stage, those of neighbours first: all of a ResNet-152, of 1202 those within five."""


@dataclass(frozen=True)
class Block:
    """A residual block: the steps of its branch, and the positions of the steps that it takes and gives.

    `plain` says that its shortcut is the identity; `sum_at` is the position of the sum, in front of its ReLU.
    """

    name: str
    branch: tuple[int, ...]
    source: int
    output: int
    plain: bool
    sum_at: int


@dataclass(frozen=True)
class Exchange:
    """Two blocks that fit the statistics better in each other's place, and by how much.

    `gain` is the sum, over the BatchNorms that take the stream between the two, of the log of the misfit times the
    number of channels: what the file's order has above the exchanged one.
    """

    first: str
    second: str
    gain: float


def blocks_of(graph: Graph) -> list[Block]:
    """The residual blocks of a graph, in order: sums of two chains of steps that begin at one step."""
    uses: dict[int, list[int]] = {}
    for at, step in enumerate(graph):
        for source in step.inputs:
            uses.setdefault(source, []).append(at)
    found = []
    for at, step in enumerate(graph):
        if step.kind != "add":
            continue
        one, other = (_chain(graph, source) for source in step.inputs)
        meeting = next((position for position in one if position in set(other)), None)
        if meeting is None:
            continue
        sides = [chain[: chain.index(meeting)][::-1] for chain in (one, other)]
        shortcut, branch = sorted(sides, key=lambda side: sum(graph[position].kind == "conv" for position in side))
        after_sum = uses.get(at, [])
        rectifies = len(after_sum) == 1 and graph[after_sum[0]].kind == "relu"
        name = _shared_name([graph[position].module for position in branch if graph[position].module])
        plain = all(graph[position].kind == "same" and graph[position].shrinks == 1 for position in shortcut)
        output = after_sum[0] if rectifies else at
        found.append(Block(name, tuple(branch), meeting, output, plain, at))
    return found


def _shared_name(paths: Sequence[str]) -> str:
    """The module that all these lie in."""
    shared = []
    for parts in zip(*(path.split(".")[:-1] for path in paths), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)


def _chain(graph: Graph, at: int) -> list[int]:
    """The steps before `at`, itself first, as long as each takes one input."""
    chain = [at]
    while len(graph[at].inputs) == 1:
        at = graph[at].inputs[0]
        chain.append(at)
    return chain


@dataclass(frozen=True)
class _Reader:
    """What exchanging needs of a block: its first conv and BatchNorm, and its last BatchNorm."""

    name: str
    kernel: Kernel
    kept: Norm
    last: Norm


def stages_of(graph: Graph, blocks: Sequence[Block], weights: Weights) -> list[tuple[Moments | None, list[_Reader]]]:
    """Runs of blocks that could stand in each other's place, with the moments of the stream before the first."""
    moments = _all_moments(graph, weights)
    stages: list[tuple[Moments | None, list[_Reader]]] = []
    before: Block | None = None
    kind: object = None
    for block in blocks:
        reader = _reader(graph, block, weights)
        own = _kind(graph, block, reader)
        follows = before is not None and _chain_joins(graph, block.source, before.output)
        if reader is None or not block.plain:
            before, kind = None, None
            continue
        if not (follows and own == kind):
            stages.append((moments[block.source], []))
        stages[-1][1].append(reader)
        before, kind = block, own
    return [stage for stage in stages if len(stage[1]) > 1]


def _chain_joins(graph: Graph, source: int, output: int) -> bool:
    """Whether a block takes what the one before it gives, as it is."""
    while source != output and graph[source].kind == "same" and graph[source].shrinks == 1:
        source = graph[source].inputs[0]
    return source == output


def _all_moments(graph: Graph, weights: Weights) -> list[Moments | None]:
    moments: list[Moments | None] = []
    for step in graph:
        moments.append(after(step, [moments[source] for source in step.inputs], weights))
    return moments


def _reader(graph: Graph, block: Block, weights: Weights) -> _Reader | None:
    steps = [graph[at] for at in block.branch]
    if len(steps) < 3 or steps[0].kind != "conv" or steps[1].kind != "norm" or steps[-1].kind != "norm":
        return None
    if graph[block.output].kind != "relu":
        return None
    kernel, kept, last = weights.kernel(steps[0]), weights.norm(steps[1].module), weights.norm(steps[-1].module)
    if kernel is None or kept is None or last is None or len(last.mean) != kernel.inputs:
        return None
    return _Reader(block.name, kernel, kept, last)


def _kind(graph: Graph, block: Block, reader: _Reader | None) -> object:
    steps: list[Step] = [graph[at] for at in block.branch]
    shapes = None if reader is None else (reader.kernel.squares.shape, len(reader.last.mean))
    return shapes, tuple((step.kind, step.groups, step.dilation, step.shrinks) for step in steps)


def exchanges(stream: Moments, readers: Sequence[_Reader], side: int) -> list[Exchange]:
    """Every exchange of two blocks of one stage, with its gain, the best first."""
    import torch

    count = len(readers)
    pairs = sorted(
        ((i, j) for i in range(count) for j in range(i + 1, count)), key=lambda pair: (pair[1] - pair[0], pair)
    )[:MOST_EXCHANGES]
    first, second = torch.tensor(pairs).T
    usual, own = stream, []
    streams = Moments(stream.mean.repeat(len(pairs), 1), stream.variance.repeat(len(pairs), 1))
    gains = torch.zeros(len(pairs), dtype=stream.mean.dtype)
    for at, reader in enumerate(readers):
        own.append(_unexplained(reader, usual.mean[None], side)[0])
        streams.mean[first == at], streams.variance[first == at] = usual.mean, usual.variance
        between = (first <= at) & (at <= second)
        standing = torch.where(first == at, second, torch.where(second == at, first, at))
        for index in sorted(set(standing[between].tolist())):
            rows = between & (standing == index)
            mean, variance = streams.mean[rows], streams.variance[rows]
            gains[rows] -= _unexplained(readers[index], mean, side)
            left = rectified(summed(Moments(mean, variance), normalised(readers[index].last)))
            streams.mean[rows], streams.variance[rows] = left.mean, left.variance
        gains[between] += own[at]
        usual = rectified(summed(usual, normalised(reader.last)))
    order = torch.argsort(gains.nan_to_num(-torch.inf), descending=True).tolist()
    return [Exchange(readers[pairs[at][0]].name, readers[pairs[at][1]].name, float(gains[at])) for at in order]


def _unexplained(reader: _Reader, means: torch.Tensor, side: int) -> torch.Tensor:
    """For each of (P, C) `means` of the stream: channels times the log of the misfit at the block's first BatchNorm."""
    kernel, kept = reader.kernel, reader.kept
    predicted = through(kernel.at(side), means)
    scale = through(kernel.squared, means**2).sqrt().clamp_min(1e-30)
    alive = kept.variance > 1e-6 * kept.variance.median()
    y = ((kept.mean - (0.0 if kernel.bias is None else kernel.bias)) / scale)[:, alive]
    x = (predicted / scale)[:, alive]
    slope = (x * y).sum(1, keepdim=True) / x.square().sum(1, keepdim=True).clamp_min(1e-30)
    left = (y - slope * x).square().mean(1).sqrt() / slope[:, 0].abs().clamp_min(1e-12)
    return y.shape[1] * left.clamp_min(1e-6).log()
