"""A list of rules: order, counts, examples, collisions; and the list itself never changes in place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt_explorer.errors import RuleCollision, RuleError
from ckpt_explorer.rules import Rule, RuleSet, parse_rule

KEYS = ["module.conv1.weight", "module.linear.weight", "module.linear.bias", "epoch"]


def rules(*lines: str) -> RuleSet:
    return RuleSet(tuple(map(parse_rule, lines)))


def names(rule_set: RuleSet, keys: list[str]) -> dict[str, str | None]:
    return {row.key: row.renamed for row in rule_set.apply(keys).keys}


def test_rules_are_applied_in_order_and_each_sees_what_the_others_left() -> None:
    forward = rules("strip prefix module.", "rename ^linear. -> fc.", "drop epoch")
    backward = rules("rename ^linear. -> fc.", "strip prefix module.", "drop epoch")
    assert list(names(forward, KEYS).values()) == ["conv1.weight", "fc.weight", "fc.bias", None]
    assert list(names(backward, KEYS).values()) == ["conv1.weight", "linear.weight", "linear.bias", None]


def test_each_rule_says_how_many_keys_it_touched_and_shows_the_first() -> None:
    touched = rules("strip prefix module.", "rename linear. -> fc.", "drop epoch", "drop nothing.").apply(KEYS).touched
    assert [row.count for row in touched] == [3, 2, 1, 0]
    assert (touched[0].before, touched[0].after) == ("module.conv1.weight", "conv1.weight")
    assert (touched[1].before, touched[1].after) == ("linear.weight", "fc.weight")
    assert (touched[2].before, touched[2].after) == ("epoch", None)
    assert (touched[3].before, touched[3].after) == (None, None)


def test_each_key_says_which_rules_touched_it() -> None:
    rows = rules("strip prefix module.", "rename linear. -> fc.", "drop epoch").apply(KEYS).keys
    assert [row.rules for row in rows] == [(0,), (0, 1), (0, 1), (2,)]


def test_a_rule_that_is_off_does_nothing_not_even_when_it_is_wrong() -> None:
    off = RuleSet((Rule("strip prefix", "module.", enabled=False), Rule("regex", "(", enabled=False)))
    assert list(names(off, KEYS).values()) == KEYS
    assert [row.count for row in off.apply(KEYS).touched] == [0, 0]


def test_the_last_take_from_that_is_on_decides() -> None:
    assert rules("take from a", "take from b").taken_from == "b"
    assert RuleSet((Rule("take from", "a"), Rule("take from", "b", enabled=False))).taken_from == "a"
    assert RuleSet((Rule("take from", ""),)).taken_from == ""
    assert rules("drop x").taken_from is None


def test_two_keys_of_one_name_are_an_error_that_names_both_and_the_rule() -> None:
    with pytest.raises(RuleCollision) as collision:
        rules("drop epoch", "strip prefix module.").apply(["conv1.weight", "module.conv1.weight", "fc", "module.fc"])
    assert "'conv1.weight'" in str(collision.value) and "'module.conv1.weight'" in str(collision.value)
    assert "Rule 2" in str(collision.value) and collision.value.position == 1
    assert "1 more pair" in str(collision.value)


def test_keys_that_are_dropped_collide_with_nothing() -> None:
    found = names(rules("drop ^conv1.", "strip prefix module."), ["conv1.a", "conv1.b", "module.conv1.a"])
    assert found == {"conv1.a": None, "conv1.b": None, "module.conv1.a": "conv1.a"}


def test_keys_may_change_places() -> None:
    swap = rules("rename ^a. -> t.", "rename ^b. -> a.", "rename ^t. -> b.")
    assert names(swap, ["a.x", "b.x"]) == {"a.x": "b.x", "b.x": "a.x"}


def test_a_rule_that_leaves_nothing_of_a_key_is_an_error_that_names_it() -> None:
    with pytest.raises(RuleError, match="'epoch'") as refused:
        rules("drop x", "regex .* -> ''").apply(["epoch"])
    assert refused.value.position == 1


def test_a_wrong_rule_in_the_list_is_told_by_its_position() -> None:
    with pytest.raises(RuleError) as refused:
        RuleSet((Rule("drop", "fc."), Rule("rename", "{", "x"))).apply(["a"])
    assert refused.value.position == 1


def test_a_key_that_is_named_like_the_mark_of_dropped_keys_is_dropped_like_any_other() -> None:
    key = "".join(["\x00", "dropped"])
    assert names(rules("drop *"), [key, "a"]) == {key: None, "a": None}


@pytest.mark.parametrize(
    "change",
    [
        lambda given: given.added(parse_rule("drop x")),
        lambda given: given.without(0),
        lambda given: given.replaced(0, parse_rule("drop x")),
        lambda given: given.moved(0, 1),
    ],
)
def test_a_change_gives_a_new_list_so_that_undo_is_keeping_the_old_one(change: Callable[[RuleSet], RuleSet]) -> None:
    before = rules("drop a", "drop b")
    after = change(before)
    assert before == rules("drop a", "drop b")
    assert after != before
    assert hash(before) != hash(after)


def test_a_rule_moves_as_far_as_the_list_goes() -> None:
    abc = rules("drop a", "drop b", "drop c")
    assert [rule.find for rule in abc.moved(0, 1)] == ["b", "a", "c"]
    assert [rule.find for rule in abc.moved(0, 99)] == ["b", "c", "a"]
    assert [rule.find for rule in abc.moved(2, -99)] == ["c", "a", "b"]
    assert [rule.find for rule in abc.replaced(1, parse_rule("drop x"))] == ["a", "x", "c"]
    assert [rule.find for rule in abc.without(1)] == ["a", "c"]


def test_a_list_is_full_at_500() -> None:
    with pytest.raises(RuleError, match="500"):
        RuleSet((Rule("drop", "x"),) * 500).added(Rule("drop", "x"))


def test_the_text_of_a_list_is_one_rule_a_line_with_a_hash_before_those_that_are_off() -> None:
    shown = RuleSet((Rule("strip prefix", "module."), Rule("drop", "fc.", enabled=False)))
    assert str(shown) == "strip prefix 'module.'\n# drop 'fc.'"


@given(st.permutations([f"module.layer{n}.{i}.{leaf}" for n in (1, 2) for i in (0, 1) for leaf in ("w", "b")]))
def test_the_order_of_the_keys_changes_no_name(keys: list[str]) -> None:
    given_rules = rules("strip prefix module.", "rename layer{n}.{i}. -> s{n-1}.b{i+1}.", "drop b$")
    assert names(given_rules, keys) == names(given_rules, sorted(keys))
