"""Where each row stands on the map: the network from left to right, stage by stage, a block a tile, a tensor an area.

An ordered treemap by strips (Bederson, Shneiderman and Wattenberg 2002, "Ordered and quantum treemaps"): neighbours in
the network are neighbours on the map, which a treemap sorted by size is not. Areas grow with the cube root of a
tensor's size, so that a BatchNorm of 64 values can be seen beside a conv of two million.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import NamedTuple
from weakref import WeakKeyDictionary

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.key_pair import KeyPair, Status

MOST_TILES = 2500
"""Tiles of a map; where there are more rows, a tile stands for a layer or for a block."""
WIDTH, HEIGHT = 5.0, 1.0
NARROWEST = 0.3
"""Width that every slab has at least."""
ENOUGH_WORSE = 3
"""Further counts of strips that are tried when boxes get longer again."""
GAP = 0.012
"""Space around a block, in units of the map's height."""
WITHOUT_PLACE = "extra"

WORST_FIRST = (
    Status.SHAPE_MISMATCH,
    Status.MISSING,
    Status.UNEXPECTED,
    Status.ADAPTED,
    Status.IGNORED,
    Status.MATCHED,
)
"""Of the rows that one tile stands for, the first of these colours it."""


class Box(NamedTuple):
    """A rectangle: left, bottom, width and height, on a map of WIDTH by HEIGHT."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Tile:
    """A rectangle of the map and the rows that it stands for: one, or all of a layer or block in a large network."""

    box: Box
    name: str
    rows: tuple[KeyPair, ...]

    @property
    def status(self) -> Status:
        """The row's status, or the worst of several."""
        found = {row.status for row in self.rows}
        return next(status for status in WORST_FIRST if status in found)


@dataclass(frozen=True)
class Slab:
    """A part of the network from the map's bottom to its top: stem, a stage, head, or what has no place."""

    name: str
    box: Box


class _Item(NamedTuple):
    part: str
    block: str
    name: str
    rows: tuple[KeyPair, ...]
    area: float


_KNOWN: WeakKeyDictionary[Alignment, tuple[tuple[Slab, ...], tuple[Tile, ...]]] = WeakKeyDictionary()


def laid_out(alignment: Alignment) -> tuple[tuple[Slab, ...], tuple[Tile, ...]]:
    """`lay_out`, done once for an alignment."""
    if alignment not in _KNOWN:
        _KNOWN[alignment] = lay_out(alignment)
    return _KNOWN[alignment]


def lay_out(alignment: Alignment) -> tuple[tuple[Slab, ...], tuple[Tile, ...]]:
    """The slabs and tiles of an alignment: the network's rows in its order, then the file's that have no place.

    Counters of batches, which no output depends on, and what a rule leaves out are not drawn.
    """
    items = _items(alignment)
    parts = [(name, list(rows)) for name, rows in groupby(items, key=lambda item: item.part)]
    slabs: list[Slab] = []
    tiles: list[Tile] = []
    x = 0.0
    for (name, rows), width in zip(parts, _widths([sum(item.area for item in rows) for _, rows in parts]), strict=True):
        box = Box(x, 0.0, width, HEIGHT)
        slabs.append(Slab(name, box))
        tiles += _blocks(rows, _shrunk(box, GAP))
        x += width
    return tuple(slabs), tuple(tiles)


def _widths(areas: Sequence[float]) -> list[float]:
    """Widths of slabs, by their areas; a narrow one is widened at the cost of all others."""
    total = sum(areas) or 1.0
    least = min(NARROWEST, WIDTH / max(len(areas), 1))
    wide = [max(WIDTH * area / total, least) for area in areas]
    spare = sum(width - least for width in wide)
    over = sum(wide) - WIDTH
    return [width - over * (width - least) / spare if spare else width for width in wide]


def _items(alignment: Alignment) -> list[_Item]:
    rows = [pair for pair in alignment.pairs if pair.status is not Status.IGNORED and not pair.is_counter]
    names = [pair.model or pair.renamed or pair.checkpoint or "" for pair in rows]
    depth = _depth(names)
    parts = _parts([name for name, pair in zip(names, rows, strict=True) if pair.model is not None])
    items = []
    grouped = groupby(zip(names, rows, strict=True), key=lambda row: (row[1].model is None, _cut(row[0], depth)))
    for (free, name), members in grouped:
        pairs = tuple(pair for _, pair in members)
        top = WITHOUT_PLACE if free else parts.get(_cut(name, 1), name)
        block = _cut(name, 2)
        items.append(_Item(top, block, name, pairs, sum(map(_area, pairs))))
    return items


def _depth(names: Sequence[str]) -> int:
    """Segments of a name that a tile stands for, so that there are not too many tiles."""
    for depth in (99, 4, 3, 2, 1):
        tiles = groupby(_cut(name, depth) for name in names)
        if sum(1 for _ in islice(tiles, MOST_TILES + 1)) <= MOST_TILES:
            return depth
    return 0


def _cut(name: str, depth: int) -> str:
    return ".".join(name.split(".", depth)[:depth])


def _parts(names: Sequence[str]) -> dict[str, str]:
    """The part of the map for each first segment: a stage of its own where numbered blocks follow, else its neighbours'."""
    tops: dict[str, bool] = {}
    for name in names:
        segments = name.split(".", 2)
        tops[segments[0]] = tops.get(segments[0], False) or (len(segments) > 2 and segments[1].isdigit())
    staged = [top for top, is_stage in tops.items() if is_stage]
    parts: dict[str, str] = {}
    for is_stage, run in groupby(tops, key=tops.__getitem__):
        run_names = list(run)
        if is_stage:
            parts.update({top: top for top in run_names})
        else:
            before = not any(top in parts for top in staged)
            label = ("stem" if before else "head") if staged else "network"
            parts.update(dict.fromkeys(run_names, label))
    return parts


def _area(pair: KeyPair) -> float:
    shape = pair.model_shape if pair.model_shape is not None else pair.checkpoint_shape or ()
    return float(max(math.prod(shape), 1) ** (1 / 3))


def _blocks(items: list[_Item], box: Box) -> Iterator[Tile]:
    blocks = [list(rows) for _, rows in groupby(items, key=lambda item: item.block)]
    sizes = [sum(item.area for item in rows) for rows in blocks]
    for rows, tile in zip(blocks, _strips(sizes, box), strict=True):
        inner = _shrunk(tile, GAP / 2)
        for item, place in zip(rows, _strips([item.area for item in rows], inner), strict=True):
            yield Tile(place, item.name, item.rows)


def _shrunk(box: Box, by: float) -> Box:
    by = min(by, box.width / 8, box.height / 8)
    return Box(box.x + by, box.y + by, box.width - 2 * by, box.height - 2 * by)


def _strips(sizes: Sequence[float], box: Box) -> list[Box]:
    """Boxes of these sizes in `box`, in strips from the top down, each read from left to right.

    Of the counts of strips of about equal area, the one whose boxes are nearest to squares.
    """
    total = sum(sizes)
    if not sizes or total <= 0:
        return []
    areas = [size * box.width * box.height / total for size in sizes]
    best: tuple[float, list[Box]] | None = None
    worse = 0
    for count in range(1, len(areas) + 1):
        made = _in_strips(areas, box, count)
        aspect = sum(max(one.width / one.height, one.height / one.width) for one in made)
        if best is None or aspect < best[0]:
            best, worse = (aspect, made), 0
        else:
            worse += 1
        if worse > ENOUGH_WORSE:
            break
    assert best is not None
    return best[1]


def _in_strips(areas: Sequence[float], box: Box, count: int) -> list[Box]:
    """The boxes in so many strips: a strip ends with the box at which its share of the whole is reached."""
    share = sum(areas) / count
    made: list[Box] = []
    top, at, behind = box.y + box.height, 0, 0.0
    for strip in range(1, count + 1):
        end = at
        while end < len(areas) and (end == at or strip == count or behind + areas[end] / 2 <= share * strip):
            behind += areas[end]
            end += 1
        if end == at:
            break
        height, x = sum(areas[at:end]) / box.width, box.x
        for area in areas[at:end]:
            made.append(Box(x, top - height, area / height, height))
            x += area / height
        top, at = top - height, end
    return made
