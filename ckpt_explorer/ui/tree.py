"""The tree of everything in a file: each entry under the one that holds it, with what it is and its size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
import streamlit as st

from ckpt_explorer.checkpoint import Checkpoint, Entry
from ckpt_explorer.text import bytes_as_text, plural, shape_as_text, visible
from ckpt_explorer.ui import plain, session
from ckpt_explorer.ui.filter_field import ROW, filter_field, holds

INDENT = "\u2003"
SHOWN = 12
WORTH_A_FILTER = 8


class Branch(NamedTuple):
    """An entry, how deep it stands, and its name without the path of the one above."""

    depth: int
    name: str
    entry: Entry


def branches(entries: Iterable[Entry]) -> list[Branch]:
    """The entries in their order, each below the last one whose path its own continues."""
    found: list[Branch] = []
    above: list[str] = []
    for entry in entries:
        while above and not entry.path.startswith(f"{above[-1]}."):
            above.pop()
        name = entry.path[len(above[-1]) + 1 :] if above else entry.path
        found.append(Branch(len(above), name, entry))
        above.append(entry.path)
    return found


@st.fragment
def show() -> None:
    """The tree, with a filter where it is long. Filtered rows have their whole path, since those above may be gone."""
    checkpoint = session.current().checkpoint
    if checkpoint is None:
        return
    plain.heading("What it holds")
    rows = branches(checkpoint.entries)
    words = ""
    if len(rows) > WORTH_A_FILTER:
        words = filter_field("tree-filter", "Filter what it holds", f"Filter {plural(len(rows), 'entry', 'entries')}")
    kept = [row for row in rows if holds(f"{row.entry.path} {row.entry.kind} {row.entry.says}", words)]
    if not kept:
        plain.quiet("Nothing in the file has these words.")
        return
    table = pd.DataFrame(
        {
            "path": [visible(row.entry.path) if words else INDENT * row.depth + visible(row.name) for row in kept],
            "kind": [row.entry.kind for row in kept],
            "size": [bytes_as_text(row.entry.size) if row.entry.size else "" for row in kept],
            "what": [_what(row.entry, checkpoint) for row in kept],
        }
    )
    with st.container(key="tree"):
        st.dataframe(
            table,
            hide_index=True,
            key="entries",
            height=ROW * (min(len(table), SHOWN) + 1) + 3,
            column_config={
                "path": st.column_config.TextColumn("name", width=190),
                "kind": st.column_config.TextColumn(width=80),
                "what": st.column_config.TextColumn(width=420),
                "size": st.column_config.TextColumn(width=70),
            },
        )


def _what(entry: Entry, checkpoint: Checkpoint) -> str:
    """The value, or what the branch holds; the state dict that is selected says so."""
    says = entry.says or shape_as_text(entry.shape)
    if entry.dtype and entry.shape is not None:
        says = f"{shape_as_text(entry.shape)} {entry.dtype}"
    chosen = entry.kind == "state dict" and entry.path == (checkpoint.selected or "(top)")
    return f"{visible(says)}{', chosen' if chosen and len(checkpoint.state_dicts) > 1 else ''}"
