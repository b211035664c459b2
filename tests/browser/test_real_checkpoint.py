"""A real checkpoint by upload: file in, suggestion accepted, loaded, ten images in, ten right answers."""

import json
from pathlib import Path

import pytest

from tests.browser.explorer import Explorer

REAL = Path(__file__).parents[3] / "shared" / "real"


@pytest.mark.skipif(not REAL.exists(), reason="the real weights are not beside this checkout")
def test_a_real_cifar_checkpoint_gives_ten_right_answers(tab: Explorer) -> None:
    expected = json.loads((REAL / "expected.json").read_text())
    said = dict(zip(expected["images"], expected["predictions"]["resnet20-12fca82f.th"], strict=True))
    right: dict[str, str] = {}
    for name, row in said.items():
        if name.startswith(row["label"]) and row["probability"] > 0.9:
            right.setdefault(row["label"], name)
    assert len(right) == 10

    tab.drops(REAL / "resnet20-12fca82f.th")
    tab.says("say-good-facts", "resnet20-12fca82f.th")
    tab.pictured("open")
    tab.aligns()
    tab.verdict_is("COMPLETE")
    assert tab.rules(2) == ["strip prefix 'module.'", "rename 'linear.' -> 'fc.'"]
    tab.pictured("align")
    tab.loads()
    tab.pictured("load")
    tab.tries()
    tab.types("mean", "0.485, 0.456, 0.406")
    tab.sees("mean 0.485, 0.456, 0.406")
    tab.types("std", "0.229, 0.224, 0.225")
    tab.sees("std 0.229, 0.224, 0.225")
    tab.chooses("labels-source", "cifar10")
    tab.drops([REAL / "images" / name for name in right.values()], key="pictures")
    cards = tab.answers(10)
    for card, (label, name) in zip(cards, right.items(), strict=True):
        called, percent, *file = card.split()
        assert (called, "".join(file)) == (label, name)
        assert float(percent.rstrip("%")) / 100 == pytest.approx(said[name]["probability"], abs=0.001)
    tab.by_key("answer-9").scroll_into_view_if_needed()
    tab.pictured("predict")
