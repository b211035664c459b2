"""Load: fill the network from the file, and see where every tensor came from."""

import streamlit as st

from ckpt_explorer.ui import frame, journey, load_report, next_step, session
from ckpt_explorer.ui.warm import wait_for_torch

frame.title("Load")
here = session.require_checkpoint()
wait_for_torch()
next_step.back_to_rules(here)
load_report.offer(here, journey.aligned(here).alignment)
if here.loaded is not None:
    if st.button("Try it on pictures", type="primary", key="next"):
        st.switch_page("pages/predict.py")
    load_report.show(here, here.loaded)
