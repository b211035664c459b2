"""The Align page: the verdict, the rules that make it, and the choices that change everything."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from tests.pages.conftest import saved
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
    assert renamed.label("next") == "Load 128 tensors"


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


# The keys


def test_every_key_has_a_row_with_its_name_on_both_sides_and_the_rule_that_did_it(renamed: Tab) -> None:
    row = Diff(renamed).row("layer1.0.bn1.weight")
    assert (row.checkpoint, row.status, row.rule) == ("module.layer1.0.norm1.weight", "matched", 3)
    assert row.shapes == ((16,), (16,)) and row.dtypes == ("float32", "float32")


def test_a_key_without_a_place_is_shown_as_it_is_saved_and_as_it_was_renamed(renamed: Tab) -> None:
    renamed.on_rule("delete", 0)
    diff = Diff(renamed)
    assert diff.counts == {"missing": 128, "unexpected": 128}
    assert diff.row("module.layer1.0.norm1.weight").renamed == "module.layer1.0.bn1.weight"
    assert diff.row("module.conv1.weight").renamed == "module.conv1.weight"
    assert [row.model for row in diff.rows if row.harmless][:1] == ["bn1.num_batches_tracked"]


def test_a_selected_row_says_its_way_through_the_rules(renamed: Tab) -> None:
    Diff(renamed).select("module.layer1.0.norm1.weight", "layer1.0.bn1.weight")
    details = Diff(renamed).light["details"]
    assert details["way"] == [
        [1, "module.layer1.0.norm1.weight", "layer1.0.norm1.weight"],
        [4, "layer1.0.norm1.weight", "layer1.0.bn1.weight"],
    ]
    assert renamed.session.selected_row == ("module.layer1.0.norm1.weight", "layer1.0.bn1.weight")


def test_a_selected_missing_row_says_what_the_network_wants(tab: Tab) -> None:
    tab.open_example("partial").go("align")
    Diff(tab).select(None, "classifier.weight")
    assert "no key of the file has this name after the rules" in Diff(tab).light["details"]["says"][0]


def test_what_was_asked_of_another_network_is_left_alone(renamed: Tab) -> None:
    Diff(renamed).ask(do="select", left=3, right=3, base="base:other")
    assert renamed.session.selected_row is None


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"do": "select"},
        {"do": "select", "left": "x", "right": 10**9},
        {"do": "select", "left": True, "right": [1]},
        {"do": 3},
    ],
)
def test_what_no_grid_would_ask_changes_nothing(renamed: Tab, asked: dict[str, Any]) -> None:
    assert Diff(renamed).ask(**asked).badge == "COMPLETE"
    assert renamed.session.selected_row is None


def test_what_the_browser_has_is_not_sent_again(renamed: Tab) -> None:
    base, state = Diff(renamed).light["base"], Diff(renamed).light["state"]
    renamed.on_rule("switch", 1, on=False)
    assert Diff(renamed).light["base"] == base and Diff(renamed).light["state"] != state
    renamed.on_rule("switch", 1, on=True)
    assert Diff(renamed).light["state"] == state


def test_the_next_step_leads_to_the_load_page(renamed: Tab) -> None:
    assert renamed.click("next").title == "Load"


def test_the_keys_are_those_of_the_file_that_was_opened_last(tab: Tab, small_weights: dict[str, Tensor]) -> None:
    tab.open("single.pth", saved(small_weights)).go("align")
    tab.open("half.pth", saved({key: row.half() for key, row in small_weights.items()})).go("align")
    assert Diff(tab).row("conv1.weight").dtypes == ("float16", "float32")
