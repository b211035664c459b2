"""Class scores: found in whatever a network gives back, or refused with its shape."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from ckpt_explorer.errors import InferenceError
from ckpt_explorer.inference.class_scores import class_scores

LOGITS = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
FEATURES = torch.zeros(2, 7)
Aux = namedtuple("Aux", ["aux_logits", "logits"])


@dataclass
class ModelOutput:
    hidden: torch.Tensor
    logits: torch.Tensor


@pytest.mark.parametrize(
    ("output", "note"),
    [
        (LOGITS, ""),
        (LOGITS[:, :, None, None], ""),
        ((LOGITS, FEATURES), "The network gives back a tuple: the class scores are item 0."),
        ([LOGITS], "The network gives back a list: the class scores are item 0."),
        ((torch.zeros(2, 3, 4, 4), LOGITS), "The network gives back a tuple: the class scores are item 1."),
        (Aux(FEATURES, LOGITS), "The network gives back a Aux: the class scores are logits."),
        (ModelOutput(FEATURES, LOGITS), "The network gives back a ModelOutput: the class scores are logits."),
        (
            {"features": FEATURES, "out": LOGITS},
            "The network gives back a dict (features, out): the class scores are out.",
        ),
        (OrderedDict(loss=torch.tensor(1.0), head=LOGITS), "The network gives back a OrderedDict (loss, head): "),
        (
            {"out": torch.zeros(2, 5, 8, 8), "cls": LOGITS},
            "The network gives back a dict (out, cls): the class scores are cls.",
        ),
    ],
)
def test_the_scores_are_found_and_it_is_said_where(output: Any, note: str) -> None:
    found = class_scores(output, 2)
    assert torch.equal(found.logits, LOGITS)
    assert "".join(found.notes).startswith(note)
    assert bool(found.notes) == bool(note)


def test_one_picture_whose_batch_was_squeezed_away_still_has_scores() -> None:
    assert class_scores(LOGITS[0], 1).logits.shape == (1, 5)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (
            torch.zeros(2, 512, 7, 7),
            "The network's output has shape (2, 512, 7, 7), a map of 512 channels and no class scores",
        ),
        ({"out": torch.zeros(2, 21, 8, 8)}, "The network's output out has shape (2, 21, 8, 8), a map of 21 channels"),
        (
            torch.zeros(2, 9, 6),
            "The network's output has shape (2, 9, 6) for 2 pictures, and class scores are (2, classes)",
        ),
        (torch.zeros(3, 5), "The network's output has shape (3, 5) for 2 pictures"),
        (torch.zeros(()), "The network's output has shape () for 2 pictures"),
        (torch.zeros(2, 5, dtype=torch.long), "The network's output has shape (2, 5) and type torch.int64"),
        (torch.zeros(2, 0), "The network's output has shape (2, 0), which is empty"),
        (None, "The network gives back a NoneType without a tensor in it"),
        ("cat", "The network gives back a str without a tensor in it"),
        ({"a\x1b": 1}, "The network gives back a dict (a\\x1b) without a tensor in it"),
        ((), "The network gives back a tuple without a tensor in it"),
    ],
)
def test_an_output_without_scores_is_refused_with_its_shape(output: Any, says: str) -> None:
    with pytest.raises(InferenceError) as refused:
        class_scores(output, 2)
    assert str(refused.value).startswith(says)
    assert str(refused.value).endswith(".")
