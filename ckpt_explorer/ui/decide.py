"""What does not fit, as questions: each choice with its consequence and with the counts that it would give."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.decision import STOP, Choice, Decision
from ckpt_explorer.decisions import decisions_for, taken
from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.text import plural
from ckpt_explorer.ui import journey, plain
from ckpt_explorer.ui.session import Aligned, Session

QUESTIONS = "questions"
"""Under this an alignment keeps what is to be decided about it."""


def show(here: Session) -> None:
    """Every open question; nothing where all fits."""
    aligned = journey.aligned(here)
    questions = _questions(aligned)
    if not questions:
        return
    plain.heading("To decide")
    for question in questions:
        _question(here, aligned, question)
    plain.quiet("Or stop: a strict load refuses, as PyTorch's does, until these are decided.")


def _questions(aligned: Aligned) -> tuple[Decision, ...]:
    """What is to be decided, found once for an alignment."""
    kept = aligned.decisions
    if QUESTIONS not in kept:
        kept[QUESTIONS] = decisions_for(aligned.alignment)
    found: tuple[Decision, ...] = kept[QUESTIONS]
    return found


def _question(here: Session, aligned: Aligned, question: Decision) -> None:
    with st.container(key=f"decision-{question.about}", border=True):
        st.text(question.says)
        for number, choice in enumerate(row for row in question.choices if row is not STOP):
            says, can_be = _kept_outcome(aligned, question, choice)
            columns = st.columns([2, 3], vertical_alignment="center")
            columns[0].button(
                choice.says,
                key=f"decide-{question.about}-{number}",
                width="stretch",
                disabled=not can_be,
                on_click=_take,
                args=(here, question.about, choice.name),
            )
            with columns[1]:
                mark = "Chosen. " if _in_force(here, choice) else ""
                plain.quiet(f"{mark}{choice.consequence}\n{says}")
        if question.not_offered:
            plain.quiet(question.not_offered)


def _in_force(here: Session, choice: Choice) -> bool:
    """Whether a choice that no rule carries out is what the load will do."""
    return choice.partial and not choice.added and here.load_choice.strict is False


def _kept_outcome(aligned: Aligned, question: Decision, choice: Choice) -> tuple[str, bool]:
    """The outcome, found once for an alignment: it takes another alignment of all keys."""
    kept, key = aligned.decisions, (question.about, choice.name)
    if key not in kept:
        kept[key] = _outcome(aligned.alignment, choice)
    says, can_be = kept[key]
    return says, can_be


def _outcome(alignment: Alignment, choice: Choice) -> tuple[str, bool]:
    """What the choice would lead to, and whether it can be taken."""
    if not choice.added and choice.num_classes is None and choice.in_channels is None:
        return (
            f"{plural(len(alignment.filled), 'tensor')} come from the file, {len(alignment.unfilled):,} random.",
            True,
        )
    try:
        then = taken(alignment, choice)
    except CheckpointExplorerError as error:
        return str(error), False
    return (
        f"Then {plural(len(then.filled), 'tensor')} come from the file, {len(then.unfilled):,} random: {then.verdict}.",
        True,
    )


def _take(here: Session, about: str, name: str) -> None:
    """Carry a choice out. Its rules are one step, which undo on the Align page takes back."""
    aligned = journey.aligned(here)
    question = next((row for row in _questions(aligned) if row.about == about), None)
    if question is None:
        return
    choice = question.choice(name)
    if choice.partial:
        here.load_choice.strict = False
    if choice.added:
        rules = aligned.history.rules
        for rule in choice.added:
            rules = rules.added(rule)
        aligned.history.commit(f"decide: {choice.says[:1].lower()}{choice.says[1:]}", rules)
    elif choice.num_classes is not None or choice.in_channels is not None:
        here.choose(
            replace(
                here.target,
                num_classes=choice.num_classes or here.target.num_classes,
                in_channels=choice.in_channels or here.target.in_channels,
            )
        )
