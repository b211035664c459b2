"""Class order: are the answers right and only the names in another order than in training?

A network that learned its classes confuses them little, so its confusion matrix is nearly a diagonal. With the names
in another order it is nearly a permutation instead: the accuracy is poor, and with each output called by the class that
it mostly answers for, it is good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_explorer.inference.assignment import best_assignment
from ckpt_explorer.text import natural_order, plural

if TYPE_CHECKING:
    import numpy as np

LEAST_GAIN = 0.25
"""By how much the accuracy must rise: confusing two classes with each other gives less where there are ten or more."""

LEAST_ACCURACY = 0.5
"""What the other order must reach: below it the network knows too little for its answers to tell an order."""

NEARLY = 0.98
"""A usual order is taken where it makes this share as many right as the best of all does: it also says where classes
belong that have no picture."""

LEAST_PICTURES = 2
"""How many pictures of a class, in the mean, before the matrix says anything."""


@dataclass(frozen=True)
class ClassOrder:
    """Another order of the same names: `order[k]` is the index, as names are counted now, of what output k answers for.

    `accuracy` is what would be with it; `reason` says which orders these two seem to be, or is empty.
    """

    order: tuple[int, ...]
    accuracy: float
    now: float
    reason: str

    @property
    def says(self) -> str:
        """One sentence."""
        moved = sum(position != index for position, index in enumerate(self.order))
        why = f" ({self.reason})" if self.reason else ""
        return (
            f"Your labels look sorted otherwise than in training{why}: as they are, accuracy is {self.now:.0%}, and with "
            f"{plural(moved, 'class', 'classes')} moved it is {self.accuracy:.0%}"
        )

    def renamed(self, names: Sequence[str]) -> tuple[str, ...]:
        """`names` in the order that the answers speak for."""
        return tuple(names[index] for index in self.order)

    def as_json(self) -> dict[str, Any]:
        """Order, both accuracies and the reason."""
        return {"order": list(self.order), "accuracy": self.accuracy, "now": self.now, "reason": self.reason}


def suspected_order(confusion: np.ndarray[Any, Any], names: Sequence[str] | None) -> ClassOrder | None:
    """The order that the pictures speak for, where it is much better than the present one; else None.

    `confusion` (K, K) counts pictures by what they are (row) and by what was answered (column). Classes without a
    picture keep their place where they can.
    """
    import numpy as np

    total, size = int(confusion.sum()), len(confusion)
    seen = confusion.sum(axis=1) > 0
    if size < 2 or total < LEAST_PICTURES * int(seen.sum()) or int(seen.sum()) < 2:
        return None
    now = float(np.trace(confusion)) / total
    if now > 1 - LEAST_GAIN:
        return None
    # a little for staying, so that classes nothing is known of do not move; less than any picture in all
    free = best_assignment(confusion.T + np.eye(size) / (2 * size))

    def right(order: Sequence[int]) -> int:
        return sum(int(confusion[index, output]) for output, index in enumerate(order))

    order, reason = list(free), ""
    for said, usual in _usual_orders(size, names):
        if right(usual) >= right(free) * NEARLY and right(usual) > right(range(size)):
            order, reason = usual, said
            break
    accuracy = right(order) / total
    if accuracy < max(LEAST_ACCURACY, now + LEAST_GAIN):
        return None
    return ClassOrder(tuple(order), accuracy, now, reason)


_ORDERS: tuple[tuple[str, Callable[[str], Any]], ...] = (
    ("as text, where 10 comes before 2", lambda name: name),
    ("by number, where 2 comes before 10", natural_order),
    ("by alphabet, whatever the case", str.casefold),
)


def _usual_orders(size: int, names: Sequence[str] | None) -> Iterator[tuple[str, list[int]]]:
    """Orders that happen, each with its reason in words: for output k the index, as names are counted now."""
    called = list(names) if names is not None else [str(index) for index in range(size)]
    for said, key in _ORDERS:
        yield f"in training they were sorted {said}", sorted(range(size), key=lambda index: key(called[index]))
    for shift in (1, -1):
        yield (
            "all are off by 1, as when a background class comes first",
            [(index + shift) % size for index in range(size)],
        )
    yield "the order is turned round", list(range(size))[::-1]
