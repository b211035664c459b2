"""The key diff as a table: one row a key, filtered by status and by text, with the way of the selected key."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ckpt_explorer.alignment import Alignment, KeyPair, Status
from ckpt_explorer.key_pair import SYMBOLS
from ckpt_explorer.text import plural, shape_as_text, visible
from ckpt_explorer.ui import journey, plain, session
from ckpt_explorer.ui.verdict import label


@st.fragment
def show() -> None:
    """Counts that filter, a search field, the table, and why the selected row is as it is.

    Streamlit keeps a fragment's arguments for as long as it keeps the session, so it has none: the file must go when
    its tab is closed.
    """
    alignment = journey.aligned(session.current()).alignment
    plain.heading("Keys")
    present = [status for status in Status if alignment.rows(status)]
    labels = {
        status: label(status, alignment) for status in present
    }  # a widget's functions are kept, and what they hold
    with st.container(key="filters", horizontal=True, vertical_alignment="bottom"):
        chosen = st.pills(
            "Show",
            present,
            format_func=labels.__getitem__,
            selection_mode="multi",
            key="status-filter",
            label_visibility="collapsed",
        )
        words = st.text_input(
            "Search keys", key="key-search", placeholder="Search keys", label_visibility="collapsed", width=240
        )
    rows = [pair for pair in alignment.pairs if (not chosen or pair.status in chosen) and _found(pair, words)]
    if not rows:
        plain.quiet("No key has this status and these words.")
        return
    event = st.dataframe(
        _table(rows),
        hide_index=True,
        key="key-table",
        height=560,
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "checkpoint": st.column_config.TextColumn("in the checkpoint", width=235),
            "model": st.column_config.TextColumn("in the network", width=215),
            "status": st.column_config.TextColumn("status", width=95),
            "shape": st.column_config.TextColumn("shape", width=120),
            "dtype": st.column_config.TextColumn("dtype", width=70),
            "rule": st.column_config.TextColumn("rule", width=45, help="the last rule that touched the key"),
        },
    )
    picked = event["selection"]["rows"]
    if picked and picked[0] < len(rows):
        _why(rows[picked[0]], alignment)
    else:
        plain.quiet(f"{plural(len(rows), 'row')}. Select one to see its way through the rules.")


def _found(pair: KeyPair, words: str) -> bool:
    text = " ".join(name for name in (pair.checkpoint, pair.renamed, pair.model) if name).lower()
    return all(word in text for word in words.lower().split())


def _table(rows: list[KeyPair]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "status": [f"{SYMBOLS[pair.status]} {pair.status}" for pair in rows],
            "checkpoint": [visible(pair.checkpoint) if pair.checkpoint else "–" for pair in rows],
            "model": [visible(pair.model) if pair.model else _without_place(pair) for pair in rows],
            "shape": [_shapes(pair) for pair in rows],
            "dtype": [pair.dtype or "" for pair in rows],
            "rule": ["" if pair.rule is None else str(pair.rule + 1) for pair in rows],
            "note": [pair.note for pair in rows],
        }
    )


def _shapes(pair: KeyPair) -> str:
    """The shape, or both where they differ."""
    ours, theirs = pair.checkpoint_shape, pair.model_shape
    if ours is None or theirs is None or ours == theirs:
        return shape_as_text(theirs if ours is None else ours)
    return f"{shape_as_text(ours)} ≠ {shape_as_text(theirs)}"


def _without_place(pair: KeyPair) -> str:
    """What an unexpected key was renamed to, in brackets: no key of the network has that name."""
    return f"({visible(pair.renamed)})" if pair.renamed and pair.renamed != pair.checkpoint else "–"


def _why(pair: KeyPair, alignment: Alignment) -> None:
    """The selected key's way through the rules."""
    lines = [f"{SYMBOLS[pair.status]} {pair.status}{f': {pair.note}' if pair.note else ''}"]
    if pair.checkpoint:
        lines.append(visible(pair.checkpoint))
        for position, _, after in alignment.rules.trace(pair.checkpoint):
            lines.append(f"  rule {position + 1}  →  {'left out' if after is None else visible(after)}")
    if pair.status is Status.SHAPE_MISMATCH:
        lines.append(
            f"The file has {shape_as_text(pair.checkpoint_shape)}, the network wants {shape_as_text(pair.model_shape)}."
        )
    if pair.status is Status.MISSING:
        lines.append(
            f"The network wants {visible(pair.model or '')} {shape_as_text(pair.model_shape)}; no key of the file has this name after the rules."
        )
    if pair.status is Status.UNEXPECTED:
        lines.append("The network has no key of this name.")
    with st.container(key="mono-why", border=True):
        st.text("\n".join(lines))
