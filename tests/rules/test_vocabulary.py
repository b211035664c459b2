"""Words for someone who writes a rule: what the keys of a file are made of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ckpt_explorer.rules.vocabulary import LONGEST, MOST, vocabulary


def test_prefixes_end_in_a_dot_and_the_most_frequent_is_the_first() -> None:
    words = vocabulary(["module.a.weight", "module.a.bias", "module.b.weight", "epoch"])
    assert words.prefixes == ("module.", "module.a.", "module.b.")


def test_segments_that_differ_in_a_number_only_are_one_with_a_hole() -> None:
    words = vocabulary(["res2.0.conv1.weight", "res3.0.conv2.weight", "bn1.weight"])
    assert {"res{n}.", "conv{n}.", "bn1.", "weight"} == set(words.segments)


def test_a_rename_of_a_segment_that_holds_a_brace_or_a_star_is_not_offered() -> None:
    assert vocabulary(["a{b.weight", "c*.weight"]).segments == ("weight",)


@given(st.lists(st.text(max_size=300), max_size=300))
def test_no_key_is_too_strange_and_the_words_are_few_and_short(keys: list[str]) -> None:
    words = vocabulary(keys)
    assert len(words.prefixes) <= MOST
    assert len(words.segments) <= MOST
    assert all(len(word) <= LONGEST + 4 and word.isprintable() for word in (*words.prefixes, *words.segments))
