"""How many answers stay the same with another preparation."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckpt_explorer import agreements, load, open_checkpoint, predict, propose
from ckpt_explorer.examples import WEIGHTS, example_images
from ckpt_explorer.inference.prediction import Prediction
from ckpt_explorer.inference.preprocessing import preprocessing


def test_agreement_counts_the_pictures_whose_first_class_stays(tmp_path: Path) -> None:
    loaded = load(propose(open_checkpoint(WEIGHTS)).alignment)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    images = [*example_images()[::12], broken]
    digits, far = (preprocessing(name, size=32, channels=1) for name in ("digits", "bytes"))
    told: list[tuple[int, int]] = []
    rows = agreements(
        loaded, images, digits, {"digits": digits, "bytes": far}, progress=lambda done, of: told.append((done, of))
    )
    one, two = (predict(loaded, images, preprocessing=steps, top=1) for steps in (digits, far))
    both = [
        (a.top[0].index, b.top[0].index)
        for a, b in zip(one, two, strict=True)
        if isinstance(a, Prediction) and isinstance(b, Prediction)
    ]
    assert [(row.name, row.same, row.pictures) for row in rows] == [
        ("digits", len(both), len(both)),
        ("bytes", sum(a == b for a, b in both), len(both)),
    ]
    assert len(both) == len(images) - 1 and rows[1].same < len(both)
    assert rows[0].says == f"{len(both)} of {len(both)} answers are the same with digits"
    assert told[-1] == (3 * len(images), 3 * len(images)) and told == sorted(told)


def test_the_work_can_be_abandoned() -> None:
    loaded = load(propose(open_checkpoint(WEIGHTS)).alignment)
    digits = preprocessing("digits", size=32, channels=1)

    def stop(_done: int, _of: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        agreements(loaded, example_images()[:2], digits, {"again": digits}, progress=stop)
