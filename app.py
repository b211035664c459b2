"""Checkpoint Explorer: navigation, the frame around every page, and the sidebar with the open checkpoint."""

import streamlit as st

from ckpt_explorer.ui import frame

st.set_page_config(page_title="Checkpoint Explorer", layout="wide", initial_sidebar_state=240)
frame.begin()
page = st.navigation(
    [
        st.Page("pages/open.py", title="1  Open", default=True),
        st.Page("pages/align.py", title="2  Align"),
        st.Page("pages/load.py", title="3  Load"),
        st.Page("pages/predict.py", title="4  Predict"),
    ]
)
frame.sidebar()
page.run()
