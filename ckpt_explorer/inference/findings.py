"""Findings: what the answers themselves say is wrong, though everything was loaded. Rows S4 and S6 of the catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ckpt_explorer.errors import Diagnosis
from ckpt_explorer.inference.judgement import Judgement
from ckpt_explorer.inference.prediction import FailedImage, Prediction
from ckpt_explorer.text import visible

ENOUGH = 20
"""Pictures before anything is said of all of them."""

ONE_ANSWER = 0.9
"""The share of pictures with one and the same answer that is more than chance, where several classes are there."""

UNSURE = 3.0
"""Times the probability of blind guessing: in the mean no more than this is a network that recognises nothing."""

_TRY_OTHERS = "try another preprocessing on the same pictures: the order of channels, 0..255 against 0..1, the mean."


def findings(answers: Sequence[Prediction | FailedImage], judgement: Judgement | None) -> tuple[Diagnosis, ...]:
    """What to doubt, the surest first; empty where nothing is to be said, or there are too few pictures to say it."""
    found: list[Diagnosis] = []
    if judgement is not None and judgement.order is not None:
        found.append(
            Diagnosis("S6", judgement.order.says, "take this order, or give the list that was used in training.")
        )
        return tuple(found)
    good = [row for row in answers if isinstance(row, Prediction) and row.top[0].probability is not None]
    if len(good) < ENOUGH:
        return ()
    (index, count), *_ = Counter(row.top[0].index for row in good).most_common(1)
    truths = None if judgement is None else int((judgement.confusion.sum(axis=1) > 0).sum())
    label = next((row.top[0].label for row in good if row.top[0].index == index), None)
    if count >= ONE_ANSWER * len(good) and truths != 1:
        called = visible(label, 60) if label else f"class {index}"
        found.append(
            Diagnosis("S4", f"{count:,} of {len(good):,} pictures get the same answer ({called})", _TRY_OTHERS)
        )
    classes = good[0].output_shape[1] if len(good[0].output_shape) > 1 else len(good[0].top)
    mean = sum(row.top[0].probability or 0.0 for row in good) / len(good)
    if not found and classes >= 5 and mean < min(UNSURE / classes, 0.5):
        found.append(
            Diagnosis("S4", f"The network is sure of nothing: {mean:.0%} for its first answer in the mean", _TRY_OTHERS)
        )
    return tuple(found)
