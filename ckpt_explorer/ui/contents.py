"""What a file is and holds, drawn: its facts, its entries, its imports, and the networks it could be."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.suggestion import Candidate
from ckpt_explorer.text import bytes_as_text, plural, shape_as_text, visible
from ckpt_explorer.ui import plain

ROW = 35
"""Height of a table's row in pixels."""


def facts(checkpoint: Checkpoint) -> None:
    """One line on what the file is, and what was noticed while reading it."""
    chosen = checkpoint.state_dict
    plain.say(
        f"{checkpoint.name} is a {checkpoint.format} file of {bytes_as_text(checkpoint.size)}, written by {checkpoint.written_by}. "
        f"Its state dict{f' {chosen.path!r}' if chosen.path else ''} has {plural(len(chosen), 'tensor')} with {plural(chosen.elements, 'element')}. "
        "Nothing in it was run, and no tensor was read.",
        "good",
        key="facts",
    )
    for number, diagnosis in enumerate(checkpoint.diagnoses):
        plain.say(str(diagnosis), "warning", key=f"diagnosis-{number}")


def candidates(found: tuple[Candidate, ...]) -> None:
    """The networks that the file could be, with what speaks for and against each."""
    plain.heading("Which network it could be")
    if not found:
        plain.say(
            "No stages of residual blocks were found under any name that is known here: choose the network on the next page.",
            "warning",
        )
        return
    table = pd.DataFrame(
        {
            "network": [row.name for row in found],
            "agrees": [row.score for row in found],
            "classes": [row.num_classes for row in found],
            "channels": [row.in_channels for row in found],
            "why": [row.why for row in found],
            "against": [row.against or "nothing" for row in found],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        key="candidates",
        height=ROW * (len(table) + 1) + 3,
        column_config={
            "agrees": st.column_config.ProgressColumn(
                "agrees", min_value=0, max_value=1, format="percent", width="small"
            ),
            "network": st.column_config.TextColumn("network", width="medium"),
            "classes": st.column_config.NumberColumn("classes", width="small"),
            "channels": st.column_config.NumberColumn("channels", width="small"),
        },
    )


def entries(checkpoint: Checkpoint) -> None:
    """Everything the file holds, a line each; state dicts as one line."""
    plain.heading("What it holds")
    rows = checkpoint.entries
    table = pd.DataFrame(
        {
            "path": [visible(row.path) for row in rows],
            "kind": [row.kind for row in rows],
            "what": [row.says or shape_as_text(row.shape) for row in rows],
            "size": [bytes_as_text(row.size) if row.size else "" for row in rows],
        }
    )
    st.dataframe(table, hide_index=True, key="entries", height=ROW * (min(len(table), 8) + 1) + 3)


def imports(checkpoint: Checkpoint) -> None:
    """The names the file would have imported, graded."""
    plain.heading("What it would have imported; none of it was")
    if not checkpoint.globals:
        plain.quiet("Nothing: this format holds no code.")
        return
    table = pd.DataFrame(
        {"grade": [row.kind for row in checkpoint.globals], "name": [row.name for row in checkpoint.globals]}
    )
    st.dataframe(table, hide_index=True, key="imports", height=ROW * (min(len(table), 8) + 1) + 3)


def tensors(checkpoint: Checkpoint) -> None:
    """The tensors of the selected state dict."""
    chosen = checkpoint.state_dict
    with st.expander("Its tensors", key="tensors-expander"):
        rows = list(chosen.values())
        table = pd.DataFrame(
            {
                "key": [visible(row.key) for row in rows],
                "shape": [shape_as_text(row.shape) for row in rows],
                "dtype": [row.dtype for row in rows],
                "bytes": [row.size for row in rows],
            }
        )
        st.dataframe(
            table,
            hide_index=True,
            key="tensors",
            height=420,
            column_config={"key": st.column_config.TextColumn(width="large")},
        )
