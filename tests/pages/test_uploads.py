"""Uploads: what is done to Streamlit's internals still does what it should; these fail when Streamlit changes them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import DeletedFile, UploadedFile, UploadedFileRec
from streamlit.testing.v1 import AppTest

from ckpt_explorer.ui import uploads
from ckpt_explorer.ui.session import Session

DATA = b"weights" * 10_000
PAGE = """
import streamlit as st
from tests.pages import test_uploads
given = st.file_uploader("A file")
test_uploads.arrived.append(given)
"""

arrived: list[UploadedFile | None] = []


@pytest.fixture
def unpatched() -> Iterator[None]:
    """Streamlit as it comes, and the patch again afterwards."""
    had = "__deepcopy__" in vars(UploadedFile)
    if had:
        del UploadedFile.__deepcopy__  # type: ignore[attr-defined]
    yield
    if had:
        uploads.share_uploads()


def upload() -> UploadedFile:
    return UploadedFile(UploadedFileRec("one", "model.pth", "application/octet-stream", DATA), FileURLs(file_id="one"))


def what_a_page_gets() -> bytes:
    """The bytes of an upload as the page sees them at its second run."""
    arrived.clear()
    app = AppTest.from_string(PAGE).run()
    app.file_uploader[0].upload("model.pth", DATA)
    app.run().run()
    last = arrived[-1]
    assert last is not None
    return last.getvalue()


def test_a_copy_of_an_upload_is_the_upload_itself() -> None:
    uploads.share_uploads()
    given = upload()
    assert copy.deepcopy(given) is given
    assert copy.deepcopy({"files": [given]})["files"][0] is given


def test_a_page_gets_the_very_bytes_that_arrived() -> None:
    uploads.share_uploads()
    assert what_a_page_gets() is DATA


@pytest.mark.usefixtures("unpatched")
def test_without_that_streamlit_would_copy_them_at_every_run() -> None:
    assert what_a_page_gets() == DATA
    assert what_a_page_gets() is not DATA


def test_an_upload_that_was_taken_is_no_longer_held_by_streamlit(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = MemoryUploadedFileManager("/upload")
    manager.add_file("tab", UploadedFileRec("one", "model.pth", "application/octet-stream", DATA))
    manager.add_file("tab", UploadedFileRec("two", "other.pth", "application/octet-stream", b"other"))
    record = manager.get_files("tab", ["one"])[0]
    monkeypatch.setattr(uploads, "get_instance", lambda: SimpleNamespace(uploaded_file_mgr=manager))
    monkeypatch.setattr(uploads, "get_script_run_ctx", lambda: SimpleNamespace(session_id="tab"))
    assert uploads.taken(UploadedFile(record, FileURLs(file_id="one"))) is DATA
    assert manager.get_files("tab", ["one"]) == []
    assert [row.data for row in manager.get_files("tab", ["two"])] == [b"other"]


def test_the_running_server_has_a_manager_that_removes_by_tab_and_file() -> None:
    assert isinstance(inspect.getattr_static(Runtime, "uploaded_file_mgr"), property)
    assert list(inspect.signature(MemoryUploadedFileManager.remove_file).parameters) == [
        "self",
        "session_id",
        "file_id",
    ]


def test_a_run_that_begins_anew_tells_of_files_that_were_taken_and_they_are_not_taken_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, received = Session(), list[dict[str, bytes]]()
    fields: list[Callable[[], None]] = []
    monkeypatch.setattr("streamlit.file_uploader", lambda *_, on_change, **__: fields.append(on_change))
    uploads.upload_together(here, "checkpoint", "A file", received.append)
    for value in (upload(), DeletedFile("one"), [DeletedFile("one"), DeletedFile("two")], None):
        monkeypatch.setattr(uploads, "widget_value", lambda _key, value=value: value)
        fields[0]()
    assert received == [{"model.pth": DATA}]
    assert here.generation == 1
