"""A second opinion on pairs that nothing but the order of names decided: the values of a trained file know better.

Two convs of one shape, or two norms of one size, load in each other's place without a word. But training left in each
BatchNorm the statistics of what arrived there, so each way to place the tied tensors is tried, and the one in which
the statistics follow from the weights is taken (see `ckpt_explorer.evidence.wiring`). Where the values show no
training, the pairs stand as the order of names has them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import permutations, product
from typing import Any, Literal

from ckpt_explorer.alignment import Alignment, align
from ckpt_explorer.architectures.architecture import Architecture
from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.errors import CheckpointExplorerError, Diagnosis
from ckpt_explorer.evidence.wiring.arrivals import arrivals, figures, side_of
from ckpt_explorer.evidence.wiring.check import graph_of_architecture, is_finite
from ckpt_explorer.evidence.wiring.doubts import LIKELIER, is_evident, usual_fit
from ckpt_explorer.evidence.wiring.flow import Weights
from ckpt_explorer.evidence.wiring.graph import Graph
from ckpt_explorer.evidence.wiring.order import blocks_of, exchanges, stages_of
from ckpt_explorer.key_pair import named
from ckpt_explorer.reading.sources.remote import RemoteSource
from ckpt_explorer.suggestion.copies import Suggestion
from ckpt_explorer.suggestion.rules import suggest
from ckpt_explorer.text import listed, plural

Outcome = Literal["confirmed", "exchanged", "contradicted", "undecided", "no evidence"]

NEXT: dict[Outcome, str] = {
    "confirmed": "nothing is to be done.",
    "exchanged": "the rules put them where the values say; no other tensor is touched.",
    "contradicted": "no rules could be written for it: pair these by hand on the Align page, and verify again.",
    "undecided": "compare with the code that trained them.",
    "no evidence": "compare with the code that trained them.",
}
"""What is to be done after each outcome."""

MOST_BYTES = 2**30
"""Of a larger file the values are not asked: reading it takes longer than comparing with the code that trained it."""

MOST_WAYS = 48
MOST_EXCHANGES = 12

Moves = dict[str, str]
"""For modules of the network, the module in whose place the order of names put what belongs there."""


@dataclass(frozen=True)
class SecondOpinion:
    """What the values say of the tensors whose places only order decided, `asked`, by the network's keys.

    `moves` say for modules of the network in whose place the order of names had put what belongs there; `settled` are
    the file's keys of which the values confirm the place, or the new one.
    """

    outcome: Outcome
    says: str
    asked: tuple[str, ...]
    moves: Mapping[str, str] = field(default_factory=dict)
    settled: frozenset[str] = frozenset()

    def as_json(self) -> dict[str, Any]:
        """The part `second_opinion` of what `align --json` gives."""
        return {"outcome": self.outcome, "says": self.says, "asked": list(self.asked), "exchanged": dict(self.moves)}

    @property
    def diagnosis(self) -> Diagnosis:
        """The opinion as a thing to be said of the file, with the next step."""
        return Diagnosis("K18", self.says.rstrip("."), NEXT[self.outcome])


def settled(source: Checkpoint, architecture: Architecture, suggestion: Suggestion) -> Suggestion:
    """The suggestion after the values were asked about what only order decided: confirmed, exchanged, or as it was.

    A file that has to be fetched, and one that is too large, is not asked.
    """
    if not suggestion.by_order or any(isinstance(part.source, RemoteSource) for part in source.parts):
        return suggestion
    alignment = align(source, architecture, suggestion.rules, suggestion.by_order)
    try:
        opinion = second_opinion(alignment)
    except CheckpointExplorerError as error:
        opinion = SecondOpinion("no evidence", f"The values could not be asked: {error}", alignment.doubted)
    if opinion is None:
        return suggestion
    if opinion.outcome == "exchanged":
        other = suggest(source, architecture, opinion.moves)
        if _is_moved(alignment, align(source, architecture, other.rules), opinion.moves):
            suggestion = other
        else:
            opinion = replace(opinion, outcome="contradicted", settled=frozenset())
    return replace(suggestion, by_order=suggestion.by_order - opinion.settled, second_opinion=opinion)


def _is_moved(before: Alignment, now: Alignment, moves: Mapping[str, str]) -> bool:
    """Whether every key of the network now has the source that the moves want for it."""
    for key, recipe in now.recipes.items():
        module, dot, leaf = key.rpartition(".")
        wanted = before.recipes.get(f"{moves[module]}{dot}{leaf}" if module in moves else key)
        if wanted is None or wanted.sources != recipe.sources:
            return False
    return len(now.recipes) == len(before.recipes)


def second_opinion(alignment: Alignment) -> SecondOpinion | None:
    """Ask the values about the doubted pairs of an alignment; None where none are, or it is no network that can be traced.

    Reads the convs and norms of the whole network.

    Raises:
        CorruptCheckpoint: a tensor's bytes do not have the checksum that the file keeps.
    """
    asked = alignment.doubted
    if not asked or alignment.state_dict.size > MOST_BYTES:
        return None
    graph = graph_of_architecture(alignment)
    if graph is None:
        return None
    weights = Weights(alignment.tensor)
    ranked = sorted(
        ((*_score(graph, weights.moved(moves)), len(moves), moves) for moves in _ways(graph, weights, asked)),
        key=lambda row: (row[0], row[2]),
    )
    misfit, evident, _, moves = ranked[0]
    if not evident:
        return SecondOpinion("no evidence", _none(graph, weights), asked)
    if len(ranked) > 1 and ranked[1][0] - misfit < LIKELIER:
        says = f"The values do not tell which place is right for {plural(len(asked), 'tensor')} ({named(asked)}): two ways fit alike."
        return SecondOpinion("undecided", says, asked)
    moves, ordered = _in_order(graph, weights, moves, asked)
    settled = frozenset(
        pair.checkpoint for pair in alignment.pairs if pair.checkpoint and pair.model and pair.model in set(asked)
    )
    usual = usual_fit([figures(row, ordered) for row in arrivals(graph, weights.moved(moves))]) or 0.0
    fits = f"what must arrive at the BatchNorms is what they kept (median correlation {usual:.3f})"
    if not moves:
        says = f"The values confirm the places that only the order of names gave to {plural(len(asked), 'tensor')}: {fits}."
        return SecondOpinion("confirmed", says, asked, {}, settled)
    says = f"The values say that the order of names is not the order in the network: with {plural(len(moves), 'layer')} in another's place ({listed(moves, 2)}), {fits}."
    return SecondOpinion("exchanged", says, asked, moves, settled)


def _score(graph: Graph, weights: Weights) -> tuple[float, bool]:
    """How badly the statistics follow from the weights, in natural logarithms of likelihood, and whether they do at all."""
    rows = [row for row in arrivals(graph, weights) if row.reads != "image" and is_finite(row)]
    side = side_of(rows)
    found = [figures(row, side) for row in rows]
    misfit = sum(row.channels * math.log(min(max(row.misfit, 1e-3), 3.0)) for row in found if row.misfit is not None)
    return misfit, is_evident(found)


def _ways(graph: Graph, weights: Weights, asked: tuple[str, ...]) -> Iterator[Moves]:
    """The ways to place the tied modules: what has one name inside the blocks is moved alike in all of them."""
    modules = {key.rpartition(".")[0] for key in asked}
    kinds: dict[str, dict[str, tuple[str, object]]] = {}
    for block in blocks_of(graph):
        inside: dict[str, tuple[str, object]] = {}
        for step in graph:
            if step.module in modules and step.module.startswith(f"{block.name}."):
                kernel = weights.kernel(step) if step.kind == "conv" else None
                norm = weights.norm(step.module) if step.kind == "norm" else None
                shape = kernel.squares.shape if kernel else len(norm.mean) if norm else None
                inside[step.module[len(block.name) + 1 :]] = (step.kind, shape)
        kinds[block.name] = inside
    slots = sorted({slot for inside in kinds.values() for slot in inside})
    convs = [slot for slot in slots if any(slot in inside and inside[slot][0] == "conv" for inside in kinds.values())]
    norms = [slot for slot in slots if slot not in convs]
    ways: dict[tuple[tuple[str, str], ...], Moves] = {}
    for conv_way, norm_way in product(permutations(convs), permutations(norms)):
        places = {**dict(zip(convs, conv_way, strict=True)), **dict(zip(norms, norm_way, strict=True))}
        moves = _in_all_blocks(kinds, places)
        ways.setdefault(tuple(sorted(moves.items())), moves)
        if len(ways) >= MOST_WAYS:
            break
    yield from ways.values()


def _in_all_blocks(kinds: Mapping[str, Mapping[str, tuple[str, object]]], places: Mapping[str, str]) -> Moves:
    """The moves in every block in which all tied modules that would move are of one size."""
    moves: Moves = {}
    for block, inside in kinds.items():
        here = {slot: places[slot] for slot in inside if places[slot] != slot}
        if all(source in inside and inside[source] == inside[slot] for slot, source in here.items()):
            moves.update({f"{block}.{slot}": f"{block}.{source}" for slot, source in here.items()})
    return moves


def _in_order(graph: Graph, weights: Weights, moves: Moves, asked: tuple[str, ...]) -> tuple[Moves, int]:
    """The moves with, besides, blocks exchanged whose order was doubted, as long as that gains; and the picture's side."""
    blocks = blocks_of(graph)
    modules = {key.rpartition(".")[0] for key in asked}
    doubted = {
        block.name
        for block in blocks
        if all(graph[at].module in modules for at in block.branch if graph[at].kind in ("conv", "norm"))
    }
    side = side_of([row for row in arrivals(graph, weights.moved(moves)) if is_finite(row)])
    for _ in range(MOST_EXCHANGES if doubted else 0):
        here = weights.moved(moves)
        best = [
            exchanges(stream, readers, side)[0]
            for stream, readers in stages_of(graph, blocks, here)
            if stream is not None
        ]
        best = [row for row in best if row.gain > LIKELIER and {row.first, row.second} <= doubted]
        if not best:
            break
        top = max(best, key=lambda row: row.gain)
        moves = _with_exchange(graph, moves, top.first, top.second)
    return moves, side


def _with_exchange(graph: Graph, moves: Moves, first: str, second: str) -> Moves:
    """The moves with two blocks exchanged, module by module."""
    made = dict(moves)
    for step in graph:
        for one, other in ((first, second), (second, first)):
            if step.module.startswith(f"{one}.") and step.kind in ("conv", "norm"):
                counterpart = other + step.module[len(one) :]
                made[step.module] = moves.get(counterpart, counterpart)
    return {module: source for module, source in made.items() if module != source}


def _none(graph: Graph, weights: Weights) -> str:
    usual = usual_fit([figures(row) for row in arrivals(graph, weights)])
    shown = "" if usual is None else f" (median correlation {usual:.2f})"
    return f"No evidence: the file's statistics do not follow from its weights in any order{shown}, so it was not trained as it is; the pairs stand as the order of names has them."
