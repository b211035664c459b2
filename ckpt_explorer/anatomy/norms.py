"""Which norm stands behind which conv: by nesting, numbers and neighbourhood of their names, and by their sizes."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import permutations
from operator import itemgetter
from typing import NamedTuple

from ckpt_explorer.anatomy.blocks import Block, Slot
from ckpt_explorer.anatomy.layers import Layer, without_one
from ckpt_explorer.anatomy.tokens import Tokens, bare, letter, number, rank

MOST_NORMS = 7
"""Norms of one block that are compared; a plain block has four."""


class Match(NamedTuple):
    """A conv's norm; `by_order` where names say nothing and the first norm was taken for the first conv."""

    norm: Layer
    by_order: bool


def norms_of_blocks(blocks: Sequence[Block], norms: Sequence[Layer]) -> dict[int, Match]:
    """The norm behind each conv of these blocks, by the conv's id."""
    inside = _inside(blocks, norms)
    apart = [norm for norm in norms if norm not in inside[1]]
    matches: dict[int, Match] = {}
    classes: dict[object, list[tuple[Block, list[Layer]]]] = defaultdict(list)
    for block in blocks:
        mine = inside[0].get(id(block), [])[:MOST_NORMS]
        slots = tuple((slot, block.place(layer)) for slot, layer in sorted(block.inside.items()))
        names = tuple("".join(norm.path[len(block.root) :]) for norm in mine)
        if mine and block.nested:
            classes[(slots, names)].append((block, mine))
    for members in classes.values():
        _match_class(members, matches)
    alone = [layer for block in blocks for layer in block.convs.values() if id(layer) not in matches]
    if alone and apart:
        matches.update(by_name(alone, apart))
    return matches


def _inside(blocks: Sequence[Block], norms: Sequence[Layer]) -> tuple[dict[int, list[Layer]], set[Layer]]:
    """The norms below each block's root, by the block's id."""
    roots = {block.root: id(block) for block in blocks if block.nested}
    depths = sorted({len(root) for root in roots}, reverse=True)
    found: dict[int, list[Layer]] = defaultdict(list)
    taken: set[Layer] = set()
    for norm in norms:
        for depth in depths:
            block = roots.get(norm.path[:depth])
            if block is not None:
                found[block].append(norm)
                taken.add(norm)
                break
    return found, taken


def _match_class(members: list[tuple[Block, list[Layer]]], matches: dict[int, Match]) -> None:
    """Match convs and norms of all blocks that have the same names inside, in the same way."""
    block, norms = members[0]
    slots = sorted(block.inside)
    fits = [
        [all(other[at].out == one.convs[slot].out for one, other in members) for at in range(len(norms))]
        for slot in slots
    ]
    depth = len(block.root)
    likeness = [[_likeness(block.convs[slot].path[depth:], norm.path[depth:]) for norm in norms] for slot in slots]
    best, chosen, equals = float("-inf"), None, 0
    for way in permutations(range(len(norms)), len(slots)):  # none where there are fewer norms than convs
        if not all(fits[row][at] for row, at in enumerate(way)):
            continue
        score = sum(likeness[row][at] for row, at in enumerate(way))
        if score > best:
            best, chosen, equals = score, way, 1
        elif score == best:
            equals += 1
    if chosen is None or (len(norms) > len(slots) and _contradicted(likeness, best)):
        return _match_some(members, slots, likeness, matches)
    for one, mine in members:
        for row, at in enumerate(chosen):
            matches[id(one.convs[slots[row]])] = Match(mine[at], equals > 1)
    return None


def _contradicted(likeness: list[list[int]], best: float) -> bool:
    """Whether the names alone would match convs and norms in another way than sizes let them."""
    ways = permutations(range(len(likeness[0])), len(likeness))
    return max(sum(likeness[row][at] for row, at in enumerate(way)) for way in ways) > best


def _match_some(
    members: list[tuple[Block, list[Layer]]],
    slots: Sequence[Slot],
    likeness: list[list[int]],
    matches: dict[int, Match],
) -> None:
    """Where not every conv has a norm of its size: the likeliest by name, where that one has the size."""
    order = sorted((-likeness[row][at], row, at) for row in range(len(slots)) for at in range(len(members[0][1])))
    rows: set[int] = set()
    taken: set[int] = set()
    for _, row, at in order:
        if row in rows or at in taken:
            continue
        rows.add(row)
        taken.add(at)
        for block, norms in members:
            conv = block.convs[slots[row]]
            if norms[at].out == conv.out:
                matches[id(conv)] = Match(norms[at], False)


def _likeness(conv: Tokens, norm: Tokens) -> int:
    """How much the names of a conv and of a norm belong together."""
    front = 0
    for a, b in zip(conv, norm, strict=False):
        if bare(a) != bare(b):
            break
        front += 1
    score = 8 * front
    if front == len(conv):
        score += 100
    mine, theirs = _counts(conv), _counts(norm)
    if mine == theirs:
        score += 20 if mine else 5
    if front == len(conv) - 1 == len(norm) - 1:
        here, there = number(conv[-1]), number(norm[-1])
        if here is not None and there is not None:
            step = there - here
            score += 32 - 2 * step if step > 0 else -10
    words = {bare(token) for token in conv} & {bare(token) for token in norm}
    return score + 4 * sum(rank(word)[0] == 1 for word in words)


def _counts(path: Tokens) -> list[object]:
    """Numbers and single letters of a path, in order."""
    return [rank(token) for token in path if rank(token)[0] == 0 or letter(token) is not None]


def nearest(conv: Layer, norms: Sequence[Layer]) -> Match | None:
    """The norm that stands nearest to a conv by name; None where none does: of several strangers none is chosen."""
    if not norms:
        return None
    own = _last_number(conv.path)
    scored = [
        (_likeness(conv.path, norm.path) + 20 * (own is not None and own == _last_number(norm.path)), norm)
        for norm in norms
    ]
    best = max(score for score, _ in scored)
    equals = [norm for score, norm in scored if score == best]
    if len(norms) > 1 and best < 20:
        return None
    return Match(equals[0], len(equals) > 1)


def by_name(convs: Sequence[Layer], norms: Sequence[Layer]) -> dict[int, Match]:
    """Norms whose names differ from a conv's in one token, `bn2a_branch1` for `res2a_branch1`, or that are next to it."""
    by_words: dict[tuple[str, ...], list[Layer]] = defaultdict(list)
    for norm in norms:
        for words in without_one(norm.path):
            by_words[words].append(norm)
    lists = _numbered(norms)
    matches: dict[int, Match] = {}
    taken: set[int] = set()
    left: list[Layer] = []
    for conv in convs:
        near = {
            id(norm): norm
            for words in without_one(conv.path)
            for norm in by_words.get(words, ())[:50]
            if norm.out == conv.out and id(norm) not in taken
        }
        same = [norm for norm in near.values() if _counts(norm.path) == _counts(conv.path)]
        closest = max(same, key=lambda norm: _likeness(conv.path, norm.path), default=None)
        closest = closest or _behind(conv, lists, taken)
        if closest is None:
            left.append(conv)
            continue
        taken.add(id(closest))
        matches[id(conv)] = Match(closest, False)
    rest = [norm for norm in norms if id(norm) not in taken]
    matches.update(_by_last_number(left, rest))
    return matches


def _numbered(norms: Sequence[Layer]) -> dict[Tokens, list[tuple[int, Layer]]]:
    """The norms whose names end in a number, by what stands in front of it, in the order of the numbers."""
    lists: dict[Tokens, list[tuple[int, Layer]]] = defaultdict(list)
    for norm in norms:
        at = number(norm.path[-1])
        if at is not None:
            lists[norm.path[:-1]].append((at, norm))
    for listed in lists.values():
        listed.sort(key=itemgetter(0))
    return lists


def _behind(conv: Layer, lists: Mapping[Tokens, list[tuple[int, Layer]]], taken: set[int]) -> Layer | None:
    """The next norm behind a conv in one numbered list, as `shortcut.1` is behind `shortcut.0`."""
    at, listed = number(conv.path[-1]), lists.get(conv.path[:-1], [])
    after = bisect_right(listed, at, key=itemgetter(0)) if at is not None else len(listed)
    norm = listed[after][1] if after < len(listed) else None
    return norm if norm is not None and norm.out == conv.out and id(norm) not in taken else None


def _by_last_number(convs: Sequence[Layer], norms: Sequence[Layer]) -> dict[int, Match]:
    """Norms that have a conv's own number, where every conv finds one of its size: `bn_17` for `conv_17`."""
    by_number: dict[int | None, list[Layer]] = defaultdict(list)
    for norm in norms:
        by_number[_last_number(norm.path)].append(norm)
    found: dict[int, Match] = {}
    for conv in convs:
        same = by_number.get(_last_number(conv.path), [])
        fitting = [norm for norm in same if norm.out == conv.out]
        if len(fitting) != 1 or _last_number(conv.path) is None:
            return {}
        found[id(conv)] = Match(fitting[0], False)
    return found


def _last_number(path: Tokens) -> int | None:
    return next((found for token in reversed(path) if (found := number(token)) is not None), None)
