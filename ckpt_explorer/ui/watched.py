"""Work of some seconds within a run of the page: a bar that tells of its steps, and a button that stops it at the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.ui.session import Session

EVERY = 0.1
"""Seconds from one drawing of the bar to the next."""

Result = TypeVar("Result")
Tell = Callable[[str, int, int], None]
"""Called with what is being done, how far it is, and of how much."""


def watched(here: Session, what: str, stop: str, work: Callable[[Tell], Result]) -> Result | None:
    """What `work` finds; None and a message where it can't be done. `stop` is the key of the button, which is drawn
    before the work: to press it ends the run at the next step."""
    bar = st.progress(0.0, what)
    st.button("Stop", key=stop)
    drawn = 0.0

    def tell(what: str, done: int, of: int) -> None:
        nonlocal drawn
        if done == of or time.monotonic() - drawn > EVERY:  # drawing is also where Stop is heard
            drawn = time.monotonic()
            bar.progress(min(done / of, 1.0) if of else 0.0, what)

    try:
        return work(tell)
    except CheckpointExplorerError as error:
        here.message = ("error", str(error))
        return None
