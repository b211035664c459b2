"""Text on the page that is shown as it is: no Markdown, no HTML, no links, control characters as escapes.

Streamlit's own messages and labels interpret Markdown, and a picture in it is fetched by the browser. So sentences
that hold a name from a file go through here; only fixed words of ours are labels.
"""

from __future__ import annotations

import html
import itertools
from pathlib import Path
from typing import Literal

import streamlit as st

from ckpt_explorer.text import visible

Tone = Literal["error", "warning", "good", "note"]

SYMBOLS: dict[Tone, str] = {"error": "✕", "warning": "!", "good": "✓", "note": "i"}

_serial = itertools.count()


def say(text: str, tone: Tone = "note", key: str | None = None, mark: str = "") -> None:
    """A boxed sentence with a symbol; the tone is told by symbol as well as by colour. `mark` stands small at its end."""
    name = key or f"{next(_serial)}"
    with st.container(key=f"say-{tone}-{name}"):
        st.text(f"{SYMBOLS[tone]}  {_lines(text)}")
        if mark:
            with st.container(key=f"mark-{name}"):
                st.text(visible(mark, 12))


def quiet(text: str) -> None:
    """A line in a softer colour."""
    with st.container(key=f"quiet-{next(_serial)}"):
        st.text(_lines(text))


def _lines(text: str) -> str:
    """`text` with its own line breaks kept and every other control character shown."""
    return "\n".join(visible(line, 2000) for line in text.split("\n"))


def heading(text: str) -> None:
    """A heading of ours; fixed words only."""
    st.html(f"<h2 class='room'>{html.escape(text)}</h2>")


def in_plotly(text: str) -> str:
    """`text` for a plotly label, which interprets a few HTML tags."""
    return html.escape(visible(text), quote=False)


STYLE = (Path(__file__).parent / "style.css").read_text()
"""The style of every page; colours follow the theme through `light-dark()`."""
