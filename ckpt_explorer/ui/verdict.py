"""The verdict in a sentence, with its badge, and the counts that filter."""

from __future__ import annotations

import streamlit as st

from ckpt_explorer.alignment import Alignment, Status, Verdict
from ckpt_explorer.key_pair import SYMBOLS
from ckpt_explorer.text import visible

BADGES: dict[Verdict, str] = {
    Verdict.COMPLETE: "● COMPLETE",
    Verdict.PARTIAL: "◐ PARTIAL",
    Verdict.INCOMPATIBLE: "✕ INCOMPATIBLE",
}


def show(alignment: Alignment) -> None:
    """Badge and sentence, side by side."""
    with st.container(key="verdict", horizontal=True, vertical_alignment="center"):
        st.html(f"<span class='badge {alignment.verdict}'>{BADGES[alignment.verdict]}</span>", width="content")
        st.text(visible(alignment.says, 2000))


def label(status: Status, alignment: Alignment) -> str:
    """`● 97 matched`: symbol, count and word; missing keys that are all counters are called so, as no one needs them."""
    rows = alignment.rows(status)
    counters = status is Status.MISSING and all(pair.is_counter for pair in rows)
    return f"{SYMBOLS[status]} {len(rows):,} {status}{' counters' if counters else ''}"
