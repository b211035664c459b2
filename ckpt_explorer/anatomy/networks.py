"""networks_of(): residual blocks linked into whole networks, in the order in which data flows through them.

Siblings that count up are one run. Runs are linked where one takes what the other gives, has the same names inside
its blocks, and is its nearest relative by name; so that several copies of a network in one file stay apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ckpt_explorer.anatomy.blocks import Block
from ckpt_explorer.anatomy.tokens import Tokens, bare, counts_up, natural, shared_front

MOST_RUNS = 300
"""Runs that are linked; a file with more is no network that anyone trained."""


@dataclass(slots=True, eq=False)
class Run:
    """Blocks one behind the other that lie under one name. `by_order`: only the alphabet says which is first.

    `inputs` and `out` are the channels that arrive at the first block and leave the last one.
    """

    root: Tokens
    blocks: list[Block]
    by_order: bool
    places: frozenset[str]
    inputs: int = 0
    out: int = 0

    def __post_init__(self) -> None:
        self.inputs, self.out = self.blocks[0].inputs, self.blocks[-1].out


@dataclass(frozen=True, eq=False)
class Network:
    """The blocks of one network in order, and the root under which all of them lie."""

    blocks: tuple[Block, ...]
    root: Tokens
    by_order: frozenset[int]

    @property
    def dims(self) -> int:
        """Spatial axes of its convs: 2, or 3 for video and volumes."""
        return self.blocks[0].members[0].dims

    @property
    def stages(self) -> list[list[Block]]:
        """The blocks by stage: a stage begins where the width changes, or with a second group of names of one width."""
        stages: list[list[Block]] = []
        for block in self.blocks:
            if stages and stages[-1][-1].out == block.out:
                stages[-1].append(block)
            else:
                stages.append([block])
        return stages


def networks_of(blocks: Sequence[Block]) -> list[Network]:
    """The networks that these blocks make, the one with the most blocks first."""
    runs = _runs(blocks)[:MOST_RUNS]
    following = _links(runs)
    led = set(following.values())
    networks = []
    for position in range(len(runs)):
        if position in led:
            continue
        chain, at = [position], position
        while at in following:
            at = following[at]
            chain.append(at)
        networks.append(_network([runs[at] for at in chain]))
    return sorted(networks, key=lambda network: -len(network.blocks))


def _network(runs: list[Run]) -> Network:
    blocks = [block for run in runs for block in run.blocks]
    front = runs[0].blocks[0].root
    for run in runs:
        for block in (run.blocks[0], run.blocks[-1]):
            front = front[: shared_front(front, block.root)]
    while front and any(not _begins_a_part(run.blocks[0].root, len(front)) for run in runs):
        front = front[:-1]
    doubted = [id(block) for run in runs if run.by_order for block in run.blocks]
    return Network(tuple(blocks), front, frozenset(doubted))


def _begins_a_part(path: Tokens, at: int) -> bool:
    """Whether the token at this place has a separator in front, or the path ends before it."""
    return len(path) <= at or not path[at][0].isalnum()


def _runs(blocks: Sequence[Block]) -> list[Run]:
    siblings: dict[Tokens, list[Block]] = defaultdict(list)
    for block in blocks:
        siblings[block.root[:-1] if block.nested else block.root].append(block)
    runs: list[Run] = []
    for root, family in siblings.items():
        ordered = family if not family[0].nested else sorted(family, key=lambda block: natural(block.root))
        by_order = False
        if not _chained(ordered):
            by_width = sorted(ordered, key=lambda block: (block.out, block.inputs == block.out, natural(block.root)))
            ordered = by_width if _chained(by_width) else ordered
        if len(ordered) > 1 and family[0].nested:
            by_order = not _told_apart(ordered)
        piece: list[Block] = []
        for block in ordered:
            if piece and piece[-1].out != block.inputs:
                runs.append(_run(root, piece, by_order))
                piece = []
            piece.append(block)
        runs.append(_run(root, piece, by_order))
    return sorted(runs, key=lambda run: natural(run.root))


def _run(root: Tokens, blocks: list[Block], by_order: bool) -> Run:
    places = frozenset(
        block.place(layer) for block in blocks for slot, layer in block.convs.items() if slot != "shortcut"
    )
    return Run(root, blocks, by_order and len(blocks) > 1, places if blocks[0].nested else frozenset({"counted"}))


def _chained(blocks: Sequence[Block]) -> bool:
    return all(one.out == other.inputs for one, other in pairwise(blocks))


def _told_apart(blocks: Sequence[Block]) -> bool:
    """Whether siblings of one shape have names that count: numbers, letters, ordinals."""
    signatures: dict[tuple[int, int], list[Block]] = defaultdict(list)
    for block in blocks:
        signatures[(block.inputs, block.out)].append(block)
    return all(
        len(same) == 1 or all(not block.root or counts_up(block.root[-1]) for block in same)
        for same in signatures.values()
    )


def _links(runs: Sequence[Run]) -> dict[int, int]:
    """Which run follows on which, the nearest relatives first; each run follows on one and is followed by one."""
    by_inputs: dict[int, list[int]] = defaultdict(list)
    for position, run in enumerate(runs):
        by_inputs[run.inputs].append(position)
    possible: list[tuple[int, int, int, int]] = []
    for position, run in enumerate(runs):
        for other in by_inputs[run.out]:
            following = runs[other]
            if other == position or following.out < run.out or not (run.places & following.places):
                continue
            wider = following.out > run.out or following.inputs != following.out
            distance = abs(other - position)
            if not wider and (other < position or not _within(run.root, following.root)):
                continue
            possible.append(
                (-_kinship(run.root, following.root), 0 if wider else 1, distance, position * MOST_RUNS + other)
            )
    following_of: dict[int, int] = {}
    led: set[int] = set()
    for *_, code in sorted(possible):
        one, other = divmod(code, MOST_RUNS)
        if one not in following_of and other not in led and not _closes(one, other, following_of):
            following_of[one] = other
            led.add(other)
    return following_of


def _within(one: Tokens, other: Tokens) -> bool:
    """Whether one of two names begins with the other, as `res4b` does with `res4`."""
    shared = shared_front(one, other)
    return 0 < shared == min(len(one), len(other))


def _closes(one: int, other: int, following: dict[int, int]) -> bool:
    """Whether a link from `one` to `other` would make a ring."""
    at: int | None = other
    while at is not None:
        if at == one:
            return True
        at = following.get(at)
    return False


def _kinship(one: Tokens, other: Tokens) -> int:
    """How near two names are: the tokens that they share in front, and then at the end."""
    front = shared_front(one, other)
    rest = [(bare(a), bare(b)) for a, b in zip(reversed(one[front:]), reversed(other[front:]), strict=False)]
    back = next((at for at, (a, b) in enumerate(rest) if a != b), len(rest))
    return front + back
