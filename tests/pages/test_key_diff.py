"""The key diff: every row with its names, shapes and rule, what could be done about one, and what can be copied."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from ckpt_explorer.examples import example_bytes
from tests.checkpoints import ROOT
from tests.pages.conftest import saved
from tests.pages.diff import Diff
from tests.pages.tab import Tab

STRIP, HEAD, SHORTCUT, NORM = SUGGESTED = [
    "strip prefix 'module.'",
    "rename 'classifier.' -> 'fc.'",
    "rename 'shortcut.' -> 'downsample.'",
    "rename 'norm{n}.' -> 'bn{n}.'",
]


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
    details = Diff(renamed).details
    assert details["way"] == [
        [1, "module.layer1.0.norm1.weight", "layer1.0.norm1.weight"],
        [4, "layer1.0.norm1.weight", "layer1.0.bn1.weight"],
    ]
    assert renamed.session.selected_row == ("module.layer1.0.norm1.weight", "layer1.0.bn1.weight")


def test_a_selected_missing_row_says_what_the_network_wants(tab: Tab) -> None:
    tab.open_example("partial").go("align")
    Diff(tab).select(None, "classifier.weight")
    assert "no key of the file has this name" in Diff(tab).details["says"][0]


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


def test_the_keys_are_those_of_the_file_that_was_opened_last(tab: Tab, small_weights: dict[str, Tensor]) -> None:
    tab.open("single.pth", saved(small_weights)).go("align")
    tab.open("half.pth", saved({key: row.half() for key, row in small_weights.items()})).go("align")
    assert Diff(tab).row("conv1.weight").dtypes == ("float16", "float32")


# What is offered for a row


def without_rules(tab: Tab) -> Diff:
    for _ in tab.rules:
        tab.on_rule("delete", 0)
    return Diff(tab)


def selected(tab: Tab) -> tuple[str | None, str | None]:
    assert tab.session.selected_row is not None
    return tab.session.selected_row


def test_a_missing_row_says_what_it_could_be_and_offers_the_rules_for_all_like_it(renamed: Tab) -> None:
    diff = without_rules(renamed)
    diff.select(None, "layer1.0.bn1.weight")
    details = diff.details
    assert details["candidates"][0]["key"] == "module.layer1.0.norm1.weight"
    assert "the same shape" in details["candidates"][0]["says"]
    first = details["offers"][0]
    assert first["rules"] == [STRIP, NORM]
    assert first["does"] == "Make these 2 rules: this key and the 113 others of its form"
    assert first["then"] == "● matched 0 → 114 · − missing 128 → 14 · + unexpected 128 → 14"
    assert ["module.norm1.weight", "bn1.weight"] in first["examples"]


def test_taking_an_offer_is_one_named_step_and_goes_on_to_what_is_still_not_well(renamed: Tab) -> None:
    diff = without_rules(renamed)
    diff.select(None, "layer1.0.bn1.weight")
    diff.ask(do="take", offer=0, **diff.places(None, "layer1.0.bn1.weight"))
    assert renamed.rules == [STRIP, NORM]
    assert diff.counts == {"matched": 114, "missing": 14, "unexpected": 14}
    assert renamed.session.aligned is not None
    assert renamed.session.aligned.history.next_undo == "pair layer1.0.bn1.weight"
    assert selected(renamed) == (None, "layer2.0.downsample.0.weight")
    for _ in range(2):
        diff.ask(do="take", offer=0, **diff.places(*selected(renamed)))
    assert (renamed.badge, selected(renamed)) == ("COMPLETE", ("module.classifier.weight", "fc.weight"))


def test_a_pair_made_by_hand_is_offered_its_rules(renamed: Tab) -> None:
    diff = without_rules(renamed)
    pair = diff.places("module.classifier.bias", "fc.bias")
    diff.ask(do="pair", **pair)
    details = diff.details
    assert details["by_hand"] and details["offered"] == "What would pair them"
    diff.ask(do="take", offer=0, **pair)
    assert diff.row("fc.bias").checkpoint == "module.classifier.bias"


@pytest.mark.parametrize("offer", [-1, 99, None, "0", True])
def test_an_offer_that_is_none_changes_nothing(renamed: Tab, offer: Any) -> None:
    diff = without_rules(renamed)
    diff.ask(do="take", offer=offer, **diff.places(None, "layer1.0.bn1.weight"))
    assert renamed.rules == []


def test_the_screen_says_what_is_wrong_and_offers_the_proposed_rules(renamed: Tab) -> None:
    assert Diff(renamed).light["advice"][0].startswith("Nothing is wrong")
    diff = without_rules(renamed)
    assert diff.light["advice"] == ["The names differ. 4 rules that would change them can be proposed."]
    assert diff.light["proposes"] == "Take the 4 proposed rules"
    assert diff.ask(do="propose").rules == SUGGESTED


def test_the_command_and_the_python_do_what_the_screen_shows(
    renamed: Tab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = Diff(renamed).light["copies"]
    monkeypatch.chdir(tmp_path)
    example = renamed.session.example
    assert example is not None
    (tmp_path / example.file_name).write_bytes(example_bytes(example))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = copies["the command"].replace("python -m", f"{shlex.quote(sys.executable)} -m")
    ran = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "converted.pth").exists()
    ran = subprocess.run(
        [sys.executable, "-c", copies["the Python"]], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.stdout.startswith("complete Every parameter"), ran.stderr
