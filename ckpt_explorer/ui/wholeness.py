"""Is it whole? Every byte is looked at, in a thread, with a bar and a way to stop; then what was found."""

from __future__ import annotations

import streamlit as st

from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.integrity import Integrity, check_integrity
from ckpt_explorer.text import bytes_as_text
from ckpt_explorer.ui import notes, plain, session
from ckpt_explorer.ui.job import Job
from ckpt_explorer.ui.opening import show_steps
from ckpt_explorer.ui.session import Session

AT_ONCE = 1.0
"""Seconds after which the bar is shown instead of the waiting."""


def button(here: Session) -> None:
    """The button that begins it; gone while it goes on, and once it is known."""
    if here.verifying is None and here.integrity is None:
        st.button("Is it whole?", key="verify", on_click=_begin)


def _begin() -> None:
    here = session.current()
    checkpoint = here.checkpoint
    if checkpoint is None:
        return
    here.verifying = Job(lambda progress: check_integrity(checkpoint, progress))
    if here.verifying.ends_soon(AT_ONCE, AT_ONCE):
        _settle(here, here.verifying)


def _settle(here: Session, job: Job[Integrity]) -> None:
    here.verifying = None
    try:
        here.integrity = job.collect()
    except CheckpointExplorerError as error:
        here.message = ("error", str(error))


def show(here: Session) -> None:
    """How far the look at every byte is, or what it found."""
    if here.verifying is not None:
        if here.verifying.finished.is_set():
            _settle(here, here.verifying)
            st.rerun()
        plain.heading("Is it whole?")
        _watch()
    elif here.integrity is not None:
        plain.heading("Is it whole?")
        _found(here, here.integrity)


@st.fragment(run_every=0.3)
def _watch() -> None:
    here = session.current()
    job = here.verifying
    if job is None or job.finished.is_set():
        here.say_again()
        st.rerun()
    with st.container(key="verifying", border=True):
        show_steps(job, "hashed")
        st.button("Stop", key="stop-verifying", on_click=_stop)


def _stop() -> None:
    session.current().forget_integrity()


def _found(here: Session, found: Integrity) -> None:
    """The sentence, what is damaged with its next step, and the hash to compare."""
    assert here.checkpoint is not None
    looked = f"All {bytes_as_text(found.size)} were looked at: {found.says}."
    if found.is_whole:
        plain.say(looked, "good" if found.checked or found.name_agrees else "note", key="whole")
    notes.show(found.diagnoses(here.checkpoint.name), key="damage")
    if found.sha256:
        named = " (the first digits stand in its name)" if found.name_agrees else ""
        plain.quiet(f"sha256 of the whole file{named}")
        st.code(found.sha256, language=None, wrap_lines=True)
