"""Open: give a checkpoint, and see what it is before anything in it is run."""

import streamlit as st

from ckpt_explorer.ui import contents, frame, opening, session

here = session.current()
frame.title("Open a checkpoint")
opening.uploader(here)
opening.path_field(here)
if here.checkpoint is None:
    opening.examples(here)
    opening.teach()
    st.stop()

contents.facts(here.checkpoint)
if st.button(f"Align it with {here.target.name}", type="primary", key="next"):
    st.switch_page("pages/align.py")
contents.candidates(here.candidates)
left, right = st.columns([3, 2])
with left:
    contents.entries(here.checkpoint)
with right:
    contents.imports(here.checkpoint)
contents.tensors(here.checkpoint)
with st.expander("Or open an example", key="other-examples"):
    opening.examples(here)
