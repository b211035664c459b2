"""Do the chunks of a tensor fill it, with no hole and no overlap?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from math import prod

MAX_COMPARISONS = 5_000_000
"""Of chunk with chunk: as many as thousands of processes need, and done in seconds."""

Box = tuple[tuple[int, ...], tuple[int, ...]]
"""At which index it begins, and its sides."""


def fill(boxes: Sequence[Box], shape: tuple[int, ...]) -> bool | None:
    """Whether `boxes`, each within `shape` and none empty, fill it exactly; None where that takes too long to tell.

    They do if no two overlap and their volumes add up. Along the dimension in which most begin at different places,
    each is compared only with those that have not ended yet.
    """
    if sum(prod(sides) for _, sides in boxes) != prod(shape):
        return False
    if len(boxes) < 2:
        return True
    along = max(range(len(shape)), key=lambda dimension: len({start[dimension] for start, _ in boxes}))
    going_on: list[Box] = []
    compared = 0
    for box in sorted(boxes, key=lambda box: box[0][along]):
        now = box[0][along]
        going_on = [other for other in going_on if other[0][along] + other[1][along] > now]
        compared += len(going_on)
        if compared > MAX_COMPARISONS:
            return None
        if any(map(_overlap, going_on, repeat(box))):
            return False
        going_on.append(box)
    return True


def _overlap(one: Box, other: Box) -> bool:
    return all(
        first < second + side and second < first + width
        for first, width, second, side in zip(*one, *other, strict=True)
    )
