"""Which part of what was given: the file of an archive or a folder, and the state dict of the file."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from ckpt_explorer.text import bytes_as_text, plural, visible
from ckpt_explorer.ui import opening, session
from ckpt_explorer.ui.session import Session, controlled


def show(here: Session) -> None:
    """A menu for each that there are several of."""
    checkpoint = here.checkpoint
    assert checkpoint is not None
    files, dicts = len(checkpoint.members) > 1, len(checkpoint.state_dicts) > 1
    if not files and not dicts:
        return
    with st.container(key="which-part"):
        columns = st.columns(2)
        if files:
            with columns[0]:
                _file(here)
        if dicts:
            with columns[1 if files else 0]:
                state_dict(here)


def _file(here: Session) -> None:
    """The files of the archive that hold weights, the largest first; another one is opened from the same bytes."""
    assert here.checkpoint is not None
    members = here.checkpoint.members
    st.selectbox(
        f"File, one of {len(members):,}",
        members,
        format_func=lambda name: visible(name, 200),
        **controlled("member", here.checkpoint.member, _open_member),
    )


def _open_member(name: str) -> None:
    here = session.current()
    if here.given is not None and here.checkpoint is not None and name != here.checkpoint.member:
        opening.begin(here, replace(here.given, member=name))


def state_dict(here: Session) -> None:
    """The state dicts of the file, each with its count and size."""
    assert here.checkpoint is not None
    rows = here.checkpoint.state_dicts
    labels = {
        row.path: f"{visible(row.path) or 'the top'} · {plural(len(row), 'tensor')} · {bytes_as_text(row.size)}"
        for row in rows
    }
    st.selectbox(
        f"State dict, one of {len(rows):,}",
        list(labels),
        format_func=labels.__getitem__,
        **controlled("state-dict", here.checkpoint.selected, here.select_state_dict),
    )
