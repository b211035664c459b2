"""Residual blocks: sets of convs whose channels make a basic block or a bottleneck, found by nesting or by counting.

A block is a part of the name tree that holds two convs with a kernel (basic), or 1x1, kernel, 1x1 (bottleneck), each
with or without a 1x1 conv around it. The largest such part counts. Where blocks are not nested (all convs of a stage
or of the network stand side by side, numbered), they are read off the numbered sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Literal

from ckpt_explorer.anatomy.layers import Layer
from ckpt_explorer.anatomy.tokens import Tokens, number

Slot = Literal["conv1", "conv2", "conv3", "shortcut"]
Convs = dict[Slot, Layer]

MOST_CONVS = 16
"""A part with more convs than this is no single block, also when some of them are gates."""


@dataclass(slots=True, eq=False)
class Block:
    """A residual block: its root in the name tree, the ways in which its convs can be read, and what else is in it.

    `convs` is the reading that was settled on; `by_order` says that nothing but alphabetical order chose it. A block
    that was counted off a sequence is not `nested`: its root is that of the sequence. `channels` that arrive and leave are
    given where a conv is missing.
    """

    root: Tokens
    members: tuple[Layer, ...]
    readings: list[Convs]
    extra: tuple[Layer, ...] = ()
    nested: bool = True
    channels: tuple[int, int] | None = None
    convs: Convs = None  # type: ignore[assignment]
    by_order: bool = False

    def __post_init__(self) -> None:
        self.convs = self.readings[0]

    @property
    def inputs(self) -> int:
        """Channels that arrive."""
        if self.channels:
            return self.channels[0]
        if "shortcut" in self.convs:
            return self.convs["shortcut"].inputs
        first, second = self.convs["conv1"], self.convs["conv2"]
        groups = 1 if self.is_bottleneck else max(first.out // max(second.inputs, 1), 1)
        return first.inputs * groups

    @property
    def is_bottleneck(self) -> bool:
        """Whether it is 1x1, kernel, 1x1."""
        return "conv3" in self.convs

    @property
    def out(self) -> int:
        """Channels that leave."""
        return self.channels[1] if self.channels else self.convs["conv3" if self.is_bottleneck else "conv2"].out

    @property
    def inside(self) -> Convs:
        """The convs that lie below its root: a shortcut may lie elsewhere."""
        return {slot: conv for slot, conv in self.convs.items() if conv.path[: len(self.root)] == self.root}

    def place(self, layer: Layer) -> str:
        """Where a layer stands in the block, as a text that is the same in all blocks of a network."""
        if self.nested:
            return "".join(layer.path[len(self.root) :])
        return f"{len(self.members)}:{self.members.index(layer)}"


def readings(convs: Sequence[Layer]) -> list[Convs]:
    """All ways in which these convs make one residual block; none where they do not."""
    spatial = [conv for conv in convs if conv.kernel > 1]
    points = [conv for conv in convs if conv.kernel == 1]
    ways: list[Convs] = []
    if len(spatial) == 2 and len(points) <= 1:
        for first, last in permutations(spatial):
            if last.inputs and first.out % last.inputs == 0 and _around(points, first, last):
                ways.append({"conv1": first, "conv2": last, **({"shortcut": points[0]} if points else {})})
    elif len(spatial) == 1 and 2 <= len(points) <= 3:
        middle = spatial[0]
        for first, last, *rest in permutations(points):
            chained = middle.inputs and first.out == middle.out == last.inputs and first.out % middle.inputs == 0
            if chained and _around(rest, first, last):
                ways.append({"conv1": first, "conv2": middle, "conv3": last, **({"shortcut": rest[0]} if rest else {})})
    return ways


def _around(points: Sequence[Layer], first: Layer, last: Layer) -> bool:
    return all(
        first.inputs
        and conv.inputs % first.inputs == 0
        and conv.out == last.out
        and conv is not first
        and conv is not last
        for conv in points
    )


def blocks_of(convs: Sequence[Layer]) -> tuple[list[Block], list[Layer]]:
    """The residual blocks among `convs`, which are in the order of their names, and the convs that are in none."""
    convs = [conv for conv in convs if conv.dims >= 2 and min(conv.out, conv.inputs, conv.kernel) > 0]
    produced = {conv.out for conv in convs}
    blocks: list[Block] = []
    left: list[Layer] = []
    if convs:
        _nested(convs, 0, 0, produced, blocks, left)
    if left:
        counted, left = _counted(left, produced)
        blocks += counted
    return blocks, left


def _fed(ways: list[Convs], produced: set[int]) -> list[Convs]:
    """The readings whose first conv takes what some conv of the file gives: the image itself enters no block."""
    return [
        way
        for way in ways
        if any(out % max(way["conv1"].inputs, 1) == 0 for out in produced) and way["conv1"].inputs > 3
    ]


def _nested(
    convs: list[Layer], root: int, depth: int, produced: set[int], blocks: list[Block], left: list[Layer]
) -> None:
    """Go down the name tree: the part below `root` tokens is a block, or its parts are looked at."""
    if len(convs) == 1:
        left.append(convs[0])
        return
    small = root > 0 and len(convs) <= MOST_CONVS
    if small and (ways := _fed(readings(convs), produced)):
        blocks.append(Block(convs[0].path[:root], tuple(convs), ways))
        return
    while True:
        parts: dict[str, list[Layer]] = {}
        for conv in convs:
            parts.setdefault(conv.path[depth] if len(conv.path) > depth else "", []).append(conv)
        depth += 1
        if len(parts) > 1 or "" in parts:
            break
    if small and len(parts) <= 8 and (block := _with_gates(convs, root, parts, produced)):
        blocks.append(block)
        return
    for token, part in parts.items():
        if token:
            _nested(part, depth, depth, produced, blocks, left)
        else:
            left.extend(part)


def _with_gates(convs: list[Layer], root: int, parts: dict[str, list[Layer]], produced: set[int]) -> Block | None:
    """A block in which one or two parts are gates and the rest reads as a plain block."""
    gates = [token for token, part in parts.items() if all(map(_gates, part))]
    for count in (1, 2):
        for chosen in combinations(gates, count):
            extra = [conv for token in chosen for conv in parts[token]]
            rest = [conv for conv in convs if conv not in extra]
            if len(rest) >= 2 and (ways := _fed(readings(rest), produced)):
                return Block(convs[0].path[:root], tuple(rest), ways, tuple(extra))
    return None


def _gates(conv: Layer) -> bool:
    """Whether a conv can't be part of the main path: 1x1, or it makes a map of one or two channels."""
    return conv.kernel == 1 or conv.out <= 2


def _counted(left: list[Layer], produced: set[int]) -> tuple[list[Block], list[Layer]]:
    """Blocks in numbered sequences of convs that stand side by side, and the convs that are in none."""
    families: dict[Tokens, list[Layer]] = {}
    for conv in left:
        last = next(
            (at for at in range(len(conv.path) - 1, -1, -1) if number(conv.path[at]) is not None), len(conv.path)
        )
        families.setdefault(conv.path[:last], []).append(conv)
    blocks: list[Block] = []
    rest: list[Layer] = []
    for root, family in families.items():
        if sum(conv.kernel > 1 for conv in family) < 2:
            rest += family
            continue
        runs = [_read_off(family, start, produced) for start in (0, 1)]
        run, unread = min(runs, key=lambda found: len(found[1]))
        if not run or len(unread) > 1:
            rest += family
            continue
        blocks += [Block(root, tuple(members), ways, nested=False) for members, ways in run]
        rest += unread
    return blocks, rest


def _read_off(
    family: list[Layer], start: int, produced: set[int]
) -> tuple[list[tuple[list[Layer], list[Convs]]], list[Layer]]:
    """Blocks one behind the other in a sequence, each taking what the one before gave; and what is left over."""
    run: list[tuple[list[Layer], list[Convs]]] = []
    unread, at, arriving = family[:start], start, 0
    while at < len(family):
        for length in (4, 3, 2):
            members = family[at : at + length]
            ways = [way for way in _fed(readings(members), produced) if _follows(way, arriving)]
            if len(members) == length and ways:
                run.append((members, ways))
                arriving = ways[0]["conv3" if "conv3" in ways[0] else "conv2"].out
                at += length
                break
        else:
            unread.append(family[at])
            at += 1
    return run, unread


def _follows(way: Convs, arriving: int) -> bool:
    """Whether a block can take `arriving` channels (0: it is the first), and changes width in its first conv only."""
    basic = "conv3" not in way
    return (not arriving or arriving % way["conv1"].inputs == 0) and (not basic or way["conv1"].out == way["conv2"].out)


def with_shortcuts(blocks: Sequence[Block], left: list[Layer]) -> list[Layer]:
    """Give blocks that change the width the convs that do so beside them; returns the convs that are still left.

    Convs of shortcuts may stand in a list of their own, or by themselves: each must be the only one of its shape. Blocks
    that are nested get theirs only where each one gets one: networks whose shortcuts have no conv are common.
    """
    wanting = [block for block in blocks if "shortcut" not in block.convs and block.inputs != block.out]
    beside: dict[int, Layer] = {}
    for block in wanting:
        rivals = [other for other in wanting if (other.inputs, other.out) == (block.inputs, block.out)]
        fitting = [conv for conv in left if (conv.inputs, conv.out, conv.kernel) == (block.inputs, block.out, 1)]
        if len(fitting) == len(rivals) == 1:
            beside[id(block)] = fitting[0]
    if any(block.nested and id(block) not in beside for block in wanting):
        wanting = [block for block in wanting if not block.nested]
    for block in wanting:
        if conv := beside.get(id(block)):
            block.convs = {**block.convs, "shortcut": conv}
            block.members = (*block.members, conv)
            block.readings = [block.convs]
    taken = {id(block.convs.get("shortcut")) for block in wanting}
    return [conv for conv in left if id(conv) not in taken]
