"""What each choice would do: the same counts as after the choice, for every state dict and network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ckpt_explorer import Verdict, architecture, open_checkpoint, outlook_for, outlooks
from ckpt_explorer.cli import main
from ckpt_explorer.proposal import propose
from tests.checkpoints import add_prefix, small_resnet_state_dict, write_checkpoint


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A file of a student and its teacher, the teacher behind a prefix."""
    weights = {"student": small_resnet_state_dict(), "teacher": add_prefix("net.", small_resnet_state_dict(1, 7))}
    return write_checkpoint(tmp_path, weights)


def test_an_outlook_says_what_the_choice_then_does(two: Path) -> None:
    checkpoint = open_checkpoint(two)
    proposal = propose(checkpoint)
    found = outlook_for(checkpoint, proposal.architecture)
    assert found.summary == proposal.alignment.summary
    assert (found.verdict, found.rules) == (proposal.alignment.verdict, proposal.alignment.rules)
    assert found.line == "complete: ● 68 matched"


def test_every_candidate_of_the_selected_state_dict_and_the_best_of_the_others_is_looked_at(two: Path) -> None:
    rows = list(outlooks(open_checkpoint(two)))
    assert {found.state_dict for _, found in rows} == {"student", "teacher"}
    assert [found.network for _, found in rows if found.state_dict == "teacher"] == ["custom"]
    best = rows[0][1]
    assert (best.network, best.verdict) == ("custom", Verdict.COMPLETE)
    assert all(found.verdict is Verdict.INCOMPATIBLE for _, found in rows if found.network != "custom")


def test_the_time_is_bounded(two: Path) -> None:
    assert list(outlooks(open_checkpoint(two), seconds=-1.0)) == []


def test_another_network_is_said_not_to_fit_in_counts(two: Path) -> None:
    found = outlook_for(open_checkpoint(two), architecture("resnet50"))
    assert found.verdict is Verdict.INCOMPATIBLE
    assert found.counts == "● 11 matched  ≠ 57 shape mismatch  − 252 missing"


def test_the_command_line_lists_them(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(two), "--outlook", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["outlooks"]
    assert {row["state_dict"] for row in rows} == {"student", "teacher"}
    assert main(["inspect", str(two), "--outlook"]) == 0
    assert "complete: ● 68 matched, with 1 rule" in capsys.readouterr().out
