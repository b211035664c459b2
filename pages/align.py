"""Align: line the checkpoint's keys up against a network, and edit the rules that make them fit."""

import streamlit as st

from ckpt_explorer.ui import frame, journey, key_table, network_picker, next_step, rule_editor, session, verdict
from ckpt_explorer.ui.warm import wait_for_torch

frame.title("Align")
here = session.require_checkpoint()
wait_for_torch()
network_picker.show(here)

verdict.show(journey.aligned(here).alignment)
next_step.to_load(here)
with st.container(key="align-columns"):
    left, right = st.columns([6, 9], gap="medium")
    with left:
        rule_editor.show(here, journey.aligned(here))
    with right:
        key_table.show()
next_step.notes(here)
