"""The component itself: plain JavaScript and CSS from the files beside this one, with no build step.

It is in two halves. The carrier puts a message (`wire.py`) on a shelf that the view reads: so the keys, which are heavy
and stay, and the pairs, which a rule changes, are sent apart from each other and from what changes with every click.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent

VIEW_SCRIPTS = (
    "unpack",
    "text",
    "marks",
    "rows",
    "tree",
    "lines",
    "search",
    "cells",
    "minimap",
    "frame",
    "pane",
    "keyboard",
    "view",
    "index",
)
"""One script, in this order: each file uses what stands before it, and only the last exports."""


def _script(*names: str) -> str:
    return "\n".join((_HERE / f"{name}.js").read_text(encoding="utf-8") for name in names)


view = st.components.v2.component(
    "checkpoint_explorer.key_diff",
    html=(_HERE / "key_diff.html").read_text(encoding="utf-8"),
    css=(_HERE / "key_diff.css").read_text(encoding="utf-8"),
    js=_script(*VIEW_SCRIPTS),
)
carrier = st.components.v2.component("checkpoint_explorer.key_diff_carrier", js=_script("unpack", "carrier"))
