"""The panel of the Align page: the verdict, the rules and the key diff, which an edit runs again and nothing else."""

from __future__ import annotations

import streamlit as st

from ckpt_explorer.ui import journey, key_diff, network_map, next_step, rule_editor, session, verdict


@st.fragment
def show() -> None:
    """Verdict and next step above, rules at the left, the diff at the right.

    Streamlit keeps a fragment's arguments for as long as it keeps the session, so it has none: the file must go when
    its tab is closed.
    """
    here = session.current()
    if here.checkpoint is None:
        return
    with st.container(key="verdict-line", horizontal=True, vertical_alignment="center"):
        verdict.show(journey.aligned(here).alignment)
        next_step.to_load(here)
    above = st.container()  # the map is drawn last: what was edited is to be seen first
    with st.container(key="align-columns"):
        left, right = st.columns([5, 11], gap="medium")
        with left:
            rule_editor.show(here, journey.aligned(here))
        with right:
            key_diff.show()
    with above:
        network_map.show()
    next_step.notes(here)
    key_diff.show_details()
