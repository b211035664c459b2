"""A checkpoint in several files is opened as one: on disk, in an archive, in an upload."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from ckpt_explorer.errors import CorruptCheckpoint, NotACheckpoint, RefusedFile
from ckpt_explorer.reading import open_checkpoint
from tests.reading.archives import zipped
from tests.reading.pickles import TENSORS, called, saved, text

KEYS = list(TENSORS)
FIRST, SECOND = KEYS[:2], KEYS[2:]
NAMES = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = "model.safetensors.index.json"


def index(first: str = NAMES[0], second: str = NAMES[1]) -> bytes:
    weight_map = {**dict.fromkeys(FIRST, first), **dict.fromkeys(SECOND, second)}
    return json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}).encode()


def shards() -> dict[str, bytes]:
    return {
        INDEX: index(),
        NAMES[0]: save({key: TENSORS[key] for key in FIRST}),
        NAMES[1]: save({key: TENSORS[key] for key in SECOND}),
    }


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def holds_all(opened: object) -> bool:
    state_dict = opened.state_dict  # type: ignore[attr-defined]
    return set(state_dict) == set(TENSORS) and all(torch.equal(state_dict.tensor(key), TENSORS[key]) for key in TENSORS)


def test_the_folder_the_index_and_the_upload_of_all_files_are_the_same_checkpoint(tmp_path: Path) -> None:
    folder = written(tmp_path, shards())
    for opened in (
        open_checkpoint(folder),
        open_checkpoint(folder / INDEX),
        open_checkpoint(shards(), "upload"),
        open_checkpoint(zipped({f"repo/{name}": data for name, data in shards().items()}), "repo.zip"),
    ):
        assert holds_all(opened)
        assert opened.format == "safetensors, in 2 parts"


def test_numbered_files_need_no_index() -> None:
    files = {
        "pytorch_model-00001-of-00002.bin": saved({key: TENSORS[key] for key in FIRST}),
        "pytorch_model-00002-of-00002.bin": saved({key: TENSORS[key] for key in SECOND}),
        "config.json": b"{}",
    }
    assert holds_all(open_checkpoint(files, "upload"))


def test_a_missing_part_is_named_with_what_to_do(tmp_path: Path) -> None:
    files = shards()
    del files[NAMES[1]]
    with pytest.raises(NotACheckpoint, match=rf"of which 1 is not beside it: {NAMES[1]}") as refused:
        open_checkpoint(written(tmp_path, files))
    assert refused.value.diagnosis.id == "F15"
    assert "drop them together" in str(refused.value)


def test_a_single_part_opens_with_a_word_on_the_others() -> None:
    opened = open_checkpoint(shards()[NAMES[0]], NAMES[0])
    assert [row.id for row in opened.diagnoses] == ["F15"]
    assert "part 1 of 2" in opened.diagnoses[0].says


@pytest.mark.parametrize("outside", ["../secret.safetensors", "/etc/passwd", "a/../../b", "..\\b", "https://host/x"])
def test_an_index_can_not_lead_out_of_its_folder(outside: str) -> None:
    with pytest.raises(RefusedFile) as refused:
        open_checkpoint({**shards(), INDEX: index(second=outside)}, "upload")
    assert "outside of its folder" in str(refused.value)


@pytest.mark.parametrize(
    "broken", [b"{}", b"[]", b'{"weight_map": []}', b'{"weight_map": {"a": 3}}', b"[" * 100_000, b'{"weight_map": {}}']
)
def test_an_index_that_is_none_is_refused(broken: bytes) -> None:
    with pytest.raises(CorruptCheckpoint, match="weight_map"):
        open_checkpoint({**shards(), INDEX: broken}, "upload")


def test_a_key_that_the_index_promises_and_no_part_holds_is_named() -> None:
    files = {**shards(), NAMES[1]: save({"other": torch.ones(1)})}
    with pytest.raises(CorruptCheckpoint, match=f"promises {SECOND[0]}"):
        open_checkpoint(files, "upload")
    opened = open_checkpoint(files, "upload", salvage=True)
    assert opened.lost == tuple(SECOND)


def test_a_key_in_two_parts_is_refused() -> None:
    files = {"m-1.pth": b"", "m-01-of-02.pth": saved(TENSORS), "m-02-of-02.pth": saved(TENSORS)}
    with pytest.raises(CorruptCheckpoint, match="is in another part too"):
        open_checkpoint(files, "upload")


def test_what_any_part_would_have_imported_is_listed() -> None:
    evil = b"\x80\x02}(" + text("a") + called("os.system", text("true")) + text("w") + called("os.getcwd") + b"u."
    files = {"m-01-of-02.bin": saved(TENSORS), "m-02-of-02.bin": saved({"x": torch.ones(1)})}
    assert not any(row.kind == "code" for row in open_checkpoint(files, "upload").globals)
    with pytest.raises(RefusedFile, match=r"os\.system"):
        open_checkpoint({**files, "m-02-of-02.bin": evil}, "upload")


def test_links_that_lead_out_of_an_allowed_folder_are_not_followed(tmp_path: Path) -> None:
    allowed, outside = tmp_path / "allowed", tmp_path / "outside"
    allowed.mkdir()
    outside.mkdir()
    written(allowed, {name: data for name, data in shards().items() if name != NAMES[1]})
    (outside / NAMES[1]).write_bytes(shards()[NAMES[1]])
    (allowed / NAMES[1]).symlink_to(outside / NAMES[1])
    assert holds_all(open_checkpoint(allowed))
    with pytest.raises(NotACheckpoint, match="not beside it"):
        open_checkpoint(allowed, within=allowed)


def test_an_archive_that_was_unpacked_opens_as_it_lies(tmp_path: Path) -> None:
    import io
    import zipfile

    zipfile.ZipFile(io.BytesIO(saved(TENSORS))).extractall(tmp_path)
    opened = open_checkpoint(tmp_path)
    assert holds_all(opened)
    assert [row.id for row in opened.diagnoses] == ["F13"]
