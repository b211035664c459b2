"""safetensors: every claim of the header is held against the file."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
import torch
from safetensors.torch import save

from ckpt_explorer.errors import RefusedFile
from ckpt_explorer.reading import open_checkpoint
from tests.reading.pickles import TENSORS


def written(header: Any, body: bytes = bytes(16)) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + body


def row(shape: Any = (2, 2), dtype: Any = "F32", place: Any = (0, 16)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": place}


def test_metadata_is_shown_and_the_writer_is_named() -> None:
    opened = open_checkpoint(save(TENSORS, {"format": "pt", "run": "7"}), "m.safetensors")
    assert opened.written_by == "safetensors, for pt"
    rows = {entry.path: entry.says for entry in opened.entries}
    assert (rows["__metadata__.format"], rows["__metadata__.run"]) == ("pt", "7")


def test_tensors_are_views_of_the_file() -> None:
    data = save(TENSORS)
    start = torch.frombuffer(data, dtype=torch.uint8).data_ptr()
    assert start <= open_checkpoint(data).state_dict.tensor("conv1.weight").data_ptr() < start + len(data)


def test_a_file_that_is_cut_short_says_what_is_missing() -> None:
    with pytest.raises(RefusedFile, match="ends 100 bytes behind the end of the file") as refused:
        open_checkpoint(save(TENSORS)[:-100], "m.safetensors")
    assert refused.value.diagnosis.id == "F5"


def test_a_file_that_is_cut_in_its_header_is_cut_short() -> None:
    with pytest.raises(RefusedFile) as refused:
        open_checkpoint(save(TENSORS)[:60], "m.safetensors")
    assert refused.value.diagnosis.id == "F5"


TWICE = b'{"a": ' + json.dumps(row()).encode() + b', "a": ' + json.dumps(row()).encode() + b"}"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (written({"a": row(shape=(2, 3))}), "needs 24 bytes for its shape, and its place has 16"),
        (written({"a": row(dtype="F99")}), "'F99', which PyTorch does not have"),
        (written({"a": row(dtype=["F32"])}), "which PyTorch does not have"),
        (written({"a": row(shape=(-2, -2))}), "no shape or no place"),
        (written({"a": row(shape=(True, 4))}), "no shape or no place"),
        (written({"a": row(shape="22")}), "no shape or no place"),
        (written({"a": row(place=(0,))}), "no shape or no place"),
        (written({"a": row(place=(16, 0))}), "its place has -16"),
        (written({"a": [1]}), "no shape or no place"),
        (written({"a": row((2,), place=(0, 8)), "b": row((2,), place=(4, 12))}, bytes(12)), "overlaps another"),
        (written({"a": row((2,), place=(0, 8)), "b": row((2,), place=(12, 20))}, bytes(20)), "leaves a hole"),
        (written({"a": row()}, bytes(20)), "belong to nothing"),
        (written(TWICE), "'a' twice"),
        (written(b"{" + b"[" * 50_000), "no JSON"),
        (written(b'{"a": NaN'), "no JSON"),
        (written({"a": row(shape=[2**31] * 8)}), "needs"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(RefusedFile, match=what):
        open_checkpoint(data, "m.safetensors")


def test_many_keys_of_one_name_do_not_take_long() -> None:
    one = b'"a": ' + json.dumps(row()).encode()
    with pytest.raises(RefusedFile, match="twice"):
        open_checkpoint(written(b"{" + b",".join([b'"%d": 1' % index for index in range(60_000)] + [one, one]) + b"}"))


def test_a_header_of_millions_of_small_parts_is_refused() -> None:
    for part in (b"[],", b"{},", b"1.5,", b"999,"):
        with pytest.raises(RefusedFile, match="small parts"):
            open_checkpoint(written(b'{"a": [' + part * 2_000_000 + b"1]}"))
