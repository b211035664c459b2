"""What a file is and holds, drawn: its facts, the networks it could be, its imports, its tensors."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.reading.pickles.grades import can_do_harm
from ckpt_explorer.suggestion import Candidate
from ckpt_explorer.text import bytes_as_text, plural, shape_as_text, visible
from ckpt_explorer.ui import plain, session
from ckpt_explorer.ui.filter_field import ROW, filter_field, holds

MANY = 12
HARMFUL = 5
"""How many calls that could do harm are written out above the table, where no column cuts them."""


def facts(checkpoint: Checkpoint) -> None:
    """One sentence on what the file is; a broken one is no good news."""
    chosen = checkpoint.state_dict
    writer = f", written by {checkpoint.written_by}" if checkpoint.written_by else ""
    path = f" {chosen.path!r}" if chosen.path else ""
    inside = f"The file in it is {checkpoint.member}. " if checkpoint.member not in checkpoint.name else ""
    plain.say(
        f"{checkpoint.name} is {_kind(checkpoint.format)} of {bytes_as_text(checkpoint.size)}{writer}. {inside}"
        f"Its state dict{path} has {plural(len(chosen), 'tensor')} with {plural(chosen.elements, 'element')}. "
        "Nothing in it was run, and no tensor was read.",
        "warning" if checkpoint.lost else "good",
        key="facts",
    )


def _kind(kind: str) -> str:
    """`a torch zip file`, `an npz file`, `a torch zip in a tar archive`, `a safetensors checkpoint, in 2 parts`."""
    first, comma, rest = kind.partition(",")
    noun = " checkpoint" if comma else "" if " in a" in kind else " file"
    article = "an" if kind.startswith(("np", "a", "e", "i", "o", "u")) else "a"
    return f"{article} {first}{noun}{comma}{rest}{',' if comma else ''}"


def lost(checkpoint: Checkpoint) -> None:
    """The keys whose bytes are gone."""
    if not checkpoint.lost:
        return
    with st.expander(f"{plural(len(checkpoint.lost), 'key')} without bytes", key="lost"):
        st.dataframe(
            pd.DataFrame({"lost": [visible(key) for key in checkpoint.lost]}),
            hide_index=True,
            key="lost-keys",
            height=_height(len(checkpoint.lost)),
        )


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
            "agrees": [round(row.score * 100) for row in found],
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
        placeholder="–",
        height=_height(len(table)),
        column_config={
            "network": st.column_config.TextColumn(width=130),
            "agrees": st.column_config.ProgressColumn(min_value=0, max_value=100, format="%d %%", width=95),
            "classes": st.column_config.NumberColumn(width=60),
            "channels": st.column_config.NumberColumn(width=65),
            "why": st.column_config.TextColumn(width=330),
            "against": st.column_config.TextColumn(width=280),
        },
    )
    best = found[0]
    against = f" Against it: {best.against}." if best.against else ""
    plain.quiet(f"{best.name}: {best.why}.{against}")


def imports(checkpoint: Checkpoint) -> None:
    """The names the file would have imported, code first, each with what it would have done."""
    plain.heading("What it would have imported; none of it was")
    if not checkpoint.globals:
        no_code = checkpoint.format.startswith(("safetensors", "npz", "npy"))
        plain.quiet("Nothing: this format holds no code." if no_code else "Nothing: the file names no import.")
        return
    rows = sorted(checkpoint.globals, key=lambda row: not can_do_harm(row.name))
    table = pd.DataFrame(
        {
            "grade": [f"{'✕ ' if can_do_harm(row.name) else ''}{row.kind}" for row in rows],
            "name": [row.name for row in rows],
            "says": [visible(row.says).removeprefix("would have ") for row in rows],
        }
    )
    for row in [row for row in rows if can_do_harm(row.name)][:HARMFUL]:
        plain.quiet(f"✕ {row.name}: {row.says}")
    st.dataframe(
        table,
        hide_index=True,
        key="imports",
        height=_height(len(table), 8),
        column_config={
            "grade": st.column_config.TextColumn(width=60),
            "name": st.column_config.TextColumn(width=240),
            "says": st.column_config.TextColumn("what it would have done", width=560),
        },
    )


@st.fragment
def tensors() -> None:
    """The tensors of the selected state dict, with a filter."""
    checkpoint = session.current().checkpoint
    if checkpoint is None:
        return
    rows = list(checkpoint.state_dict.values())
    plain.heading("Its tensors")
    words = filter_field("tensor-filter", "Filter tensors", f"Filter {plural(len(rows), 'tensor')}")
    kept = [row for row in rows if holds(f"{row.key} {shape_as_text(row.shape)} {row.dtype}", words)] if words else rows
    if not kept:
        plain.quiet("No tensor has these words in its key, shape or dtype.")
        return
    table = pd.DataFrame(
        {
            "key": [visible(row.key) for row in kept],
            "shape": [shape_as_text(row.shape) for row in kept],
            "dtype": [row.dtype for row in kept],
            "bytes": [row.size for row in kept],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        key="tensors",
        height=_height(len(table), MANY),
        column_config={
            "key": st.column_config.TextColumn(width=255),
            "shape": st.column_config.TextColumn(width=120),
            "dtype": st.column_config.TextColumn(width=75),
            "bytes": st.column_config.NumberColumn("size", format="bytes", width=75),
        },
    )
    if words:
        plain.quiet(f"{len(kept):,} of {plural(len(rows), 'tensor')}")


def _height(rows: int, most: int = 6) -> int:
    return ROW * (min(rows, most) + 1) + 3
