"""The ways in: files that are dropped, a path or an address that the operator allows, an example."""

from __future__ import annotations

import os

import streamlit as st

from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.examples import EXAMPLES, Example, example_bytes, facts
from ckpt_explorer.reading.sources.address import is_address
from ckpt_explorer.text import plural
from ckpt_explorer.ui import opening, plain, session
from ckpt_explorer.ui.given import Given
from ckpt_explorer.ui.operator import operator
from ckpt_explorer.ui.session import Session, widget_value
from ckpt_explorer.ui.uploads import upload_together
from ckpt_explorer.ui.warm import wait_for_torch


def uploader(here: Session) -> None:
    """The drop field; what arrives is opened in the buffers it arrived in, several files together as a folder."""

    def receive(files: dict[str, bytes]) -> None:
        if len(files) == 1:
            ((name, data),) = files.items()
            opening.begin(here, Given(name, data))
        else:
            opening.begin(here, Given(_name_of(list(files)), files))

    upload_together(here, "checkpoint", "A checkpoint: one file, or all files of a sharded one together", receive)


def _name_of(files: list[str]) -> str:
    """What to call files that came together: how all of their names begin, or how many they are."""
    start = os.path.commonprefix(files).strip("-_. ")  # noqa: RUF071  character by character is what is meant
    return start if len(start) > 2 else plural(len(files), "file")


def path_field() -> None:
    """A path on the machine of the server, or an address that it asks for, where the operator allows any."""
    allowed = operator()
    if not allowed.allows_any:
        return
    both = allowed.folders and allowed.addresses
    label = (
        "A path on this machine, or an address"
        if both
        else "An address"
        if allowed.addresses
        else "A path on this machine"
    )
    with (
        st.form("path-form", border=False, enter_to_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom", key="path-row"),
    ):
        st.text_input(label, key="path", placeholder="model.ckpt" if allowed.folders else allowed.addresses[0])
        st.form_submit_button("Open", key="open-path", on_click=_open_typed)
    plain.quiet(f"Allowed: {allowed.allowed_as_text()}")


def _open_typed() -> None:
    here, typed = session.current(), str(widget_value("path", "")).strip()
    if not typed:
        return
    try:
        if is_address(typed):
            address = operator().allowed_address(typed)
            given = Given(address.partition("?")[0].rstrip("/").rpartition("/")[2], address)
        else:
            path, within = operator().allowed_path(typed)
            given = Given(path.name, path, within)
    except CheckpointExplorerError as error:
        opening.refuse(here, error)
    else:
        opening.begin(here, given)


def examples(here: Session) -> None:
    """The built-in example in the three cases, one click each."""
    plain.heading("Or one of three examples: a small ResNet, really trained on handwritten digits")
    for column, example in zip(st.columns(len(EXAMPLES)), EXAMPLES, strict=True):
        with column, st.container(border=True, key=f"example-{example.id}", height="stretch"):
            st.text(example.title)
            plain.quiet(example.says)
            if st.button("Open this example", key=f"open-{example.id}"):
                _open_example(here, example)
    known = facts()
    right = sum(known["predicted"][name] == digit for name, digit in known["images"].items())
    plain.quiet(
        f"Trained on {known['trained_on']:,} pictures; of {known['held_out']:,} that it never saw, {right:,} are answered right. "
        f"{known['licence'].split(' (')[0]}, from {known['source'].split(',')[0]}."
    )


def _open_example(here: Session, example: Example) -> None:
    if example.id == "renamed":
        wait_for_torch()
    opening.begin(here, Given(example.file_name, example_bytes(example), example=example))
    st.rerun()


def teach() -> None:
    """What can be dropped and what the app will do, for somebody who sees it for the first time."""
    plain.quiet(
        "Opens: what torch.save ever wrote (.pth, .pt, .ckpt, .bin, .th, .tar), whole pickled models, TorchScript, safetensors, "
        "shards with their index, torch.distributed folders, .npz, .npy, plain pickles; and any of these in a zip, tar, gz, bz2 or xz. "
        "The bytes decide, not the name; of anything else you are told what it is."
    )
    plain.quiet(
        "What happens with a file: it is listed without running anything in it, held against the ResNets it could be, "
        "and you get the rules that make its keys fit. Then it is loaded, checked, and tried on your pictures."
    )
