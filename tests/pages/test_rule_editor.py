"""The rule editor: what is done in it, what it is given to draw, and that nothing typed or pasted is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ckpt_explorer.rules import rules_from_json
from tests.pages.tab import Tab

STRIP, HEAD, SHORTCUT, NORM = SUGGESTED = [
    "strip prefix 'module.'",
    "rename 'classifier.' -> 'fc.'",
    "rename 'shortcut.' -> 'downsample.'",
    "rename 'norm{n}.' -> 'bn{n}.'",
]


def line(tab: Tab, position: int) -> dict[str, Any]:
    """The line of the rule at `position`, as it is drawn."""
    found: dict[str, Any] = tab.editor["rules"][position]
    return found


def undo_name(tab: Tab) -> str:
    """What the undo button says that it would take back."""
    editor = tab.editor
    return str(editor["steps"][editor["at"] - 1]) if editor["at"] else ""


def refusal(tab: Tab) -> str:
    """Why the last act was not done."""
    return str(list(tab.editor["answered"]["refused"].values())[-1])


# The list


def test_each_rule_is_drawn_with_its_count_and_the_first_key_before_and_after(renamed: Tab) -> None:
    assert renamed.rules == SUGGESTED
    first = line(renamed, 0)
    assert (first["count"], first["before"], first["after"]) == (128, "module.conv1.weight", "conv1.weight")
    assert [row["count"] for row in renamed.editor["rules"]] == [128, 2, 12, 95]
    assert all(row["why"] for row in renamed.editor["rules"]), "a suggested rule says why it is there"


def test_deleting_a_rule_lowers_the_verdict_and_writing_it_by_hand_raises_it(renamed: Tab) -> None:
    renamed.on_rule("delete", 0)
    assert (renamed.badge, renamed.rules) == ("INCOMPATIBLE", [HEAD, SHORTCUT, NORM])
    renamed.writes("strip prefix module.")
    assert (renamed.badge, renamed.rules) == ("COMPLETE", [HEAD, SHORTCUT, NORM, STRIP])
    assert renamed.editor["draft"] is None


def test_a_rule_can_be_written_anywhere(renamed: Tab) -> None:
    renamed.on_rule("delete", 0).writes("strip prefix module.", at=0)
    assert (renamed.badge, renamed.rules) == ("COMPLETE", SUGGESTED)
    assert undo_name(renamed) == "add rule 1"


def test_a_line_with_an_arrow_and_no_kind_is_a_rename(renamed: Tab) -> None:
    renamed.on_rule("delete", 1).writes("classifier. -> fc.")
    assert (renamed.badge, renamed.rules[-1]) == ("COMPLETE", HEAD)


def test_a_rule_is_edited_in_place(renamed: Tab) -> None:
    renamed.writes("rename classifier. -> head.", 1)
    assert renamed.rules == [STRIP, "rename 'classifier.' -> 'head.'", SHORTCUT, NORM]
    assert (line(renamed, 1)["count"], line(renamed, 1)["after"]) == (2, "head.weight")
    assert renamed.badge == "PARTIAL"
    renamed.writes("classifier. -> fc.", 1)
    assert (renamed.badge, renamed.rules) == ("COMPLETE", SUGGESTED)


def test_emptying_a_rule_deletes_it(renamed: Tab) -> None:
    renamed.writes(" ", 2)
    assert renamed.rules == [STRIP, HEAD, NORM]
    assert undo_name(renamed) == "delete rule 3"


def test_a_rule_can_be_switched_off_and_on_and_stays_off_when_it_is_edited(renamed: Tab) -> None:
    renamed.on_rule("switch", 1, on=False)
    assert (renamed.badge, line(renamed, 1)["state"]) == ("PARTIAL", "off")
    renamed.writes("classifier. -> head.", 1)
    assert line(renamed, 1)["on"] is False
    renamed.writes("classifier. -> fc.", 1).on_rule("switch", 1, on=True)
    assert renamed.badge == "COMPLETE"


def test_rules_move_and_are_duplicated(renamed: Tab) -> None:
    renamed.on_rule("move", 0, to=1)
    assert renamed.rules == [HEAD, STRIP, SHORTCUT, NORM]
    assert undo_name(renamed) == "move rule 1 down"
    renamed.on_rule("move", 1, to=0).on_rule("duplicate", 1)
    assert renamed.rules == [STRIP, HEAD, HEAD, SHORTCUT, NORM]
    assert line(renamed, 2)["state"] == "nothing"


def test_many_acts_in_one_log_are_each_done_once_and_in_order(renamed: Tab) -> None:
    renamed.acts(
        {"act": "move", "position": 3, "rule": NORM, "to": 2},
        {"act": "move", "position": 2, "rule": NORM, "to": 1},
        {"act": "delete", "position": 0, "rule": STRIP},
    )
    assert renamed.rules == [NORM, HEAD, SHORTCUT]
    assert renamed.editor["steps"] == ["move rule 4 up", "move rule 3 up", "delete rule 1"]
    renamed.run()
    assert renamed.rules == [NORM, HEAD, SHORTCUT], "a log that is told of again is not done again"


def test_an_act_on_a_rule_that_has_moved_since_finds_it_and_one_on_a_rule_that_is_gone_is_refused(renamed: Tab) -> None:
    renamed.acts({"act": "delete", "position": 0, "rule": NORM})
    assert renamed.rules == [STRIP, HEAD, SHORTCUT]
    renamed.acts({"act": "delete", "position": 0, "rule": NORM})
    assert renamed.rules == [STRIP, HEAD, SHORTCUT]
    assert refusal(renamed).startswith("The list has changed since")


@pytest.mark.parametrize("act", ["unknown", "move", "switch", "write", "go to", "take", "offer", "import"])
def test_an_act_without_what_it_needs_changes_nothing(renamed: Tab, act: str) -> None:
    renamed.acts({"act": act, "position": 99})
    assert (renamed.rules, renamed.editor["steps"]) == (SUGGESTED, [])


@pytest.mark.parametrize(
    "told",
    [None, 3, [], {"client": 1}, {"client": "x", "log": "y"}, {"client": "x", "log": [1, {}, {"id": "z"}]}],
)
def test_what_is_no_log_changes_nothing(renamed: Tab, told: Any) -> None:
    place = renamed.editor["place"]
    value = {**told, "place": place} if isinstance(told, dict) else told
    renamed._tells("rule_editor", "acts", value)._tells("rule_editor", "draft", value)
    assert (renamed.rules, renamed.editor["steps"]) == (SUGGESTED, [])


# Undo, redo, and the steps


def test_undo_and_redo_name_their_step_and_any_step_can_be_gone_to(renamed: Tab) -> None:
    renamed.on_rule("delete", 3).on_rule("move", 0, to=1).on_rule("switch", 2, on=False)
    assert renamed.editor["steps"] == ["delete rule 4", "move rule 1 down", "switch rule 3 off"]
    renamed.acts({"act": "undo"}, {"act": "undo"})
    assert (undo_name(renamed), renamed.editor["at"]) == ("delete rule 4", 1)
    renamed.acts({"act": "go to", "to": 0})
    assert (renamed.badge, renamed.rules) == ("COMPLETE", SUGGESTED)
    renamed.acts({"act": "redo"})
    assert renamed.rules == [STRIP, HEAD, SHORTCUT]
    renamed.acts({"act": "go to", "to": 3})
    assert [row["on"] for row in renamed.editor["rules"]] == [True, True, False]


def test_starting_from_nothing_can_be_undone(renamed: Tab) -> None:
    renamed.acts({"act": "clear"})
    assert (renamed.rules, renamed.badge) == ([], "INCOMPATIBLE")
    assert renamed.acts({"act": "undo"}).rules == SUGGESTED


# The suggestion


def test_the_suggestion_is_taken_as_a_whole(renamed: Tab) -> None:
    assert renamed.editor["differs"] is False
    renamed.on_rule("delete", 0).on_rule("delete", 0).acts({"act": "take all"})
    assert renamed.rules == SUGGESTED
    assert undo_name(renamed) == "take the suggestion"


def test_the_suggestion_is_taken_rule_by_rule_each_at_its_place(renamed: Tab) -> None:
    renamed.acts({"act": "clear"}).writes("drop ^optimizer.")
    assert [row["text"] for row in renamed.editor["suggested"]] == SUGGESTED
    renamed.acts({"act": "take", "rule": SHORTCUT}, {"act": "take", "rule": STRIP})
    assert renamed.rules == [STRIP, SHORTCUT, "drop '^optimizer.'"]
    renamed.on_rule("switch", 0, on=False).acts({"act": "take", "rule": HEAD}, {"act": "take", "rule": STRIP})
    assert renamed.rules == [STRIP, HEAD, SHORTCUT, "drop '^optimizer.'"]
    assert [row["text"] for row in renamed.editor["suggested"]] == [NORM]
    renamed.acts({"act": "take", "rule": "drop 'fc.'"})
    assert refusal(renamed) == "This rule is not suggested any more."


# What is wrong with a rule, and what can be done about it


def test_a_rule_that_touches_nothing_is_shown_so_with_what_would_mend_it(renamed: Tab) -> None:
    renamed.writes("drop ^optimizer.")
    assert (line(renamed, 4)["state"], line(renamed, 4)["offers"]) == ("nothing", ["delete it"])
    renamed.on_rule("offer", 4, offer="delete it")
    assert renamed.rules == SUGGESTED


def test_a_rule_that_comes_too_late_is_offered_an_earlier_place(renamed: Tab) -> None:
    renamed.writes("remove segment module")
    renamed.on_rule("offer", 4, offer="move it to the top")
    assert (renamed.rules[0], line(renamed, 0)["count"]) == ("remove segment 'module'", 128)
    assert renamed.badge == "COMPLETE"


def test_a_collision_names_both_keys_at_the_rule_and_the_rest_goes_on(renamed: Tab) -> None:
    renamed.writes(r"regex conv\d -> conv")
    complaint = line(renamed, 4)["complaint"]
    assert "Rule 5 gives two keys one name" in complaint
    assert "'module.layer1.0.conv1.weight' and 'module.layer1.0.conv2.weight'" in complaint
    assert renamed.badge == "COMPLETE"
    assert "switch it off" in line(renamed, 4)["offers"]
    renamed.on_rule("offer", 4, offer="switch it off")
    assert "complaint" not in line(renamed, 4)
    assert line(renamed, 4)["on"] is False


def test_a_collision_inside_blocks_is_offered_the_start_of_the_key(renamed: Tab) -> None:
    renamed.writes("bn1. -> bn2.")
    assert "two keys one name" in line(renamed, 4)["complaint"]
    assert line(renamed, 4)["offers"][-1] == "switch it off"
    renamed.on_rule("offer", 4, offer="something else")
    assert refusal(renamed) == "This is not offered any more."


def test_a_rule_that_takes_from_nowhere_is_said_and_can_be_undone(renamed: Tab) -> None:
    renamed.writes("take from nowhere")
    assert "no state dict at 'nowhere'" in line(renamed, 4)["complaint"]
    assert renamed.acts({"act": "undo"}).badge == "COMPLETE"


def test_an_endless_regular_expression_is_stopped_and_said(renamed: Tab) -> None:
    renamed.writes(r"regex ^(.*)*\1x$ -> y")
    assert renamed.rules[:4] == SUGGESTED
    assert renamed.badge == "COMPLETE"


# While one types


def test_typing_shows_what_would_be_on_its_line_and_puts_nothing_in_force(renamed: Tab) -> None:
    renamed.types("classifier. -> head.", 1)
    draft = renamed.editor["draft"]
    assert (draft["count"], draft["before"], draft["after"]) == (2, "classifier.weight", "head.weight")
    assert (renamed.rules, renamed.badge, renamed.editor["steps"]) == (SUGGESTED, "COMPLETE", [])
    renamed.types("classifier. -> bn1.", 1).types("shortcut. ->", 1)
    assert renamed.editor["draft"]["state"] != "wrong"
    renamed.types(None, 1)
    assert renamed.editor["draft"] is None


def test_a_draft_that_would_collide_says_so_before_it_is_in_force(renamed: Tab) -> None:
    renamed.types("bn1. -> bn2.")
    assert "two keys one name" in renamed.editor["draft"]["complaint"]
    assert renamed.badge == "COMPLETE"


def test_what_is_no_rule_yet_is_said_quietly_and_on_enter_kept_with_the_reason(renamed: Tab) -> None:
    renamed.types("rename class{ -> fc.", 1)
    draft = renamed.editor["draft"]
    assert (draft["tried"], draft["wrong"]) == (False, "The pattern 'class{' has a brace without its partner.")
    renamed.writes("rename class{ -> fc.", 1)
    draft = renamed.editor["draft"]
    assert (draft["tried"], draft["text"]) == (True, "rename class{ -> fc.")
    assert (renamed.rules, renamed.badge) == (SUGGESTED, "COMPLETE")
    renamed.writes("classifier. -> head.", 1)
    assert (renamed.editor["draft"], renamed.badge) == (None, "PARTIAL")


def test_a_new_rule_that_is_none_keeps_the_typed_text_and_says_how_one_is_written(renamed: Tab) -> None:
    renamed.writes("please fix my keys")
    draft = renamed.editor["draft"]
    assert draft["text"] == "please fix my keys"
    assert draft["wrong"].startswith("'please fix my keys' is no rule: a rule begins with its kind, as in")
    assert renamed.rules == SUGGESTED


def test_a_quote_without_its_partner_is_no_rule_yet(renamed: Tab) -> None:
    assert "has no partner" in renamed.types("rename 'classifier.' -> 'he", 1).editor["draft"]["wrong"]


def test_a_draft_survives_a_visit_to_another_page(renamed: Tab) -> None:
    renamed.writes("rename class{ -> fc.", 1).go("load").go("align")
    draft = renamed.editor["draft"]
    assert (draft["position"], draft["text"]) == (1, "rename class{ -> fc.")


def test_a_draft_is_set_aside_while_another_rule_is_edited_and_goes_when_it_is_given_back(renamed: Tab) -> None:
    renamed.types("classifier. -> head.", 1).types("shortcut. -> x.", 2)
    assert line(renamed, 1)["aside"] == "classifier. -> head."
    renamed.types("classifier. -> head.", 1).types(None, 1)
    assert "aside" not in line(renamed, 1)
    assert line(renamed, 2)["aside"] == "shortcut. -> x."
    renamed.types("drop fc").types("shortcut. -> x.", 2)
    assert renamed.editor["aside"] == "drop fc"


def test_a_draft_that_arrives_behind_its_own_enter_does_not_come_back(renamed: Tab) -> None:
    renamed.writes("classifier. -> head.", 1)
    renamed._typed -= 1
    renamed.types("classifier. -> he", 1)
    assert renamed.editor["draft"] is None


# In and out


@pytest.mark.parametrize("form", ["json", "lines"])
def test_the_exported_rules_are_read_back_as_they_are(renamed: Tab, form: str) -> None:
    exported = renamed.acts({"act": "export", "text": form}).editor["exported"]
    assert [str(rule) for rule in rules_from_json(exported["text"])] == SUGGESTED
    renamed.acts({"act": "clear"}, {"act": "import", "text": exported["text"]})
    assert (renamed.badge, renamed.rules, undo_name(renamed)) == ("COMPLETE", SUGGESTED, "import rules")


def test_the_json_keeps_what_is_off_and_why_a_rule_is_there(renamed: Tab) -> None:
    before = renamed.on_rule("switch", 2, on=False).editor["rules"]
    text = renamed.acts({"act": "export", "text": "json"}).editor["exported"]["text"]
    assert json.loads(text)[0]["text"] == STRIP
    assert renamed.acts({"act": "clear"}, {"act": "import", "text": text}).editor["rules"] == before


def test_the_rules_go_out_as_code_too(renamed: Tab) -> None:
    script = renamed.acts({"act": "export", "text": "pytorch"}).editor["exported"]
    compile(script["text"], script["name"], "exec")
    assert "revise_keys = [" in renamed.acts({"act": "export", "text": "openmmlab"}).editor["exported"]["text"]
    assert renamed.acts({"act": "export", "text": ""}).editor["exported"] is None


@pytest.mark.parametrize(
    "text",
    ["\n".join(SUGGESTED), json.dumps(SUGGESTED), json.dumps({"rules": SUGGESTED})],
    ids=["lines", "list", "object"],
)
def test_pasted_rules_replace_the_list_or_are_added_to_it(renamed: Tab, text: str) -> None:
    renamed.on_rule("delete", 0).acts({"act": "import", "text": text})
    assert (renamed.badge, renamed.rules) == ("COMPLETE", SUGGESTED)
    renamed.acts({"act": "import", "text": "drop ^a.", "behind": True})
    assert renamed.rules == [*SUGGESTED, "drop '^a.'"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("drop fc.\nbogus", "Rule 2: 'bogus' is no rule"),
        ('{"x": 1}', "A rules file holds a list of rules"),
        ("[1, 2", "The rules file is no valid JSON."),
        ('[{"kind": "lstrip", "find": "module."}]', "Rule 1: 'lstrip' is no kind of rule"),
        ("[]", "There is no rule in it"),
        ("drop a\n" * 501, "A list has 500 rules at most"),
    ],
    ids=["line", "object", "broken", "kind", "empty", "many"],
)
def test_pasted_rules_that_are_wrong_say_why_change_nothing_and_stay(renamed: Tab, text: str, why: str) -> None:
    renamed.acts({"act": "import", "text": text})
    assert renamed.rules == SUGGESTED
    pasted, said = renamed.editor["pasted"]
    assert (pasted, said.startswith(why)) == (text, True), said
    assert renamed.go("load").go("align").editor["pasted"][0] == text


# Words that help


def test_the_words_are_those_of_the_file_and_of_the_network(renamed: Tab) -> None:
    words = renamed.editor["words"]
    assert words["prefixes"][0] == "module."
    assert {"norm{n}.", "classifier.", "shortcut."} <= set(words["segments"])
    assert {"bn{n}.", "fc.", "downsample."} <= set(words["targets"])
    assert [kind["name"] for kind in words["kinds"]][:2] == ["strip prefix", "add prefix"]


def test_a_draft_is_set_aside_also_where_the_next_one_arrives_together_with_its_enter(renamed: Tab) -> None:
    write = {"act": "write", "at": None}
    renamed.acts({**write, "position": None, "text": "regex (norm -> bn", "number": 1, "rule": None})
    assert "is no regular expression" in refusal(renamed)
    wrong = "rename 'classifier.' -> 'fc{n}.'"
    renamed.acts({**write, "position": 1, "text": wrong, "number": 2, "rule": HEAD})
    assert renamed.editor["draft"]["text"] == wrong
    assert renamed.editor["aside"] == "regex (norm -> bn"


def test_rules_from_another_file_say_what_they_do_not_reach_in_this_one(renamed: Tab) -> None:
    assert not any("written for another file" in text for text in renamed.says)
    text = "\n".join((STRIP, "rename 'linear.' -> 'fc.'", SHORTCUT, NORM))
    renamed.acts({"act": "import", "text": text})
    said = next(text for text in renamed.says if "written for another file" in text)
    assert "1 rule (2) touches nothing in this file" in said
    assert "no rule knows 2 keys of it (classifier.weight" in said or "module.classifier.weight" in said
    assert "2 tensors of the network find no source (fc.weight, fc.bias)" in said
    renamed.acts({"act": "undo"})
    assert not any("written for another file" in text for text in renamed.says)
