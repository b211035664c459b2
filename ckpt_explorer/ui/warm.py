"""PyTorch is imported in the background, after the first page was painted: it takes longer than all the rest."""

from __future__ import annotations

import atexit
import gc
import importlib
import threading
import time
from dataclasses import dataclass, field

import streamlit as st

from ckpt_explorer.text import visible

SECONDS_TO_PAINT = 1.0


@dataclass
class Warmth:
    """The state of the import: `done` is set when it ended, `failed` says how if it failed."""

    started: float = field(default_factory=time.monotonic)
    done: threading.Event = field(default_factory=threading.Event)
    failed: str = ""

    def status(self) -> str:
        """One line for the sidebar."""
        if self.failed:
            return f"PyTorch can't be imported: {self.failed}"
        if not self.done.is_set():
            return f"PyTorch is being imported, {time.monotonic() - self.started:.0f} s"
        from ckpt_explorer.loading import available_devices

        return (
            f"PyTorch {importlib.import_module('torch').__version__.split('+')[0]} · {', '.join(available_devices())}"
        )


def _nothing_to_look_at(phase: str, _info: dict[str, int]) -> None:
    """A collection that begins while PyTorch is imported finds nothing to look at."""
    if phase == "start":
        gc.freeze()


def _import(warmth: Warmth) -> None:
    """Import PyTorch with no collection on the way, and leave to later ones what is not its own.

    Streamlit collects after every run, and while PyTorch is imported the status line runs every second. Each of these
    collections looks at all that was imported so far and holds everything else up: an import of seconds took minutes.
    """
    gc.callbacks.append(_nothing_to_look_at)
    try:
        importlib.import_module("torchvision")
    except Exception as error:  # noqa: BLE001  whatever breaks the import is shown in the status line
        warmth.failed = visible(f"{type(error).__name__}: {error}", 160)
    finally:
        gc.callbacks.remove(_nothing_to_look_at)
    gc.unfreeze()
    gc.collect()  # what became garbage meanwhile
    gc.freeze()  # a million objects that stay: a collection need not look at them again and again
    atexit.register(gc.unfreeze)  # but the last one does, or libraries complain of what was never freed
    warmth.done.set()


@st.cache_resource(show_spinner=False)
def warmth() -> Warmth:
    """Start the import once a process, as soon as the first page had time to be painted, and give its state."""
    state = Warmth()
    timer = threading.Timer(SECONDS_TO_PAINT, _import, args=(state,))
    timer.daemon = True
    timer.start()
    return state


def wait_for_torch() -> None:
    """Wait until PyTorch is there, with a line that says so; stop the page in words where it can't be imported."""
    state = warmth()
    if not state.done.is_set():
        with st.spinner("PyTorch is being imported: this takes some seconds after the start"):
            state.done.wait()
    if state.failed:
        st.text(state.status())
        st.stop()
