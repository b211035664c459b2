"""A file that holds the network twice, raw and averaged: both answer the same pictures, side by side."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch
from playwright.sync_api import expect

from ckpt_explorer.examples import DIGITS, WEIGHTS, example_images, facts
from ckpt_explorer.reading import open_checkpoint
from tests.browser.conftest import NewTab


@pytest.fixture(scope="module")
def two_copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits example as a training script saves it, with an averaged copy, under other names, that mixes up 3 and 5."""
    state_dict = open_checkpoint(WEIGHTS).state_dict
    raw = {key: state_dict.tensor(key).clone() for key in state_dict}
    order = torch.arange(10)
    order[[3, 5]] = torch.tensor([5, 3])
    averaged = raw | {key: raw[key][order] for key in ("fc.weight", "fc.bias")}
    file = tmp_path_factory.mktemp("two") / "digits_with_ema.pth"
    torch.save({"state_dict": raw, "state_dict_ema": {f"module.{key}": row for key, row in averaged.items()}}, file)
    return file


@pytest.fixture(scope="module")
def digits_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty held-out digits in folders of their names."""
    file = tmp_path_factory.mktemp("zip") / "digits.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for path in example_images()[::6]:
            archive.write(path, f"{DIGITS[facts()['images'][path.name]]}/{path.name}")
    return file


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 900)])
def test_the_other_copy_of_the_file_answers_the_same_pictures_beside_the_loaded_one(
    new_tab: NewTab, two_copies: Path, digits_zip: Path, scheme: str, width: int
) -> None:
    tab = new_tab(width=width, scheme=scheme)
    tab.drops(two_copies)
    tab.says("say-good-facts", "digits_with_ema.pth")
    tab.aligns()
    tab.verdict_is("COMPLETE")
    tab.loads()
    tab.tries()
    tab.chooses("labels-source", "digits")
    tab.drops(digits_zip, key="pictures")
    tab.sees("60 pictures · output shape")
    expect(tab.by_key("where-it-looked").locator("img")).to_be_visible()
    tab.does_not_see("with it")
    expect(tab.by_key("compared")).to_have_count(0)
    tab.chooses("compare-with", "state_dict")
    tab.sees("Answer 60 pictures with it")
    tab.click("compare")
    truth = [facts()["images"][path.name] for path in example_images()[::6]]
    mixed_up = sum(digit in (3, 5) for digit in truth)
    tab.says("say-note-compared", f"Both give the same answer to {60 - mixed_up} of 60 pictures")
    said = tab.by_key("say-note-compared").inner_text()
    assert "loaded: " in said
    assert "other: state_dict" in said
    assert "100.0% right (60 of 60)" in said
    assert f"right ({60 - mixed_up} of 60)" in said
    card = tab.by_key("differs-0").inner_text()
    assert "three" in card
    assert "five" in card
    expect(tab.by_key("differs-0").locator("img")).to_be_visible()
    expect(tab.by_key("both-answers").locator("canvas").first).to_be_visible()
    tab.no_sideways_scrolling()
    assert tab.problems == []
