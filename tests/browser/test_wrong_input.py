"""What is wrong is said in one sentence, and nothing that was there is lost."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.explorer import Explorer


@pytest.fixture
def renamed(tab: Explorer) -> Explorer:
    """The renamed example on the Align page."""
    tab.click("open-renamed")
    tab.says("say-good-facts", "renamed")
    tab.aligns()
    tab.verdict_is("COMPLETE")
    return tab


def test_a_wrong_file_is_named_and_the_open_checkpoint_and_its_rules_stay(renamed: Explorer, tmp_path: Path) -> None:
    renamed.deletes_rule(2)
    renamed.verdict_is("PARTIAL")
    rules = renamed.rules(3)
    page = tmp_path / "resnet50.pth"
    page.write_text("<!DOCTYPE html><html><title>Sign in</title><body>quota</body></html>")
    renamed.goes_to("1 Open")
    renamed.drops(page)
    renamed.says("say-error-message", 'resnet50.pth is a web page titled "Sign in"')
    renamed.says("say-error-message", "is still open")
    renamed.pictured("open-wrong-file")
    renamed.goes_to("2 Align")
    assert renamed.rules(3) == rules


def test_a_wrong_picture_is_named_and_the_others_are_answered(tab: Explorer, tmp_path: Path) -> None:
    from ckpt_explorer.examples import example_images

    tab.click("open-fits")
    tab.says("say-good-facts", "digits")
    tab.aligns()
    tab.loads()
    tab.tries()
    wrong = tmp_path / "cat.jpg"
    wrong.write_text("this is no picture")
    tab.drops([example_images()[0], wrong, example_images()[1]], key="pictures")
    assert len(tab.answers(2)) == 2
    tab.says("say-error-picture-0", "cat.jpg")
    tab.sees("2 of 2 held-out pictures right")
    tab.says("remove-pictures", "Remove 3 pictures")


def test_a_rule_that_is_no_pattern_is_said_and_what_was_typed_stays(renamed: Explorer) -> None:
    renamed.types_rule("regex (norm -> bn")
    expect(renamed.line(5).locator(".complaint")).to_contain_text("is no regular expression")
    expect(renamed.rule_field).to_have_value("regex (norm -> bn")
    renamed.types_rule("rename 'classifier.' -> 'fc{n}.'", 2)
    expect(renamed.line(2).locator(".complaint")).to_contain_text("the pattern does not capture")
    expect(renamed.rule_field).to_have_value("rename 'classifier.' -> 'fc{n}.'")
    renamed.verdict_is("COMPLETE")
    renamed.line(5).locator(".text").click()
    expect(renamed.rule_field).to_have_value("regex (norm -> bn")


def test_a_labels_file_with_too_few_lines_is_said_and_pictures_stay(tab: Explorer, tmp_path: Path) -> None:
    tab.click("open-fits")
    tab.says("say-good-facts", "digits")
    tab.aligns()
    tab.loads()
    tab.tries()
    tab.click("example-pictures-10")
    tab.answers(10)
    few = tmp_path / "labels.txt"
    few.write_text("zero\none\ntwo\n")
    tab.drops(few, key="labels")
    tab.says("say-error-labels", "labels.txt has 3 names")
    cards = tab.answers(10)
    assert all(card.startswith("class ") for card in cards), cards
