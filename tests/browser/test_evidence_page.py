"""The page of evidence, read as a doubter would: a whole file, and the same with one layer spoilt."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from playwright.sync_api import expect
from torch import Tensor

from ckpt_explorer.examples import WEIGHTS, example_images
from ckpt_explorer.reading import open_checkpoint
from tests.browser.conftest import NewTab
from tests.browser.explorer import Explorer

LAYER = "layer2.1"
"""Where the spoilt files are spoilt: amid the network, so that layers before it are whole and layers behind it suffer."""


def trained() -> dict[str, Tensor]:
    """The weights of the digits example."""
    state_dict = open_checkpoint(WEIGHTS).state_dict
    return {key: state_dict.tensor(key).clone() for key in state_dict}


def shuffled() -> dict[str, Tensor]:
    """One conv gives its channels in another order."""
    weights, key = trained(), f"{LAYER}.conv1.weight"
    return weights | {key: weights[key].roll(len(weights[key]) // 2 + 1, 0)}


def untrained() -> dict[str, Tensor]:
    """One BatchNorm's statistics are as before training."""
    weights, norm = trained(), f"{LAYER}.bn1"
    mean, variance = f"{norm}.running_mean", f"{norm}.running_var"
    return weights | {mean: torch.zeros_like(weights[mean]), variance: torch.ones_like(weights[variance])}


def written(folder: Path, weights: dict[str, Tensor]) -> Path:
    file = folder / "digits.pth"
    torch.save(weights, file)
    return file


def looked_closer(tab: Explorer, file: Path) -> None:
    """From the upload to the evidence of the weights alone."""
    tab.drops(file)
    tab.says("say-good-facts", "digits.pth")
    tab.aligns()
    tab.verdict_is("COMPLETE")
    tab.loads()
    tab.click("verify")
    tab.sees("Wiring: ")


def with_pictures(tab: Explorer) -> None:
    """Over the Predict page, where pictures are given, and back to look again."""
    tab.tries()
    tab.drops(example_images()[::4], key="pictures")
    tab.sees("90 pictures · output shape")
    tab.goes_to("3 Load")
    tab.click("verify")
    expect(tab.page.locator('[class*="-self-check"]').first).to_be_visible()
    tab.idle()


def boxes(tab: Explorer) -> list[str]:
    """The sentences in boxes, from top to bottom, as `tone: sentence`."""
    found = tab.page.locator('[class*="st-key-say-"]').evaluate_all(
        "boxes => boxes.map(box => [box.className, box.innerText])"
    )
    return [f"{re.search('st-key-say-([a-z]+)-', name)[1]}: {text[3:]}" for name, text in found]  # type: ignore[index]


def drawn(tab: Explorer, chart: str) -> str:
    """All words of a figure."""
    expect(tab.by_key(chart).locator(".xtick").first).to_be_visible()
    return " ".join(tab.by_key(chart).locator("svg text").all_text_contents())


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 900)])
def test_of_a_whole_file_nothing_is_doubted_by_its_weights_nor_by_pictures(
    new_tab: NewTab, tmp_path: Path, scheme: str, width: int
) -> None:
    tab = new_tab(width=width, scheme=scheme)
    looked_closer(tab, written(tmp_path, trained()))
    tab.says("say-good-doubts", "Nothing is doubted, by the weights alone.")
    tab.sees("Not run: it looks at pictures of the kind that the network was trained on")
    with_pictures(tab)
    tab.says("say-good-doubts", "Nothing is doubted, by the weights and 90 pictures.")
    said = boxes(tab)
    assert not [text for text in said if text.startswith(("error", "warning"))]
    sentences = [text.split(": ", 1)[1] for text in said[1:]]
    doubter = [
        "Nothing is doubted",
        "Values",
        "Random",
        "Shape",
        "Health",
        "Two seeds",
        "Wiring",
        "BatchNorm self-check",
        "Preprocessing",
    ]
    kinds = [kind for sentence, kind in zip(sentences, doubter, strict=True) if sentence.startswith(kind)]
    assert kinds == doubter, "the answer first, then the evidence in the order of the questions"
    for chart in ("wiring-chart", "self-check-chart"):
        assert "layer2" in drawn(tab, chart) and "doubted" not in drawn(tab, chart)
    tab.no_sideways_scrolling()
    tab.goes_to("4 Predict")
    tab.says("say-good-doubts", "Nothing is doubted")
    assert tab.problems == []


@pytest.mark.parametrize(
    ("spoilt", "speaks", "scheme", "width"),
    [
        (shuffled, "is not what it kept (correlation ", "dark", 900),
        (untrained, "still at its start value", "light", 1440),
    ],
    ids=["one conv shuffled", "one BatchNorm untrained"],
)
def test_of_a_spoilt_file_the_layer_at_fault_is_named_first_and_the_doubt_stands_above_the_answers(
    new_tab: NewTab, tmp_path: Path, spoilt: Callable[[], dict[str, Tensor]], speaks: str, scheme: str, width: int
) -> None:
    tab = new_tab(width=width, scheme=scheme)
    looked_closer(tab, written(tmp_path, spoilt()))

    def doubted(closer: str) -> None:
        said = boxes(tab)
        assert said[0].startswith("error: The evidence speaks against this network, with 1 doubt"), closer
        assert said[1].startswith(f"error: {LAYER}.bn1") and speaks in said[1], closer
        assert not [text for text in said[2:] if text.startswith("error")], "said once"
        assert not [text for text in said if "Nothing is doubted" in text or "answers can be trusted as" in text]

    doubted("by the weights")
    assert f"{LAYER}.bn1 is doubted" in drawn(tab, "wiring-chart")
    with_pictures(tab)
    doubted("by pictures too")
    self_check = next(text for text in boxes(tab) if "BatchNorm self-check" in text)
    assert self_check.startswith(f"warning: BatchNorm self-check: {LAYER}.bn1 is the first layer that does not get")
    assert f"{LAYER}.bn1 is doubted" in drawn(tab, "self-check-chart")
    tab.no_sideways_scrolling()
    tab.goes_to("4 Predict")
    tab.sees("90 pictures · output shape")
    doubted("on the Predict page")
    doubt, answer = tab.by_key("say-error-doubt-0").bounding_box(), tab.by_key("answer-0").bounding_box()
    assert doubt is not None
    assert answer is not None
    assert doubt["y"] < answer["y"], "the doubt stands above the answers"
    assert tab.problems == []
