"""Uploads without copies: the buffer that arrived is parsed where it lies, and held once.

`st.file_uploader` copies its value at every run of the script, a gigabyte a second and more, and keeps its own for as
long as the tab is open. Both are undone here, behind two functions; a test fails when Streamlit changes them.
"""

from __future__ import annotations

from typing import Any

from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile


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
