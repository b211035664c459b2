"""Are the shortcuts those that the network was trained with? Where they have no parameters, no key shows them.

Shortcut A of He et al. 2015 pads new channels with zeros, in most projects around the old ones, in others all behind
them; and their plain networks, the same layers without any shortcut, have the same keys as those with A. What the
BatchNorms of a stage kept depends on which it is: the stream that they take is another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ckpt_explorer.evidence.wiring.graph import Graph
from ckpt_explorer.evidence.wiring.order import blocks_of

Shortcuts = Literal["behind", "none"]


@dataclass(frozen=True)
class Reading:
    """A graph with other shortcuts: what they are, in a sentence's words, and what can be done about it."""

    shortcuts: Shortcuts
    says: str
    next: str


BEHIND = Reading(
    "behind",
    "the zeros of the shortcuts stand behind the channels, and in the network that was built around them",
    "build it with --option zeros=behind (on the Align page: the network's options).",
)
NONE = Reading(
    "none",
    "there are no shortcuts: this is a plain network with the keys of a residual one",
    "give the class that it was trained with (--model): no network on offer is without shortcuts.",
)


def other_readings(graph: Graph) -> list[tuple[Reading, Graph]]:
    """The graph with each kind of shortcuts that its keys could have as well; none where every shortcut has keys."""
    found = []
    if any(step.kind == "pad" and min(step.padding) > 0 for step in graph):
        behind = [replace(step, padding=(0, sum(step.padding))) if step.kind == "pad" else step for step in graph]
        found.append((BEHIND, tuple(behind)))
    blocks = blocks_of(graph)
    if blocks and all(_has_no_keys(graph, block.source, block.sum_at) for block in blocks):
        last = {block.sum_at: block.branch[-1] for block in blocks}
        plain = [
            replace(step, kind="same", inputs=(last[at],)) if at in last else step for at, step in enumerate(graph)
        ]
        found.append((NONE, tuple(plain)))
    return found


def _has_no_keys(graph: Graph, source: int, at: int) -> bool:
    """Whether one side of a sum comes from `source` with nothing but slices and zeros on the way."""
    return any(_passes(graph, side, source) for side in graph[at].inputs)


def _passes(graph: Graph, at: int, source: int) -> bool:
    while at != source and graph[at].kind in ("same", "pad"):
        at = graph[at].inputs[0]
    return at == source


def explains(before: Sequence[object], left: Sequence[object]) -> bool:
    """Whether other shortcuts leave so few of the doubts that they, and no layer, are what is wrong."""
    return len(before) > 1 and 3 * len(left) <= len(before)
