"""The form of the preprocessing: found by the pictures, with what can't be told from it, and what the choice is worth."""

from __future__ import annotations

import pytest

from ckpt_explorer.examples import example_images
from tests.pages.tab import Tab

PICTURES = [(path.name, path.read_bytes()) for path in example_images()[::12]]


@pytest.fixture
def fits(tab: Tab) -> Tab:
    """The Predict page with the example that fits, loaded."""
    return tab.open_example("fits").go("load").click("load").go("predict")


@pytest.fixture
def wrong(fits: Tab) -> Tab:
    """The example with pictures, at a preprocessing and a size that it was not trained with."""
    fits.upload("pictures-", *PICTURES)
    return fits.choose("preset", "none").count("size", 48)


def test_the_pictures_find_the_numbers_and_the_size_and_the_answers_follow(wrong: Tab) -> None:
    before = list(wrong.table("second")["probability"])
    wrong.click("find-preprocessing")
    assert (wrong.field("preset"), wrong.field("mean"), wrong.field("std")) == ("digits", "0.5", "0.5")
    assert (wrong.field("size"), wrong.field("resize")) == (32, 32)
    says = wrong.box("preprocessing-found")
    assert "Preprocessing digits fits what the first layers were trained on" in says and "Size 32 px fits" in says
    assert list(wrong.table("second")["probability"]) != before
    ranking = wrong.table("preprocessing")
    assert ranking["preprocessing"].iloc[0] == "digits" and list(ranking["fits"]) == [True, *[False] * 4]
    assert "48 px" in list(wrong.table("size")["size"])


def test_what_was_found_stays_beside_another_choice_and_goes_with_the_pictures(wrong: Tab) -> None:
    wrong.click("find-preprocessing").choose("preset", "mnist")
    assert wrong.field("mean") == "0.1307" and wrong.has_box("preprocessing-found")
    wrong.go("align").go("predict")
    assert wrong.has_box("preprocessing-found")
    wrong.upload("pictures-", ("again.png", PICTURES[0][1]))
    assert not wrong.has_box("preprocessing-found") and wrong.field("mean") == "0.1307"


def test_answers_are_compared_with_what_is_near(wrong: Tab) -> None:
    wrong.click("find-preprocessing").click("compare-preprocessing")
    says = wrong.box("preprocessing-agreement")
    assert "Beside digits:" in says and f"of {len(PICTURES)} answers are the same with" in says


def test_without_pictures_nothing_can_be_asked(fits: Tab) -> None:
    assert not fits.has_button("find-preprocessing")


def test_pictures_that_can_not_be_read_are_an_error_and_the_form_stays(fits: Tab) -> None:
    fits.upload("pictures-", ("broken.png", b"\x89PNG\r\n\x1a\n broken")).write("mean", "0.4")
    fits.click("find-preprocessing")
    assert fits.boxes("error") and fits.field("mean") == "0.4" and not fits.has_box("preprocessing-found")


def test_another_size_brings_its_own_shorter_side_and_one_can_be_given(fits: Tab) -> None:
    fits.count("size", 224)
    assert fits.field("resize") == 256
    fits.count("resize", 224)
    assert any("shorter side to 224 px (bilinear), centre square" in text for text in fits.says)
    fits.count("resize", 100)
    assert fits.has_box("preprocessing") and fits.field("resize") == 100
