"""Rules come back from their text and from their JSON as they were."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules import KINDS, Rule, RuleSet, parse_rule, rules_from_json

ANY_TEXT = st.text(st.characters(), max_size=40)
TRICKY = st.sampled_from(
    [
        "->",
        " -> ",
        "'",
        '"',
        "'\"",
        "json",
        'json"x"',
        "\\",
        "'\\",
        " ",
        "a ",
        " a",
        "\n",
        "\u202e",
        "\ud800",
        "# x",
        "=",
    ]
)
TEXT = st.builds("".join, st.lists(st.one_of(ANY_TEXT, TRICKY), max_size=3))
RULES = st.builds(Rule, st.sampled_from(sorted(KINDS)), TEXT, TEXT, st.booleans(), TEXT)


def usable(rule: Rule) -> Rule:
    """`rule`, where it can be applied; kinds without a target have none."""
    if not KINDS[rule.kind].has_target:
        rule = Rule(rule.kind, rule.find, "", rule.enabled, rule.why)
    try:
        rule.rewrite()
    except RuleError:
        assume(False)
    return rule


@given(RULES)
def test_any_rule_comes_back_from_its_text(rule: Rule) -> None:
    rule = usable(rule)
    assert parse_rule(str(rule)) == Rule(rule.kind, rule.find, rule.to)
    assert "\n" not in str(rule)


@given(st.lists(RULES, max_size=4))
def test_any_list_of_rules_comes_back_from_its_json(rules: list[Rule]) -> None:
    given_rules = RuleSet(tuple(map(usable, rules)))
    assert rules_from_json(json.dumps(given_rules.as_json())) == given_rules
    assert rules_from_json(json.dumps({"rules": given_rules.as_json()})) == given_rules


@pytest.mark.parametrize("character", ["\x00", "\U0001f600", "\u202e", "x", "'"])
def test_a_rule_of_the_greatest_length_comes_back_from_its_text(character: str) -> None:
    rule = Rule("regex", "(?x)" + "x" * 496, (character * 250).replace("\\", "") + "'\"")
    assert parse_rule(str(rule)) == rule
    prefix = Rule("strip prefix", character * 500)
    assert parse_rule(str(prefix)) == prefix


def test_lines_of_text_are_rules_too_and_those_behind_a_hash_are_off() -> None:
    rules = rules_from_json("strip prefix module.\n\n# drop fc.\nlinear. -> fc.\n")
    assert [str(rule) for rule in rules] == ["strip prefix 'module.'", "rename 'linear.' -> 'fc.'"]


def test_lines_in_a_json_list_are_rules_too() -> None:
    assert [rule.kind for rule in rules_from_json('["strip prefix module.", {"kind": "drop", "find": "fc."}]')] == [
        "strip prefix",
        "drop",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[",
        "3",
        "null",
        "{}",
        '{"rules": {}}',
        "[3]",
        "[[]]",
        '[{"kind": "nothing"}]',
        '[{"kind": []}]',
        '[{"kind": {}}]',
        '[{"kind": "drop"}]',
        '[{"kind": "drop", "find": 3}]',
        '[{"kind": "drop", "find": "x", "enabled": "yes"}]',
        '[{"kind": "rename", "find": "x", "to": null}]',
        "[" * 100_000,
        json.dumps(["drop x"] * 501),
        b"\xff\xfe\x00",
        "1" * 5000,
    ],
)
def test_a_file_that_holds_no_rules_is_refused_in_one_sentence(text: str | bytes) -> None:
    with pytest.raises(RuleError) as refused:
        rules_from_json(text)
    assert "\n" not in str(refused.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | ANY_TEXT,
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["kind", "find", "to", "rules", "enabled", "why"]), inner)
        ),
    )
)
def test_no_json_crashes_the_reader(value: object) -> None:
    with contextlib.suppress(RuleError):
        rules_from_json(json.dumps(value))


def test_the_position_of_a_wrong_rule_is_told() -> None:
    with pytest.raises(RuleError, match="Rule 2") as refused:
        rules_from_json('["drop fc.", "rename a{ -> b"]')
    assert refused.value.position == 1
