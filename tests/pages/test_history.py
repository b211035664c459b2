"""History: undo and redo of a rule list."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt_explorer.rules import RuleSet, parse_rule
from ckpt_explorer.ui.history import History

FIRST = RuleSet((parse_rule("strip prefix module."),))
SECOND = FIRST.added(parse_rule("norm1. -> bn1."))


def test_undo_takes_back_the_last_step_and_names_it() -> None:
    history = History()
    history.commit("take the suggestion", FIRST)
    history.commit("add a rule", SECOND)
    assert history.next_undo == "add a rule"
    history.undo()
    assert (history.rules, history.next_undo, history.next_redo) == (FIRST, "take the suggestion", "add a rule")


def test_redo_does_again_what_undo_took_back() -> None:
    history = History(FIRST)
    history.commit("add a rule", SECOND)
    history.undo()
    history.redo()
    assert (history.rules, history.next_undo, history.next_redo) == (SECOND, "add a rule", "")


def test_a_new_step_forgets_what_was_taken_back() -> None:
    history = History(FIRST)
    history.commit("add a rule", SECOND)
    history.undo()
    history.commit("delete rule 1", RuleSet())
    assert history.next_redo == ""
    history.redo()
    assert history.rules == RuleSet()


def test_a_step_that_changes_nothing_is_none() -> None:
    history = History(FIRST)
    history.commit("edit rule 1", FIRST)
    assert history.next_undo == ""


def test_with_nothing_done_undo_and_redo_leave_the_rules_alone() -> None:
    history = History(FIRST)
    history.undo()
    history.redo()
    assert (history.rules, history.next_undo, history.next_redo) == (FIRST, "", "")


def test_any_step_can_be_gone_back_to_and_on_again() -> None:
    history = History(FIRST)
    history.commit("add a rule", SECOND)
    history.commit("start from nothing", RuleSet())
    history.go_to(0)
    assert (history.rules, history.steps) == (FIRST, ["add a rule", "start from nothing"])
    history.go_to(2)
    assert history.rules == RuleSet()
    history.go_to(1)
    assert (history.rules, history.next_undo, history.next_redo) == (SECOND, "add a rule", "start from nothing")


@pytest.mark.parametrize("at", [-1, 99])
def test_a_step_that_there_is_not_is_the_first_or_the_last(at: int) -> None:
    history = History(FIRST)
    history.commit("add a rule", SECOND)
    history.go_to(at)
    assert history.rules == (FIRST if at < 0 else SECOND)


@given(st.lists(st.sampled_from(["undo", "redo", "norm1. -> bn1.", "drop fc.", "strip prefix module."])))
def test_undoing_everything_gives_the_first_rules_and_redoing_everything_the_last(steps: list[str]) -> None:
    history = History(FIRST)
    for step in steps:
        if step in ("undo", "redo"):
            getattr(history, step)()
        else:
            history.commit(f"add {step}", history.rules.added(parse_rule(step)))
    take_all_steps(history.redo)
    last = history.rules
    take_all_steps(history.undo)
    assert history.rules == FIRST
    take_all_steps(history.redo)
    assert history.rules == last


def take_all_steps(step: Callable[[], None]) -> None:
    """More often than there are steps."""
    for _ in range(200):
        step()
