"""What stands around every page: the style, and the sidebar with the open checkpoint and the status line."""

from __future__ import annotations

import html

import streamlit as st

from ckpt_explorer.text import bytes_as_text, plural, visible
from ckpt_explorer.ui import plain, session
from ckpt_explorer.ui.uploads import share_uploads
from ckpt_explorer.ui.warm import warmth


def begin() -> None:
    """Before the page: set-up that must come first."""
    share_uploads()
    session.frame_drawn()
    st.html(f"<style>{plain.STYLE}</style>")


def title(text: str) -> None:
    """The page's title, and the sentence that the last action left, if any.

    The first visit to a fresh server at the address of a page reaches that page's script without `app.py`: Streamlit
    takes a folder called `pages` for its older kind of app until `st.navigation` was called once. Such a visit goes
    through `app.py` after all.
    """
    if not session.has_frame():
        st.switch_page("app.py")
    st.html(f"<h1 class='room'>{html.escape(text)}</h1>")
    here = session.current()
    here.said = here.message
    if here.message:
        tone, sentence = here.message
        here.message = None
        plain.say(sentence, "error" if tone == "error" else "good", key="message")


def sidebar() -> None:
    """The open checkpoint and what became of it so far."""
    here = session.current()
    with st.sidebar:
        if here.checkpoint is None:
            plain.quiet("No checkpoint is open.")
        else:
            _open_checkpoint(here)
        if here.images:
            plain.quiet(plural(len(here.images), "picture"))
        _status()


def _open_checkpoint(here: session.Session) -> None:
    checkpoint = here.checkpoint
    assert checkpoint is not None
    with st.container(key="open-checkpoint"):
        plain.heading("Open checkpoint")
        with st.container(key="mono-sidebar"):
            st.text(visible(checkpoint.name))
        plain.quiet(
            f"{checkpoint.format} · {bytes_as_text(checkpoint.size)}\n{plural(len(checkpoint.state_dict), 'tensor')} · nothing in it was run"
        )
        plain.heading("Network")
        with st.container(key="mono-network"):
            st.text(here.target.name)
        if here.loaded is not None:
            plain.heading("Loaded")
            plain.quiet(f"on {here.loaded.device}, {here.loaded.dtype}")


@st.fragment(run_every=1.0)
def _ticking_status() -> None:
    plain.quiet(warmth().status())
    if warmth().done.is_set():
        session.current().say_again()
        st.rerun()


def _status() -> None:
    with st.container(key="status"):
        if warmth().done.is_set():
            plain.quiet(warmth().status())
        else:
            _ticking_status()
