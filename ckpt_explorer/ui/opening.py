"""Opening what was given, in a thread: at once where it is, else with a bar and a way to stop. What is open stays open."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.text import bytes_as_text, visible
from ckpt_explorer.ui import notes, plain, session
from ckpt_explorer.ui.given import Given, Refusal, refusal_of
from ckpt_explorer.ui.job import Job
from ckpt_explorer.ui.session import Opening, Session

AT_ONCE = 0.4
"""Seconds after which work that tells of its steps is shown with a bar."""

PATIENCE = 4.0
"""Seconds that are waited for work without steps, which is short or somebody else's server."""


def begin(here: Session, given: Given) -> None:
    """Open `given`. What was refused before is let go of; what is open stays so until there is another."""
    here.stop_opening()
    here.refusal = here.message = None
    here.opening = Opening(given, Job(given.open))
    if here.opening.job.ends_soon(AT_ONCE, AT_ONCE if given.is_remote else PATIENCE):
        _settle(here, here.opening)


def refuse(here: Session, error: CheckpointExplorerError) -> None:
    """Say why nothing is opened at all."""
    here.stop_opening()
    here.refusal = Refusal(str(error))


def _settle(here: Session, opening: Opening) -> None:
    """Take over what was opened, or keep why it was not."""
    here.opening = None
    try:
        here.take(opening.job.collect(), opening.given)
    except CheckpointExplorerError as error:
        here.refusal = refusal_of(error, opening.given)


def progress(here: Session) -> None:
    """How far the opening is, while one goes on; once it has ended, the page runs again with what came of it."""
    if here.opening is None:
        return
    if here.opening.job.finished.is_set():
        _settle(here, here.opening)
        st.rerun()
    _watch()


@st.fragment(run_every=0.3)
def _watch() -> None:
    here = session.current()
    opening = here.opening
    if opening is None or opening.job.finished.is_set():
        here.say_again()
        st.rerun()
    job, given = opening.job, opening.given
    with st.container(key="opening", border=True):
        st.text(f"Opening {visible(given.name, 120)}")
        show_steps(job, "fetched" if given.is_remote else "unpacked")
        st.button("Stop", key="stop-opening", on_click=_stop)


def show_steps(job: Job[Any], done: str) -> None:
    """A job's bar and its bytes; `done` is what has been done with them."""
    if job.fraction is not None:
        st.progress(job.fraction)
        words = f"{bytes_as_text(job.done)} of {bytes_as_text(job.total)} {done}"
    else:
        words = (
            f"{bytes_as_text(job.done)} {done}" if job.done else "Nothing has arrived yet" if done == "fetched" else ""
        )
    with st.container(key=f"quiet-steps-{done}"):
        st.text(words or "Reading")


def _stop() -> None:
    session.current().stop_opening()


def refusal(here: Session) -> None:
    """Why the last file was not opened, and the button for what can be done about it here.

    It is said once, as long as nobody does anything else; with a button it stands until another file comes.
    """
    found = here.refusal
    if found is None:
        return
    here.said = found
    if not found.offer:
        here.refusal = None
    kept = f"\n{visible(here.checkpoint.name)} is still open." if here.checkpoint else ""
    plain.say(notes.sentence(found.says, found.next) + kept, "error", key="message", mark=found.id)
    if found.offer:
        with st.container(key="offers", horizontal=True):
            st.button(
                found.offer,
                key="offer",
                type="secondary" if here.checkpoint else "primary",
                on_click=_take_the_offer,
            )
            st.button("Dismiss", key="dismiss", on_click=_dismiss)


def _take_the_offer() -> None:
    """The button's own arguments would be kept by Streamlit, and the file with them."""
    here = session.current()
    if here.refusal is not None and here.refusal.again is not None:
        begin(here, here.refusal.again)


def _dismiss() -> None:
    session.current().refusal = None
