"""A rename with a choice is written out for the reader: one plain rename for each of its texts, as the rule does it."""

from __future__ import annotations

import pytest

from ckpt_explorer.rules import RuleSet, parse_rule
from ckpt_explorer.ui.rule_editor.lines import MOST_CHOICES, choices_of


@pytest.mark.parametrize(
    ("text", "written_out"),
    [
        ("{gamma|beta}$ -> {weight|bias}", [["gamma$", "weight"], ["beta$", "bias"]]),
        (
            "layer.{n}.{convolution|normalization}. -> {conv|bn}{n+1}.",
            [["layer.{n}.convolution.", "conv{n+1}."], ["layer.{n}.normalization.", "bn{n+1}."]],
        ),
        ("^{a.b|c}. -> {x|y.z}.", [["^a.b.", "x."], ["^c.", "y.z."]]),
        ("layer{n}. -> stage{n}.", []),
        ("strip prefix module.", []),
    ],
)
def test_each_text_of_a_choice_has_a_line(text: str, written_out: list[list[str]]) -> None:
    assert choices_of(parse_rule(text)) == written_out


def test_the_lines_together_do_what_the_rule_does() -> None:
    rule = parse_rule("stem.{conv|norm}. -> {conv1|bn1}.")
    names = ["stem.conv.weight", "stem.norm.bias", "stem.other.bias"]
    plain = RuleSet(tuple(parse_rule(f"{before} -> {after}") for before, after in choices_of(rule)))
    assert plain.names(names) == RuleSet((rule,)).names(names) == ["conv1.weight", "bn1.bias", "stem.other.bias"]


def test_of_very_many_texts_the_first_are_written_out() -> None:
    words = [f"a{at}" for at in range(60)]
    others = [f"b{at}" for at in range(60)]
    shown = choices_of(parse_rule(f"{{{'|'.join(words)}}}$ -> {{{'|'.join(others)}}}"))
    assert len(shown) == MOST_CHOICES and shown[0] == ["a0$", "b0"]
