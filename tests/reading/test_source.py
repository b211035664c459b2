"""Where the bytes come from: a path that is mapped, or the buffer of an upload."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ckpt_explorer.errors import NotACheckpoint, SourceError
from ckpt_explorer.reading import open_checkpoint
from tests.reading.pickles import TENSORS, saved


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file .*model\.pth"):
        open_checkpoint(tmp_path / "model.pth")


def test_a_pipe_and_a_device_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for name in ("pipe", "zeros"):
        with pytest.raises(SourceError, match="a device or a pipe"):
            open_checkpoint(tmp_path / name)


def test_a_name_with_a_zero_byte_is_refused() -> None:
    with pytest.raises(SourceError):
        open_checkpoint("a\0b")


def test_a_folder_without_a_checkpoint_is_told_for_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a folder without a checkpoint \(it is empty"):
        open_checkpoint(tmp_path)
    (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    (tmp_path / "dog.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    with pytest.raises(SourceError, match=r"it holds cat\.jpg, dog\.jpg"):
        open_checkpoint(tmp_path)


def test_parts_of_a_distributed_checkpoint_without_their_metadata_are_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "__0_0.distcp").write_bytes(b"")
    with pytest.raises(NotACheckpoint, match="give the whole folder") as refused:
        open_checkpoint(tmp_path)
    assert refused.value.diagnosis.id == "F15"


def test_a_view_of_a_buffer_is_as_good_as_its_bytes() -> None:
    assert list(open_checkpoint(memoryview(bytearray(saved(TENSORS)))).state_dict) == list(TENSORS)
