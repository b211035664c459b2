"""The Align page: the verdict, the rules that make it, and the choices that change everything."""

from __future__ import annotations

from tests.pages.diff import Diff
from tests.pages.tab import Tab

STRIP, HEAD, SHORTCUT, NORM = SUGGESTED = [
    "strip prefix 'module.'",
    "rename 'classifier.' -> 'fc.'",
    "rename 'shortcut.' -> 'downsample.'",
    "rename 'norm{n}.' -> 'bn{n}.'",
]


# The verdict


def test_the_renamed_example_is_complete_with_four_rules_each_with_its_count(renamed: Tab) -> None:
    assert renamed.title == "Align"
    assert renamed.badge == "COMPLETE"
    assert renamed.verdict == "Every parameter and buffer of resnet20_cifar_b comes from the file (107 of 107 tensors)."
    assert renamed.rules == SUGGESTED
    assert [line["count"] for line in renamed.editor["rules"]] == [128, 2, 12, 95]
    assert Diff(renamed).counts == {"matched": 128}
    assert renamed.label("next") == "Load 107 tensors"


def test_a_file_that_fits_as_it_is_needs_no_rule(tab: Tab) -> None:
    tab.open_example("fits").go("align")
    assert (tab.badge, tab.rules) == ("COMPLETE", [])


def test_the_partial_example_says_that_class_answers_mean_nothing(tab: Tab) -> None:
    tab.open_example("partial").go("align")
    assert tab.badge == "PARTIAL"
    assert "classifier.weight, classifier.bias would be random, so class answers mean nothing" in tab.verdict
    assert "The file goes on with layer3, which this network does not have" in tab.verdict


def test_without_a_checkpoint_the_page_shows_the_way_to_open_one(tab: Tab) -> None:
    tab.go("align")
    assert tab.says == ["No checkpoint is open."]
    assert [link.label for link in tab.app.main.page_link] == ["Open a checkpoint"]


def test_what_was_noticed_is_said_with_what_to_do(renamed: Tab) -> None:
    assert "What was noticed" in renamed.headings
    assert any(text.startswith("128 keys stand behind the prefix 'module.'") for text in renamed.says)


def test_the_next_step_leads_to_the_load_page(renamed: Tab) -> None:
    assert renamed.click("next").title == "Load"
