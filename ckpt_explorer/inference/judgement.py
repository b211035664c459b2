"""Judgement: how many answers are right, which classes are confused, and which mistakes were made with confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_explorer.inference.class_order import ClassOrder, suspected_order
from ckpt_explorer.inference.prediction import FailedImage, Prediction

if TYPE_CHECKING:
    import numpy as np

WORST = 50
TOP_FIVE = 5
MAX_CELLS_IN_JSON = 1000
"""Cells of a confusion matrix that are written out; the largest come first."""


@dataclass(frozen=True)
class Mistake:
    """A picture that was answered wrong, and how sure the network was of it."""

    image: str
    truth: int
    answer: int
    probability: float | None

    def as_json(self) -> dict[str, Any]:
        """All fields under their own names."""
        return {"image": self.image, "truth": self.truth, "answer": self.answer, "probability": self.probability}


@dataclass(frozen=True, eq=False)
class Judgement:
    """`confusion` (K, K) counts pictures by truth (row) and answer (column); `top5` counts those whose truth is among
    the first five, None where fewer were kept; `order` is another order of the classes that fits much better."""

    pictures: int
    right: int
    top5: int | None
    confusion: np.ndarray[Any, Any]
    worst: tuple[Mistake, ...]
    order: ClassOrder | None

    @property
    def accuracy(self) -> float:
        """The share of right answers, 0 to 1."""
        return self.right / self.pictures

    @property
    def per_class(self) -> dict[int, tuple[int, int]]:
        """By class how many were right, and of how many; without classes that have no picture."""
        totals = self.confusion.sum(axis=1)
        return {
            index: (int(self.confusion[index, index]), int(total)) for index, total in enumerate(totals) if int(total)
        }

    def as_json(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """`accuracy` in the answer of `predict`."""
        import numpy as np

        cells = [(int(row), int(column)) for row, column in zip(*np.nonzero(self.confusion), strict=True)]
        cells.sort(key=lambda cell: -int(self.confusion[cell]))

        def called(index: int) -> dict[str, str]:
            return {"label": names[index]} if names is not None else {}

        return {
            "pictures": self.pictures,
            "right": self.right,
            "top1": self.accuracy,
            "top5": None if self.top5 is None else self.top5 / self.pictures,
            "per_class": [
                {"index": index, **called(index), "right": right, "pictures": total}
                for index, (right, total) in self.per_class.items()
            ],
            "confusion": [
                {"truth": row, "answer": column, "pictures": int(self.confusion[row, column])}
                for row, column in cells[:MAX_CELLS_IN_JSON]
            ],
            "worst": [mistake.as_json() for mistake in self.worst],
            "class_order": None if self.order is None else {**self.order.as_json(), "says": self.order.says},
        }


def judge(
    answers: Sequence[Prediction | FailedImage],
    truth: Mapping[str, int],
    num_classes: int,
    names: Sequence[str] | None = None,
) -> Judgement | None:
    """The answers held against `truth`, class indices by picture name; None where no answered picture has one."""
    import numpy as np

    judged = [(row, truth[row.image]) for row in answers if isinstance(row, Prediction) and row.image in truth]
    judged = [(row, wanted) for row, wanted in judged if row.top[0].index < num_classes]
    if not judged:
        return None
    confusion = np.zeros((num_classes, num_classes), dtype=np.int64)
    for row, wanted in judged:
        confusion[wanted, row.top[0].index] += 1
    enough = min(TOP_FIVE, num_classes)
    top5 = sum(wanted in [score.index for score in row.top[:TOP_FIVE]] for row, wanted in judged)
    mistakes = [
        Mistake(row.image, wanted, row.top[0].index, row.top[0].probability)
        for row, wanted in judged
        if row.top[0].index != wanted
    ]
    mistakes.sort(key=lambda row: -(row.probability or 0.0))
    return Judgement(
        pictures=len(judged),
        right=len(judged) - len(mistakes),
        top5=top5 if all(len(row.top) >= enough for row, _ in judged) else None,
        confusion=confusion,
        worst=tuple(mistakes[:WORST]),
        order=suspected_order(confusion, names),
    )
