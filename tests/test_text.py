"""How names, sizes and counts are written for a person."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt_explorer.text import bytes_as_text, listed, natural_order, plural, shape_as_text, visible


@given(st.text(st.characters(categories=None)))
def test_nothing_that_could_repaint_a_terminal_or_turn_text_round_is_left(untrusted: str) -> None:
    shown = visible(untrusted)
    assert all(character.isprintable() or character in "\u00a0\u3000" or ord(character) > 127 for character in shown)
    for character in "\x00\x1b\x07\r\n\x7f\x9b\u200b\u202e\u2066\u2028\ufeff\ud800":
        assert character not in shown
    shown.encode()


@given(st.text(st.characters(categories=("L", "N"))))
def test_plain_text_is_shown_as_it_is_up_to_its_limit(text: str) -> None:
    assert visible(text, 1000) == text[:1000]
    assert len(visible(text, 10)) <= 10


def test_a_long_text_is_cut_and_says_so() -> None:
    assert visible("x" * 301) == "x" * 299 + "…"
    assert visible("x" * 300) == "x" * 300


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (102_502_400, "97.8 MiB"),
        (5 * 2**30, "5.0 GiB"),
        (2**60, "1048576.0 TiB"),
    ],
)
def test_sizes_have_the_largest_unit_that_keeps_them_above_one(size: int, text: str) -> None:
    assert bytes_as_text(size) == text


def test_counts_agree_with_their_noun() -> None:
    assert [plural(0, "key"), plural(1, "key"), plural(1234, "key")] == ["0 keys", "1 key", "1,234 keys"]
    assert plural(2, "class", "classes") == "2 classes"


def test_shapes_are_written_as_python_writes_them() -> None:
    assert [shape_as_text(shape) for shape in ((64, 3, 7, 7), (64,), (), None)] == ["(64, 3, 7, 7)", "(64,)", "()", "–"]


def test_a_list_of_names_is_short_and_visible() -> None:
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(["a", "b", "c", "d\x1b", "e"], 2) == "a, b and 3 more"
    assert listed(["\x1b"]) == "\\x1b"


def test_numbers_in_keys_are_sorted_as_numbers() -> None:
    keys = ["layer1.0", "layer2.0", "layer2.9", "layer2.10", "layer10.0", "layerx", "x"]
    shuffled = random.Random(0).sample(keys, len(keys))
    assert sorted(shuffled, key=natural_order) == keys


@given(st.lists(st.text(max_size=8)))
def test_any_names_can_be_sorted(names: list[str]) -> None:
    assert len(sorted(names, key=natural_order)) == len(names)
