"""What every page behind Open begins with: the alignment of what is chosen, and the network if it was loaded."""

from __future__ import annotations

import streamlit as st

from ckpt_explorer.alignment import align_despite
from ckpt_explorer.errors import ArchitectureError
from ckpt_explorer.loading import LoadedModel
from ckpt_explorer.suggestion import suggest
from ckpt_explorer.ui import plain
from ckpt_explorer.ui.history import History
from ckpt_explorer.ui.session import Aligned, Session


def aligned(here: Session) -> Aligned:
    """Hold the chosen state dict against the chosen network; where that can't be built, say so and stop the page.

    The result is kept in the session while nothing of it changes. Scripts and callbacks ask for it here and hold
    nothing themselves: Streamlit keeps them, and with them the file, after the tab was closed.
    """
    assert here.checkpoint is not None
    try:
        architecture = here.target.architecture(here.reference)
    except ArchitectureError as error:
        plain.say(str(error), "error", key="architecture")
        st.stop()
    if here.place not in here.suggestions:
        here.suggestions[here.place] = suggest(here.checkpoint, architecture)
    suggestion = here.suggestions[here.place]
    history = here.histories.setdefault(here.place, History(suggestion.rules))
    wanted = (here.place, history.rules)
    if here.aligned is None or here.aligned_for != wanted:
        by_order = suggestion.by_order if history.rules == suggestion.rules else frozenset()
        alignment, complaints = align_despite(here.checkpoint, architecture, history.rules, by_order)
        here.aligned, here.aligned_for = Aligned(alignment, complaints, suggestion, history), wanted
    if here.loaded is not None and here.loaded_as != (here.place, here.aligned.alignment.rules):
        here.forget_loaded()
    return here.aligned


def require_loaded(here: Session) -> LoadedModel:
    """The loaded network; without one, the page says so, with the way there, and stops."""
    aligned(here)
    if here.loaded is None:
        st.text("No network is loaded with the rules as they are now.")
        st.page_link("pages/load.py", label="Load it")
        st.stop()
    return here.loaded
