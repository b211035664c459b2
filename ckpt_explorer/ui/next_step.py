"""The one next step from Align, and what was noticed about the file and the network."""

from __future__ import annotations

import streamlit as st

from ckpt_explorer.alignment import Verdict
from ckpt_explorer.diagnosis import diagnoses_of
from ckpt_explorer.drift import drift_of
from ckpt_explorer.suggestion import suggest_rules
from ckpt_explorer.suggestion.rules import Alternative
from ckpt_explorer.text import plural
from ckpt_explorer.ui import journey, plain
from ckpt_explorer.ui.session import Session


def to_load(here: Session) -> None:
    """The filled button: load what fits, or convert where there is no network to load."""
    alignment = journey.aligned(here).alignment
    filled = len(alignment.filled)
    reference = alignment.architecture.build is None
    label = f"Convert {plural(filled, 'tensor')}" if reference else f"Load {plural(filled, 'tensor')}"
    if st.button(label, type="primary", key="next", disabled=not alignment.filled):
        st.switch_page("pages/load.py")


def back_to_rules(here: Session) -> None:
    """On the Load page: that better rules are at hand, where what does not fit is only not renamed yet."""
    aligned = journey.aligned(here)
    proposed = aligned.suggestion.rules
    if not proposed or aligned.history.rules == proposed or aligned.alignment.verdict is Verdict.COMPLETE:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="proposed-rules"):
        many = f"Not all of the {len(proposed)} rules that are proposed for this file are in force:"
        plain.quiet(many if len(proposed) > 1 else "The rule that is proposed for this file is not in force:")
        st.page_link("pages/align.py", label="Look at them before you load")


def notes(here: Session) -> None:
    """What was noticed, one sentence and one next step each."""
    aligned = journey.aligned(here)
    assert here.checkpoint is not None
    suggestion = aligned.suggestion
    opinion = suggestion.second_opinion if aligned.alignment.rules == suggestion.rules else None
    found = diagnoses_of(here.checkpoint, aligned.alignment, here.candidates, suggestion.alternatives, opinion)
    drift = drift_of(aligned.alignment).says if aligned.history.from_elsewhere else ""
    if found or drift:
        plain.heading("What was noticed")
    if drift:
        plain.quiet(f"{drift} Edit these rules, or take the suggestion for this file.")
    for note in found:
        plain.quiet(f"{note.says}: {note.next}")
    _other_copies(here, suggestion.alternatives)


def _other_copies(here: Session, alternatives: tuple[Alternative, ...]) -> None:
    """Each other copy of the network in the file, with the button that takes it instead."""
    for number, other in enumerate(alternatives):
        with st.container(horizontal=True, vertical_alignment="center", key=f"copy-{number}"):
            plain.quiet(f"{other.prefix or other.state_dict or 'the top'}: {other.says}")
            st.button("Take this copy instead", key=f"take-copy-{number}", on_click=_take_copy, args=(here, other))


def _take_copy(here: Session, other: Alternative) -> None:
    """Another state dict is selected; another prefix is a step of the rules, which undo takes back."""
    if not other.prefix:
        here.select_state_dict(other.state_dict)
        return
    aligned = journey.aligned(here)
    alignment = aligned.alignment
    rules = suggest_rules(alignment.state_dict, alignment.architecture, other.prefix)
    aligned.history.commit("take another copy", rules)
