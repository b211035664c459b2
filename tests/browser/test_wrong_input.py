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
    renamed.click("delete-1")
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


def test_a_collision_names_both_keys_and_the_other_rules_go_on(renamed: Explorer) -> None:
    renamed.writes_rule("rename 'bn1.' -> 'bn2.'", behind=4)
    renamed.says("say-error-rule-4", "two keys one name")
    renamed.says("say-error-rule-4", "Until then it is left out")
    renamed.verdict_is("COMPLETE")
    renamed.pictured("align-collision")
    assert len(renamed.rules(5)) == 5


def test_a_rule_that_is_no_pattern_is_said_and_what_was_typed_stays(renamed: Explorer) -> None:
    renamed.types("new-rule", "regex (norm -> bn")
    renamed.says("say-error-rule-new", "is no regular expression")
    expect(renamed.by_key("new-rule").locator("input")).to_have_value("regex (norm -> bn")
    renamed.types("rule-text-1", "rename 'classifier.' -> 'fc{n}.'")
    renamed.says("say-error-rule-1", "the pattern does not capture")
    expect(renamed.by_key("rule-text-1").locator("input")).to_have_value("rename 'classifier.' -> 'fc{n}.'")
    renamed.verdict_is("COMPLETE")
    assert len(renamed.rules(4)) == 4


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
