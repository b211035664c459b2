"""The three ways to open a checkpoint: an upload, a path that the operator allows, an example."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.examples import EXAMPLES, Example, example_bytes, facts
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.text import visible
from ckpt_explorer.ui import plain
from ckpt_explorer.ui.operator import operator
from ckpt_explorer.ui.session import Session, widget_value
from ckpt_explorer.ui.uploads import upload_field
from ckpt_explorer.ui.warm import wait_for_torch


def uploader(here: Session) -> None:
    """The drop field; what arrives is opened in the buffer it arrived in."""
    upload_field(
        here,
        "checkpoint",
        "A checkpoint: .ckpt, .pth, .pt, .th, .bin, .safetensors. Its bytes decide, not its name.",
        lambda name, data: _open(here, data, name),
    )


def path_field(here: Session) -> None:
    """A path on the machine of the server, where the operator allows a folder."""
    if not operator().folders:
        return

    def take() -> None:
        typed = widget_value("path", "")
        if not typed.strip():
            return
        try:
            path = operator().allowed_path(typed)
        except CheckpointExplorerError as error:
            here.message = ("error", str(error))
            return
        _open(here, path, path.name)

    st.text_input("A path on this machine", key="path", placeholder="model.ckpt", on_change=take)
    plain.quiet(f"Allowed: {operator().folders_as_text()}")


def examples(here: Session) -> None:
    """The built-in example in the three cases, one click each."""
    plain.heading("Or one of three examples: a small ResNet, really trained on handwritten digits")
    for column, example in zip(st.columns(len(EXAMPLES)), EXAMPLES, strict=True):
        with column, st.container(border=True, key=f"example-{example.id}", height="stretch"):
            st.text(example.title)
            plain.quiet(example.says)
            if st.button("Open this example", key=f"open-{example.id}"):
                if example.id == "renamed":
                    wait_for_torch()
                _open(here, example_bytes(example), example.file_name, example)
                st.rerun()

    known = facts()
    right = sum(known["predicted"][name] == digit for name, digit in known["images"].items())
    plain.quiet(
        f"Trained on {known['trained_on']:,} pictures; of {known['held_out']:,} that it never saw, {right:,} are answered right. "
        f"{known['licence'].split(' (')[0]}, from {known['source'].split(',')[0]}."
    )


def teach() -> None:
    """What the app will do, for somebody who sees it for the first time."""
    plain.quiet(
        "What happens with a file: it is listed without running anything in it, held against the ResNets it could be, "
        "and you get the rules that make its keys fit. Then it is loaded, checked, and tried on your pictures."
    )


def _open(here: Session, given: bytes | Path, name: str, example: Example | None = None) -> None:
    """Open and take over; on failure the sentence is kept for the next run, and what was open stays open."""
    try:
        here.take(open_checkpoint(given, name), example)
    except CheckpointExplorerError as error:
        kept = f" {visible(here.checkpoint.name)} is still open." if here.checkpoint else ""
        here.message = ("error", f"{error}{kept}")
