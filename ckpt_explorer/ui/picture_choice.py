"""Which pictures, and what the classes are called."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path

import streamlit as st

from ckpt_explorer.errors import CheckpointExplorerError, LabelsError
from ckpt_explorer.examples import example_images, right_answer
from ckpt_explorer.inference.collection import MAX_PICTURES, Collection, collect, collect_uploads
from ckpt_explorer.inference.label_sets import LABEL_SETS
from ckpt_explorer.inference.labels import check_labels, default_labels, labels, labels_from_bytes, labels_from_text
from ckpt_explorer.loading import LoadedModel
from ckpt_explorer.text import plural
from ckpt_explorer.ui import plain, session
from ckpt_explorer.ui.choices import LabelsChoice
from ckpt_explorer.ui.operator import operator
from ckpt_explorer.ui.session import Session, controlled, widget_value
from ckpt_explorer.ui.uploads import upload_field, upload_together

EXAMPLE_PICTURES = (10, 360)


def pictures(here: Session) -> None:
    """The uploader for pictures and zip archives, a folder that the operator allows, the example's own, and the way to
    start over."""

    def take(files: dict[str, bytes]) -> None:
        add(here, collect_uploads(files))

    upload_together(here, "pictures", "Pictures, or zip archives of them: a folder for each class is understood", take)
    _folder_field()
    with st.container(horizontal=True, key="picture-actions"):
        if here.example is not None:
            for count in EXAMPLE_PICTURES:
                st.button(
                    f"Take {count} held-out pictures",
                    key=f"example-pictures-{count}",
                    on_click=_take_examples,
                    args=(count,),
                )
        if here.images:
            st.button(f"Remove {plural(len(here.images), 'picture')}", key="remove-pictures", on_click=_remove)
    for note in here.picture_notes[:5]:
        plain.quiet(note)


def add(here: Session, collection: Collection) -> None:
    """Put more pictures beside those that are there; a name that is taken gets a number."""
    images = dict(here.images)
    for image in collection.images[: MAX_PICTURES - len(images)]:
        images[_free_name(images, image.name)] = image.source
    if len(images) < len(here.images) + len(collection.images):
        here.message = ("error", f"{MAX_PICTURES:,} pictures are kept at most; the rest was left out.")
    here.set_pictures(images, (*here.picture_notes, *collection.notes))


def _remove() -> None:
    session.current().set_pictures({})


def _folder_field() -> None:
    """A folder or an archive on the machine of the server, where the operator allows any."""
    allowed = operator()
    if not allowed.folders:
        return
    with (
        st.form("pictures-form", border=False, enter_to_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom", key="pictures-row"),
    ):
        st.text_input("A folder or zip of pictures on this machine", key="pictures-path")
        st.form_submit_button("Take", key="take-folder", on_click=_take_folder)


def _take_folder() -> None:
    here, typed = session.current(), str(widget_value("pictures-path", "")).strip()
    if not typed:
        return
    try:
        path, within = operator().allowed_path(typed)
        add(here, collect([path], within=within))
    except CheckpointExplorerError as error:
        here.message = ("error", str(error))


def _take_examples(count: int) -> None:
    """The example's pictures that were held out of training; ten are one of each digit."""
    by_digit: dict[int, list[Path]] = {}
    for path in example_images():
        by_digit.setdefault(right_answer(path.name), []).append(path)
    in_turn = [path for row in zip_longest(*(by_digit[digit] for digit in sorted(by_digit))) for path in row if path]
    session.current().set_pictures({path.name: path.read_bytes() for path in in_turn[:count]})


def _free_name(images: Mapping[str, object], name: str) -> str:
    free, number = name, 2
    while free in images:
        free, number = f"{name} ({number})", number + 1
    return free


SOURCES = ("numbers", *LABEL_SETS, "file", "pasted")
_SPOKEN = {"numbers": "Class numbers only", "file": "A text or JSON file", "pasted": "Pasted here"}


def labels_form(here: Session, loaded: LoadedModel) -> tuple[str, ...] | None:
    """The class names as chosen; None, with a sentence where something is wrong with them: numbers are shown then."""
    choice = here.labels
    classes = loaded.architecture.num_classes
    if choice.source == "numbers" and not choice.file_name and classes:
        usual = here.example.labels if here.example else (default_labels(classes) or ("", None))[1]
        if usual and len(usual) == classes:
            here.labels = choice = LabelsChoice(
                "file", tuple(usual), "the example" if here.example else "ImageNet", proposed=True
            )

    def choose(source: str) -> None:
        here.labels = LabelsChoice(
            source, choice.names if source == choice.source else (), file_name="chosen", pasted=choice.pasted
        )
        if source == "pasted":
            paste(choice.pasted)

    def paste(text: str) -> None:
        here.labels = LabelsChoice("pasted", (), "pasted list", text)

    def take(name: str, data: bytes) -> None:
        try:
            here.labels = LabelsChoice("file", labels_from_bytes(data, name), name, choice.pasted)
        except LabelsError as error:
            here.message = ("error", str(error))

    plain.heading("Class names")
    columns = st.columns([2, 3], vertical_alignment="top")
    columns[0].selectbox(
        "Class names",
        SOURCES,
        label_visibility="collapsed",
        format_func=lambda source: _SPOKEN.get(source, source),
        **controlled("labels-source", choice.source, choose),
    )
    with columns[1]:
        if choice.source == "file":
            upload_field(here, "labels", "One name a line, or JSON", take, bare=True)
        elif choice.source == "pasted":
            st.text_area(
                "One name a line, or JSON",
                placeholder="airplane\nautomobile\n…",
                label_visibility="collapsed",
                **controlled("labels-pasted", choice.pasted, paste),
            )
    return _checked(choice, classes)


def _checked(choice: LabelsChoice, classes: int | None) -> tuple[str, ...] | None:
    try:
        if choice.source in LABEL_SETS:
            names, called = labels(choice.source), choice.source
        elif choice.source == "pasted" and choice.pasted.strip():
            names, called = labels_from_text(choice.pasted, "The pasted list"), "The pasted list"
        else:
            names, called = choice.names, choice.file_name
        if not names:
            return None
        if classes is not None:
            check_labels(names, classes, called)
    except LabelsError as error:
        plain.say(f"{error} Class numbers are shown instead.", "error", key="labels")
        return None
    if choice.source == "file":
        plain.quiet(f"{plural(len(names), 'name')} from {choice.file_name}")
    return names
