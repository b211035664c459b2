"""Judgement: what is right, what is confused, the worst mistakes, and labels in another order than in training."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from ckpt_explorer.inference.assignment import best_assignment
from ckpt_explorer.inference.class_order import suspected_order
from ckpt_explorer.inference.judgement import judge
from ckpt_explorer.inference.prediction import ClassScore, FailedImage, Prediction


def answered(image: str, *classes: int, sure: float = 0.9) -> Prediction:
    scores = tuple(ClassScore(index, None, sure / (place + 1), 1.0) for place, index in enumerate(classes))
    return Prediction(image, scores, (1, 6), 1.0)


def confusion(order: list[int], each: int, wrong: int = 0) -> np.ndarray:
    """Of each class `each` pictures; output k answers for class `order[k]`, but for `wrong` pictures of each class."""
    size = len(order)
    matrix = np.zeros((size, size), dtype=np.int64)
    for output, index in enumerate(order):
        matrix[index, output] += each - wrong
        matrix[index, (output + 1) % size] += wrong
    return matrix


def test_right_top_five_confusion_and_the_most_confident_mistakes() -> None:
    answers: list[Prediction | FailedImage] = [
        answered("a", 0, 1, 2, 3, 4),
        answered("b", 1, 0, 2, 3, 4, sure=0.6),
        answered("c", 2, 3, 4, 5, 1, sure=0.8),
        answered("unjudged", 1, 2, 3, 4, 5),
        FailedImage("d", "broken"),
    ]
    judged = judge(answers, {"a": 0, "b": 0, "c": 0, "d": 0}, 6)
    assert judged is not None
    assert (judged.pictures, judged.right, judged.top5) == (3, 1, 2)
    assert judged.confusion[0].tolist() == [1, 1, 1, 0, 0, 0]
    assert [(row.image, row.truth, row.answer) for row in judged.worst] == [("c", 0, 2), ("b", 0, 1)]
    assert judged.per_class == {0: (1, 3)}
    found = judged.as_json(list("uvwxyz"))
    assert (found["top1"], found["top5"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert found["per_class"] == [{"index": 0, "label": "u", "right": 1, "pictures": 3}]


def test_without_a_truth_there_is_no_judgement() -> None:
    assert judge([answered("a", 0)], {}, 6) is None
    assert judge([FailedImage("a", "broken")], {"a": 0}, 6) is None


def test_the_first_five_are_not_judged_where_fewer_are_known() -> None:
    judged = judge([answered("a", 0, 1)], {"a": 1}, 6)
    assert judged is not None and judged.top5 is None
    of_two = judge([answered("a", 0, 1)], {"a": 1}, 2)
    assert of_two is not None and of_two.top5 == 1


@pytest.mark.parametrize("seed", range(30))
def test_the_assignment_is_the_best_that_there_is(seed: int) -> None:
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 25))
    gains = random.integers(0, 6, (size, size)) if seed % 2 else random.random((size, size))
    found = best_assignment(gains)
    rows, columns = linear_sum_assignment(-gains)
    assert sorted(found) == list(range(size))
    assert gains[range(size), found].sum() == pytest.approx(gains[rows, columns].sum())


TEXT_ORDER = sorted(str(number) for number in range(12))
"""0, 1, 10, 11, 2, ... as folders sort where nobody counts."""


def test_labels_sorted_as_text_over_a_network_that_counted_are_found_and_named() -> None:
    trained = [str(number) for number in range(12)]
    order = [TEXT_ORDER.index(name) for name in trained]
    found = suspected_order(confusion(order, 10, wrong=1), TEXT_ORDER)
    assert found is not None
    assert list(found.renamed(TEXT_ORDER)) == trained
    assert found.accuracy == pytest.approx(0.9)
    assert "by number, where 2 comes before 10" in found.reason
    assert found.says.startswith("Your labels look sorted otherwise than in training (in training they were sorted by")
    assert found.says.endswith("it is 90%")


def test_a_usual_order_also_places_the_classes_without_a_picture() -> None:
    order = [TEXT_ORDER.index(str(number)) for number in range(12)]
    matrix = confusion(order, 10)
    matrix[[3, 7]] = 0
    found = suspected_order(matrix, TEXT_ORDER)
    assert found is not None and list(found.order) == order


def test_names_that_are_off_by_one_are_told_as_that() -> None:
    found = suspected_order(confusion([1, 2, 3, 4, 0], 5), ["e", "b", "d", "a", "c"])
    assert found is not None and "off by 1" in found.reason


def test_an_order_without_a_rule_is_found_without_a_reason() -> None:
    order = [3, 0, 5, 1, 4, 2]
    found = suspected_order(confusion(order, 8), list("afcdbe"))
    assert found is not None and (list(found.order), found.reason) == (order, "")


@pytest.mark.parametrize(
    "matrix",
    [
        confusion([0, 1, 2, 3, 4, 5], 10, wrong=3),
        np.full((6, 6), 5),
        confusion([1, 0, 2, 3, 4, 5, 6, 7, 8, 9], 10),
        confusion([1, 2, 0], 1),
    ],
    ids=["right order, poor network", "knows nothing", "two classes confused", "too few pictures"],
)
def test_no_order_is_suspected_without_need(matrix: np.ndarray) -> None:
    assert suspected_order(matrix, None) is None
