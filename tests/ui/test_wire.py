"""The wire of the key diff: what is sent reads back as the alignment's own rows, in few bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt_explorer.alignment import Alignment, align
from ckpt_explorer.architectures import reference_tree
from ckpt_explorer.rules import RuleSet, parse_rule
from ckpt_explorer.ui.key_diff.wire import base_of, front_coded, state_of
from tests.checkpoints import described, small_architecture
from tests.pages.diff import rows, texts, unpacked

MILLION = 1_000_000


def aligned(keys: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], *rules: str) -> Alignment:
    return align(described(keys), reference_tree(described(wanted), "other"), RuleSet(tuple(map(parse_rule, rules))))


def read(alignment: Alignment, **more: Any) -> list[Any]:
    return rows(unpacked(base_of(alignment).data), unpacked(state_of(alignment, **more).data))


def test_every_row_reads_back_as_the_pair_that_it_was() -> None:
    tree = small_architecture().tree
    source = {f"module.{key}": row.shape for key, row in tree.items() if "layer3" not in key}
    source["module.fc.weight"] = (7, 32)
    source["module.extra.weight"] = (3, 3)
    rules = RuleSet((parse_rule("strip prefix module."), parse_rule("drop extra.bias$")))
    alignment = align(described(source), small_architecture(), rules)
    found = read(alignment)
    assert [(row.checkpoint, row.renamed, row.model, row.status, row.rule, row.note) for row in found] == [
        (pair.checkpoint, pair.renamed, pair.model, str(pair.status), pair.rule, pair.note) for pair in alignment.pairs
    ]
    assert [row.shapes for row in found] == [(pair.checkpoint_shape, pair.model_shape) for pair in alignment.pairs]


def test_a_key_that_is_left_out_has_no_new_name() -> None:
    (row,) = read(aligned({"a.weight": (1,)}, {}, "drop a."))
    assert (row.status, row.checkpoint) == ("ignored", "a.weight")


@given(st.lists(st.text(), unique=True))
def test_any_texts_are_front_coded_and_read_back(names: list[str]) -> None:
    assert texts(*front_coded(names)) == names


@given(st.lists(st.text("ab.", max_size=9)))
def test_texts_that_share_modules_read_back(names: list[str]) -> None:
    assert texts(*front_coded(names)) == names


@pytest.mark.parametrize("key", ["", "\x00.weight", "\ud800lone", "\u202egnp", "a" * 70_000 + ".b", "é.ü", "😀.x"])
def test_hostile_keys_arrive_as_they_are(key: str) -> None:
    found = read(aligned({key: (2,), key + ".more": (3,)}, {key: (2,)}))
    assert [row.checkpoint for row in found] == [key, key + ".more"]


def test_rows_that_a_rule_in_the_making_touches_are_lit_and_the_counts_in_force_are_told() -> None:
    before = aligned({"a.x": (1,), "b.x": (1,)}, {"c.x": (1,), "b.x": (1,)})
    after = aligned({"a.x": (1,), "b.x": (1,)}, {"c.x": (1,), "b.x": (1,)}, "rename a. -> c.")
    assert [row.lit for row in read(after, lit=[0], before=before)] == [True, False]
    assert unpacked(state_of(after, [0], before).data)["was"] == [1, 0, 0, 1, 1, 0]


def test_the_same_content_has_the_same_name_and_another_has_another() -> None:
    first, again = (aligned({"a.x": (1,)}, {"a.x": (1,)}) for _ in range(2))
    other = aligned({"a.x": (2,)}, {"a.x": (1,)})
    assert base_of(first) == base_of(again) and state_of(first) == state_of(again)
    assert base_of(first).name.startswith("base:") and state_of(first).name.startswith("state:")
    assert base_of(first).name != base_of(other).name and state_of(first).name != state_of(other).name


def test_fifty_thousand_rows_are_a_few_megabytes_and_their_pairs_alone_less_than_one() -> None:
    keys = {
        f"encoder.stages.{at // 5000}.blocks.{at // 10 % 500}.conv{at % 10}.weight": (64, 64, 3, 3)
        for at in range(50_000)
    }
    alignment = aligned(
        {f"module.model.{key}": shape for key, shape in keys.items()}, keys, "strip prefix module.model."
    )
    base, state = base_of(alignment), state_of(alignment)
    assert len(base.data) + len(state.data) < 6 * MILLION
    assert len(state.data) < MILLION
