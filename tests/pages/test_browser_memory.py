"""What the browser keeps of the work on one file: what it is given, and what is made of what it gives back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor

from ckpt_explorer.rules import rules_from_json
from ckpt_explorer.ui.browser_memory import Remembered, remembered_from
from ckpt_explorer.ui.target import Target
from tests.checkpoints import small_resnet_state_dict
from tests.pages.conftest import saved
from tests.pages.tab import Tab
from tests.pages.test_rule_editor import HEAD, NORM, SHORTCUT, STRIP, SUGGESTED

Tabs = Callable[[], Tab]


def tells(tab: Tab, name: str, **value: Any) -> Tab:
    """As the component says it of the file that is open."""
    return tab._tells("browser_memory", name, {"opening": tab.memory["opening"], **value})


def test_nothing_is_kept_while_all_is_as_it_was_proposed(renamed: Tab) -> None:
    assert renamed.memory["record"] == ""
    assert renamed.memory["offer"] is None


def test_rules_network_and_state_dict_are_kept_with_every_step(renamed: Tab) -> None:
    renamed.on_rule("delete", 0)
    kept = json.loads(renamed.memory["record"])
    assert [rule["text"] for rule in kept["rules"]] == [HEAD, SHORTCUT, NORM]
    assert (kept["kind"], kept["network"], kept["state_dict"]) == ("named", "resnet20_cifar_b", "model")
    renamed.choose("network", "resnet18")
    assert json.loads(renamed.memory["record"])["network"] == "resnet18"


def test_another_visit_is_offered_the_rules_and_takes_them_back_as_a_step(new_tab: Tabs, renamed: Tab) -> None:
    record = renamed.on_rule("delete", 0).memory["record"]
    later = new_tab().open_example("renamed").go("align")
    assert later.memory["file"] == renamed.memory["file"]
    assert later.memory["opening"] != renamed.memory["opening"]
    tells(later, "found", record=record)
    assert later.memory["offer"] == {"before": "You had 3 rules for this file on ", "after": "."}
    assert later.rules == SUGGESTED, "nothing changes before it is asked for"
    tells(later, "answer", take=True)
    assert (later.rules, later.badge) == ([HEAD, SHORTCUT, NORM], "INCOMPATIBLE")
    assert later.editor["steps"] == ["take back the rules one had"]
    assert later.acts({"act": "undo"}).rules == SUGGESTED


def test_the_network_comes_back_with_the_rules(new_tab: Tabs, renamed: Tab) -> None:
    record = renamed.choose("network", "resnet32_cifar_b").writes("drop layer9.").memory["record"]
    rules = renamed.rules
    later = tells(new_tab().open_example("renamed").go("align"), "found", record=record)
    assert later.memory["offer"]["after"] == ", for resnet32_cifar_b."
    tells(later, "answer", take=True)
    assert (later.field("network"), later.rules) == ("resnet32_cifar_b", rules)


def test_the_state_dict_comes_back_with_the_rules(new_tab: Tabs, small_weights: dict[str, Tensor]) -> None:
    file = saved({"student": small_weights, "teacher": small_resnet_state_dict(1, 7)})
    first = new_tab().open("two.pth", file).go("align").choose("state-dict", "teacher").writes("drop fc.")
    later = new_tab().open("again.pth", file).go("align")
    tells(later, "found", record=first.memory["record"])
    assert later.memory["offer"]["before"] == "You had 1 rule for two.pth, a file with the same keys, on "
    tells(later, "answer", take=True)
    assert (later.field("state-dict"), later.rules) == ("teacher", ["drop 'fc.'"])


def test_what_is_forgotten_or_taken_is_not_offered_again(new_tab: Tabs, renamed: Tab) -> None:
    record = renamed.on_rule("delete", 0).memory["record"]
    later = tells(new_tab().open_example("renamed").go("align"), "found", record=record)
    tells(later, "answer", take=False)
    assert (later.memory["offer"], later.rules) == (None, SUGGESTED)
    later.go("open").go("align")
    tells(later, "found", record=record)
    assert later.memory["offer"] is None


def test_what_is_in_force_already_is_not_offered(new_tab: Tabs, renamed: Tab) -> None:
    record = renamed.on_rule("move", 0, to=1).on_rule("move", 1, to=0).memory["record"]
    later = tells(new_tab().open_example("renamed").go("align"), "found", record=record)
    assert later.memory["offer"] is None


def test_what_belongs_to_an_opening_before_this_one_is_not_heard(renamed: Tab) -> None:
    before, record = renamed.memory["opening"], renamed.on_rule("delete", 0).memory["record"]
    renamed.open_example("renamed").go("align")
    renamed._tells("browser_memory", "found", {"opening": before, "record": record})
    assert renamed.memory["offer"] is None


KEPT: dict[str, Any] = {
    "rules": ["strip prefix module."],
    "state_dict": "model",
    "kind": "named",
    "network": "resnet20_cifar_b",
    "num_classes": 10,
    "in_channels": 1,
    "options": {},
    "name": "digits.pth",
}


def test_a_record_is_read_back_as_it_was_written(renamed: Tab) -> None:
    checkpoint = renamed.session.checkpoint
    assert checkpoint is not None
    target = Target("custom", "custom", 10, 1, {"blocks": [1, 1, 1], "width": 16, "stem_kernel": 3})
    kept = Remembered(rules_from_json(json.dumps(SUGGESTED)), "model", target, "a.pth")
    assert remembered_from(kept.as_text(), checkpoint, ()) == kept
    assert str(kept.rules[0]) == STRIP


@pytest.mark.parametrize(
    "changes",
    [
        {"rules": None},
        {"rules": ["regex ( -> x"]},
        {"rules": ["drop a"] * 501},
        {"state_dict": "elsewhere"},
        {"state_dict": ["model"]},
        {"kind": "class", "network": "/etc/passwd.py:x"},
        {"kind": "reference"},
        {"kind": ["named"]},
        {"network": "resnet5000"},
        {"network": "custom"},
        {"num_classes": -1},
        {"num_classes": True},
        {"num_classes": 10**400},
        {"options": {"eps": "nan"}},
        {"options": {"__class__": 1}},
        {"options": []},
        {"kind": "custom", "network": "custom", "options": {"blocks": [10**9]}},
    ],
    ids=str,
)
def test_what_nobody_here_wrote_is_no_record(renamed: Tab, changes: dict[str, Any]) -> None:
    checkpoint = renamed.session.checkpoint
    assert checkpoint is not None
    assert remembered_from(json.dumps(KEPT), checkpoint, ()) is not None
    assert remembered_from(json.dumps({**KEPT, **changes}), checkpoint, ()) is None


@pytest.mark.parametrize(
    "text", [None, 3, "", "{", "[]", "null", "[" * 100_000, " " * 300_000], ids=lambda t: str(t)[:8]
)
def test_what_is_no_json_object_is_no_record(renamed: Tab, text: Any) -> None:
    checkpoint = renamed.session.checkpoint
    assert checkpoint is not None
    assert remembered_from(text, checkpoint, ()) is None


def test_a_class_of_ones_own_is_taken_back_only_where_it_is_on_offer(tab: Tab) -> None:
    checkpoint = tab.open_example("partial").go("align").session.checkpoint
    assert checkpoint is not None
    name = tab.session.target.name
    kept = Remembered(rules_from_json("drop a"), checkpoint.selected, Target("class", name), "x").as_text()
    assert remembered_from(kept, checkpoint, ()) is None
    assert remembered_from(kept, checkpoint, (name,)) is not None


def test_what_is_too_long_is_not_kept() -> None:
    rules = rules_from_json("\n".join(f"drop {'x' * 490}{number}" for number in range(500)))
    assert Remembered(rules, "", Target(), "x").as_text() == ""
