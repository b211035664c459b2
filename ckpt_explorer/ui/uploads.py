"""Uploads without copies: the buffer that arrived is parsed where it lies, and held once.

`st.file_uploader` copies its value at every run of the script, a gigabyte a second and more, and keeps its own for as
long as the tab is open. Both are undone here, behind two functions; a test fails when Streamlit changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import streamlit as st
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ckpt_explorer.ui.session import Session, widget_value


def _itself(self: UploadedFile, _memo: dict[int, Any]) -> UploadedFile:
    return self


def share_uploads() -> None:
    """An upload is never changed, so a copy of it can be itself."""
    UploadedFile.__deepcopy__ = _itself  # type: ignore[attr-defined]


def taken(upload: UploadedFile) -> bytes:
    """The upload's bytes, the very object that arrived; Streamlit's own hold on them is let go."""
    data = upload.getvalue()
    context = get_script_run_ctx()
    if context is not None:
        manager: Any = get_instance().uploaded_file_mgr  # its interface does not name remove_file, its one class has it
        manager.remove_file(context.session_id, upload.file_id)
    return data


def upload_field(
    here: Session,
    field: str,
    label: str,
    receive: Callable[[str, bytes], None],
    *,
    several: bool = False,
    bare: bool = False,
) -> None:
    """An uploader that hands over each file's name and bytes as soon as they came, and is empty again behind them.

    Its key is `field` and the count of uploads so far; `bare` hides the label.
    """

    def each(files: dict[str, bytes]) -> None:
        for name, data in files.items():
            receive(name, data)

    upload_together(here, field, label, each, several=several, bare=bare)


def upload_together(
    here: Session,
    field: str,
    label: str,
    receive: Callable[[dict[str, bytes]], None],
    *,
    several: bool = True,
    bare: bool = False,
) -> None:
    """An uploader that hands over all files that were dropped at once, by name; else as `upload_field`."""
    key = f"{field}-{here.generation}"

    def take() -> None:
        found = widget_value(key)
        given = found if isinstance(found, list) else [found]
        uploads = [upload for upload in given if isinstance(upload, UploadedFile)]
        if not uploads:  # a run that was begun anew tells of them again, as files that are gone: they were taken
            return
        here.generation += 1
        files: dict[str, bytes] = {}
        for upload in uploads:
            files[_unlike(upload.name, files)] = taken(upload)
        receive(files)

    st.file_uploader(
        label,
        accept_multiple_files=several,
        key=key,
        on_change=take,
        label_visibility="collapsed" if bare else "visible",
    )


def _unlike(name: str, others: Collection[str]) -> str:
    """`name`, with a number behind it where another file of the same drop has it."""
    number, free = 1, name
    while free in others:
        number, free = number + 1, f"{name} ({number + 1})"
    return free
