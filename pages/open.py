"""Open: give a checkpoint, and see what it is before anything in it is run."""

import streamlit as st

from ckpt_explorer.ui import contents, frame, notes, opening, session, sources, tree, which_part, wholeness

here = session.current()
frame.title("Open a checkpoint")
sources.uploader(here)
sources.path_field()
opening.progress(here)
opening.refusal(here)
if here.checkpoint is None:
    sources.teach()
    sources.examples(here)
    st.stop()

contents.facts(here.checkpoint)
with st.container(key="steps", horizontal=True):
    fits = bool(here.candidates or here.example)
    if st.button(f"Align it with {here.target.name}" if fits else "Choose its network", type="primary", key="next"):
        st.switch_page("pages/align.py")
    wholeness.button(here)
which_part.show(here)
wholeness.show(here)
notes.show(here.checkpoint.diagnoses)
contents.lost(here.checkpoint)
contents.candidates(here.candidates)
tree.show()
contents.imports(here.checkpoint)
contents.tensors()
with st.expander("Or open an example", key="other-examples"):
    sources.examples(here)
