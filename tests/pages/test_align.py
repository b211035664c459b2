"""The Align page: the verdict, the rules that make it, and the choices that change everything."""

from __future__ import annotations

import json
from typing import Any

import pytest
import streamlit
from torch import Tensor

from ckpt_explorer.rules import rules_from_json
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
    assert renamed.rule_says(0).startswith("128 keys: module.conv1.weight → conv1.weight")
    assert [renamed.rule_says(position).split(":")[0] for position in range(4)] == [
        "128 keys",
        "2 keys",
        "12 keys",
        "95 keys",
    ]
    assert Diff(renamed).counts == {"matched": 128}
    assert renamed.label("next") == "Load 128 tensors"


def test_a_file_that_fits_as_it_is_needs_no_rule_and_the_page_says_so(tab: Tab) -> None:
    tab.open_example("fits").go("align")
    assert (tab.badge, tab.rules) == ("COMPLETE", [])
    assert "No rule: the keys are compared as they are." in tab.says


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


# Rules by hand


def test_deleting_a_suggested_rule_lowers_the_verdict_and_writing_it_by_hand_raises_it(renamed: Tab) -> None:
    renamed.click("delete-0")
    assert (renamed.badge, renamed.rules) == ("INCOMPATIBLE", [HEAD, SHORTCUT, NORM])
    renamed.write("new-rule", "strip prefix module.")
    assert (renamed.badge, renamed.rules) == ("COMPLETE", [HEAD, SHORTCUT, NORM, STRIP])
    assert renamed.field("new-rule") == ""


def test_a_line_with_an_arrow_and_no_kind_is_a_rename(renamed: Tab) -> None:
    renamed.click("delete-1").write("new-rule", "classifier. -> fc.")
    assert (renamed.badge, renamed.rules[-1]) == ("COMPLETE", HEAD)


def test_a_rule_is_edited_in_place(renamed: Tab) -> None:
    renamed.write("rule-text-1", "rename classifier. -> head.")
    assert renamed.rules == [STRIP, "rename 'classifier.' -> 'head.'", SHORTCUT, NORM]
    assert renamed.rule_says(1).startswith("2 keys: classifier.weight → head.weight")
    assert renamed.badge == "PARTIAL"
    renamed.write("rule-text-1", "classifier. -> fc.")
    assert (renamed.badge, renamed.rules) == ("COMPLETE", SUGGESTED)


def test_emptying_a_rule_deletes_it(renamed: Tab) -> None:
    renamed.write("rule-text-2", " ")
    assert renamed.rules == [STRIP, HEAD, NORM]
    assert renamed.label("undo") == "Undo: delete rule 3"


def test_a_rule_can_be_switched_off_and_on(renamed: Tab) -> None:
    renamed.tick("on-1", False)
    assert (renamed.badge, renamed.rule_says(1)) == ("PARTIAL", "switched off")
    renamed.tick("on-1", True)
    assert renamed.badge == "COMPLETE"


def test_a_rule_that_is_off_stays_off_when_it_is_edited(renamed: Tab) -> None:
    renamed.tick("on-1", False).write("rule-text-1", "classifier. -> head.")
    assert renamed.field("on-1") is False


def test_rules_move_up_and_down_and_the_ends_can_go_no_further(renamed: Tab) -> None:
    renamed.click("down-0")
    assert renamed.rules == [HEAD, STRIP, SHORTCUT, NORM]
    renamed.click("up-1")
    assert renamed.rules == SUGGESTED
    disabled = {button.key for button in renamed.app.button if button.proto.disabled}
    assert {"up-0", "down-3"} <= disabled and not {"up-1", "down-2"} & disabled


def test_undo_and_redo_name_the_step_that_they_would_take(renamed: Tab) -> None:
    assert (renamed.label("undo"), renamed.label("redo")) == ("Undo", "Redo")
    renamed.click("delete-3").click("down-0").tick("on-2", False)
    assert renamed.label("undo") == "Undo: switch rule 3 off"
    renamed.click("undo").click("undo")
    assert (renamed.label("undo"), renamed.label("redo")) == ("Undo: delete rule 4", "Redo: move rule 1 down")
    renamed.click("undo")
    assert (renamed.badge, renamed.rules) == ("COMPLETE", SUGGESTED)
    renamed.click("redo")
    assert renamed.rules == [STRIP, HEAD, SHORTCUT]


def test_the_suggestion_can_be_taken_again(renamed: Tab) -> None:
    assert not renamed.has_button("suggest")
    renamed.click("delete-0").click("delete-0").click("suggest")
    assert renamed.rules == SUGGESTED
    assert renamed.label("undo") == "Undo: take the suggestion"


def test_a_rule_that_touches_nothing_is_shown_so(renamed: Tab) -> None:
    renamed.write("new-rule", "drop ^optimizer.")
    assert renamed.rule_says(4) == "touches nothing in this file"


# Rules that can't be used


def test_an_invalid_pattern_is_said_at_the_rule_and_the_rest_goes_on_working(renamed: Tab) -> None:
    renamed.write("rule-text-1", "rename class{ -> fc.")
    assert renamed.rules == [STRIP, "rename class{ -> fc.", SHORTCUT, NORM]
    assert renamed.rule_says(1) == "✕  The pattern 'class{' has a brace without its partner."
    assert renamed.badge == "COMPLETE", "the rule as it was goes on working until the new one can be used"
    renamed.write("rule-text-1", "classifier. -> head.")
    assert renamed.rule_says(1).startswith("2 keys") and renamed.badge == "PARTIAL"


def test_a_new_rule_that_is_none_keeps_the_typed_text_and_says_how_one_is_written(renamed: Tab) -> None:
    renamed.write("new-rule", "please fix my keys")
    assert renamed.field("new-rule") == "please fix my keys"
    assert renamed.box("rule-new").startswith("'please fix my keys' is no rule: a rule begins with its kind, as in")
    assert (renamed.badge, renamed.rules) == ("COMPLETE", SUGGESTED)
    renamed.write("new-rule", "")
    assert not renamed.has_box("rule-new")


def test_a_draft_survives_a_visit_to_another_page(renamed: Tab) -> None:
    renamed.write("rule-text-1", "rename class{ -> fc.").go("load").go("align")
    assert renamed.rules[1] == "rename class{ -> fc."
    assert renamed.has_box("rule-1")


def test_a_collision_is_said_at_the_rule_names_both_keys_and_the_page_goes_on(renamed: Tab) -> None:
    renamed.write("new-rule", r"regex conv\d -> conv")
    complaint = renamed.rule_says(4)
    assert "Rule 5 gives two keys one name" in complaint and complaint.endswith("Until then it is left out.")
    assert "'module.layer1.0.conv1.weight' and 'module.layer1.0.conv2.weight'" in complaint
    assert renamed.badge == "COMPLETE"
    assert renamed.click("delete-4").boxes("error") == []


def test_a_rule_that_takes_from_nowhere_is_said_and_can_be_undone(renamed: Tab) -> None:
    renamed.write("new-rule", "take from nowhere")
    assert any("no state dict at 'nowhere'" in text for text in renamed.boxes("error"))
    assert renamed.click("undo").badge == "COMPLETE"


def test_an_endless_regular_expression_is_stopped_and_said(renamed: Tab) -> None:
    renamed.write("new-rule", r"regex ^(.*)*\1x$ -> y")
    assert renamed.rules[:4] == SUGGESTED and renamed.badge == "COMPLETE"


# Rules as a file


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the download buttons would give, by key."""
    given: dict[str, Any] = {}
    button: Any = streamlit.download_button

    def recorded(label: str, data: Any, *rest: Any, key: str, **named: Any) -> Any:
        given[key] = data
        return button(label, data, *rest, key=key, **named)

    monkeypatch.setattr(streamlit, "download_button", recorded)
    return given


def test_the_exported_rules_are_read_back_as_they_are(downloads: dict[str, Any], renamed: Tab) -> None:
    renamed.tick("on-2", False)
    exported = rules_from_json(downloads["download-rules"])
    assert [str(rule) for rule in exported] == SUGGESTED
    assert [rule.enabled for rule in exported] == [True, True, False, True]
    assert json.loads(downloads["download-rules"])[0]["text"] == STRIP


def test_a_rules_file_is_imported_as_one_step(downloads: dict[str, Any], renamed: Tab) -> None:
    exported = downloads["download-rules"]
    renamed.click("delete-0").click("delete-0").upload("rules-file-", ("rules.json", exported.encode()))
    assert (renamed.badge, renamed.rules) == ("COMPLETE", SUGGESTED)
    assert renamed.label("undo") == "Undo: import rules"


@pytest.mark.parametrize(
    "text",
    ["\n".join(SUGGESTED), json.dumps(SUGGESTED), json.dumps({"rules": SUGGESTED})],
    ids=["lines", "list", "object"],
)
def test_pasted_rules_replace_the_list(renamed: Tab, text: str) -> None:
    renamed.click("delete-0").write("paste-rules", text)
    assert (renamed.badge, renamed.rules) == ("COMPLETE", SUGGESTED)
    assert renamed.field("paste-rules") == ""


def test_pasted_rules_with_a_wrong_line_say_which_and_stay_in_the_field(renamed: Tab) -> None:
    renamed.write("paste-rules", "drop fc.\nbogus")
    assert renamed.box("pasted").startswith("Rule 2: 'bogus' is no rule")
    assert renamed.field("paste-rules") == "drop fc.\nbogus"
    assert renamed.rules == SUGGESTED


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"x": 1}', "A rules file holds a list of rules"),
        (b"\xff\xfe\x00", "The rules file is no text."),
        (b"[1, 2", "The rules file is no valid JSON."),
        (b'[{"kind": "lstrip", "find": "module."}]', "Rule 1: 'lstrip' is no kind of rule"),
    ],
    ids=["object", "bytes", "broken", "kind"],
)
def test_a_wrong_rules_file_says_why_and_changes_nothing(renamed: Tab, data: bytes, why: str) -> None:
    renamed.upload("rules-file-", ("rules.json", data))
    assert renamed.boxes("error")[0].startswith(why)
    assert renamed.rules == SUGGESTED


# The keys


def test_every_key_has_a_row_with_its_name_on_both_sides_and_the_rule_that_did_it(renamed: Tab) -> None:
    row = Diff(renamed).row("layer1.0.bn1.weight")
    assert (row.checkpoint, row.status, row.rule) == ("module.layer1.0.norm1.weight", "matched", 3)
    assert row.shapes == ((16,), (16,)) and row.dtypes == ("float32", "float32")


def test_a_key_without_a_place_is_shown_as_it_is_saved_and_as_it_was_renamed(renamed: Tab) -> None:
    renamed.click("delete-0")
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
    renamed.tick("on-1", False)
    assert Diff(renamed).light["base"] == base and Diff(renamed).light["state"] != state
    renamed.tick("on-1", True)
    assert Diff(renamed).light["state"] == state


def test_the_next_step_leads_to_the_load_page(renamed: Tab) -> None:
    assert renamed.click("next").title == "Load"


def test_the_keys_are_those_of_the_file_that_was_opened_last(tab: Tab, small_weights: dict[str, Tensor]) -> None:
    tab.open("single.pth", saved(small_weights)).go("align")
    tab.open("half.pth", saved({key: row.half() for key, row in small_weights.items()})).go("align")
    assert Diff(tab).row("conv1.weight").dtypes == ("float16", "float32")
