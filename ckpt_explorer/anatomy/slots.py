"""Which conv of a block is which, where shapes leave a choice: the same name means the same place in every block."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from ckpt_explorer.anatomy.blocks import Block, Convs, Slot
from ckpt_explorer.anatomy.tokens import bare, counts_up, natural, number, shared_front

SHORTCUT_WORDS = frozenset(
    (
        "downsample",
        "shortcut",
        "skip",
        "identity",
        "proj",
        "projection",
        "idconv",
        "idpath",
        "match",
        "down",
        "ds",
        "sc",
    )
)


def settle(blocks: Sequence[Block]) -> None:
    """Choose a reading for every block, so that a place in the block has the same slot everywhere.

    Blocks that can be read in one way only vote. Where no vote helps, a shortcut is known by its usual names, and
    of two convs of one shape the one with the smaller number or ordinal is the first; where names do not count, the
    alphabet decides, and the block says so.
    """
    _lower_roots(blocks)
    votes: dict[str, Counter[Slot]] = defaultdict(Counter)
    for block in blocks:
        for layer in block.members:
            slots = {slot for way in block.readings for slot, conv in way.items() if conv is layer}
            if len(slots) == 1:
                votes[block.place(layer)][next(iter(slots))] += 1
    chosen: dict[tuple[str, ...], tuple[tuple[Slot, ...], bool]] = {}
    for block in blocks:
        if len(block.readings) == 1:
            continue
        places = tuple(block.place(layer) for layer in block.members)
        shapes = tuple(f"{layer.out},{layer.inputs},{layer.kernel}" for layer in block.members)
        key = (*places, *shapes)
        if key not in chosen:
            way, by_order = _best(block, votes)
            slot_of = {id(conv): slot for slot, conv in way.items()}
            chosen[key] = (tuple(slot_of[id(layer)] for layer in block.members), by_order)
        slots_of, by_order = chosen[key]
        block.convs = dict(zip(slots_of, block.members, strict=True))
        block.by_order = by_order


def _best(block: Block, votes: dict[str, Counter[Slot]]) -> tuple[Convs, bool]:
    def share(way: Convs) -> float:
        total = 0.0
        for slot, conv in way.items():
            cast = votes.get(block.place(conv))
            if cast:
                total += cast[slot] / cast.total()
        return total

    def named(way: Convs) -> int:
        conv = way.get("shortcut")
        if conv is None:
            return 0
        words = set(map(bare, conv.path[len(block.root) :])) if block.nested else set()
        return len(words & SHORTCUT_WORDS)

    def order(way: Convs) -> list[object]:
        return [natural(conv.path) for slot, conv in sorted(way.items())]

    scores = [(share(way), named(way)) for way in block.readings]
    best = max(scores)
    equals = [way for way, score in zip(block.readings, scores, strict=True) if score == best]
    way = min(equals, key=order)
    return way, len(equals) > 1 and not _ordered(way, equals)


def _ordered(way: Convs, equals: list[Convs]) -> bool:
    """Whether numbers or ordinals in the names, and not the alphabet alone, tell the equal readings apart."""
    for other in equals:
        for slot, conv in way.items():
            rival = other[slot]
            if rival is conv:
                continue
            common = shared_front(conv.path, rival.path)
            ends = [path[common] if len(path) > common else "" for path in (conv.path, rival.path)]
            if not all(end == "" or counts_up(end) for end in ends):
                return False
    return True


def _lower_roots(blocks: Sequence[Block]) -> None:
    """Move the root of a block that is alone in its stage below the stage's own index, as in stages of several.

    Where siblings with numbers give as many channels, the number is that of the block: what is below it is its own.
    """
    nested = [block for block in blocks if block.nested]
    siblings = Counter((block.root[:-1], block.out) for block in nested)
    nested = [
        block for block in nested if siblings[(block.root[:-1], block.out)] == 1 or number(block.root[-1]) is None
    ]
    fronts = {}
    for block in nested:
        path = block.members[0].path
        front = fronts[id(block)] = min(shared_front(path, layer.path) for layer in block.members[1:])
        while len(block.root) < front and number(path[len(block.root)]) is not None:
            block.root = path[: len(block.root) + 1]
    known = Counter(block.place(layer) for block in nested for layer in block.members)
    for block in nested:
        depth, front = len(block.root), fronts[id(block)]
        if front <= depth or all(known[block.place(layer)] > 1 for layer in block.members):
            continue
        path = block.members[0].path
        known_at = [
            sum(known["".join(layer.path[at:])] > (at == depth) for layer in block.members)
            for at in range(depth, front + 1)
        ]
        best = depth + max(
            range(len(known_at)), key=[(count, -step) for step, count in enumerate(known_at)].__getitem__
        )
        if known_at[best - depth] == 0:
            numbers = [at for at in range(depth, front) if number(path[at]) is not None]
            best = numbers[-1] + 1 if numbers else depth
        block.root = path[:best]
