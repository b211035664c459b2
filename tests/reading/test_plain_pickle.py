"""Plain pickles of arrays and tensors, as Detectron2 and Caffe2 ship them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from ckpt_explorer.errors import RefusedFile
from ckpt_explorer.reading import open_checkpoint
from tests.reading.pickles import TENSORS, called, text

ARRAYS = {
    "res2.conv1.weight": np.arange(24, dtype="f4").reshape(2, 3, 2, 2),
    "rows first": np.asfortranarray(np.arange(6, dtype="f8").reshape(2, 3)),
    "other byte order": np.arange(5, dtype=">i4"),
    "half": np.ones(3, "f2"),
    "flags": np.array([True, False]),
    "scalar": np.array(3, "i8"),
    "empty": np.zeros((0, 3), "f4"),
}


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_are_tensors_of_the_same_values(protocol: int) -> None:
    opened = open_checkpoint(pickle.dumps({"model": ARRAYS, "__author__": "x"}, protocol), "model.pkl")
    assert [state_dict.path for state_dict in opened.state_dicts] == ["model"]
    assert list(opened.state_dict) == list(ARRAYS)
    for key, array in ARRAYS.items():
        assert opened.state_dict.tensor(key).tolist() == array.tolist()
    assert opened.diagnoses[-1].id == "F10"


def test_long_arrays_are_views_of_the_file() -> None:
    data = pickle.dumps({"w": np.arange(100_000, dtype="f4")}, 4)
    start = torch.frombuffer(data, dtype=torch.uint8).data_ptr()
    assert start <= open_checkpoint(data).state_dict.tensor("w").data_ptr() < start + len(data)


@pytest.mark.parametrize("protocol", [2, 4])
def test_tensors_are_read_from_the_files_inside_their_byte_strings(protocol: int) -> None:
    opened = open_checkpoint(pickle.dumps(TENSORS, protocol), "model.pkl")
    assert all(torch.equal(opened.state_dict.tensor(key), value) for key, value in TENSORS.items())
    assert [diagnosis.id for diagnosis in opened.diagnoses if diagnosis.id == "P5"] == []


def test_a_byte_string_that_is_no_storage_is_alarming() -> None:
    nested = pickle.dumps(Path("x"), 2)
    hidden = called("torch.storage._load_from_bytes", b"B" + len(nested).to_bytes(4, "little") + nested)
    with pytest.raises(RefusedFile, match=r"torch\.load"):
        open_checkpoint(b"\x80\x03" + b"}(" + text("w") + hidden + b"u.", "model.pkl")


def test_a_plain_pickle_that_calls_the_shell_is_refused_with_its_name() -> None:
    for data in (
        b"(S'true'\nios\nsystem\n.",
        b"\x80\x02" + called("os.system", text("true")) + b".",
        b"cos\nsystem\n(Vtrue\ntR.",
    ):
        with pytest.raises(RefusedFile, match=r"os\.system") as refused:
            open_checkpoint(data, "model.pkl")
        assert refused.value.diagnosis.id == "P5"


def test_an_array_of_objects_is_left_out() -> None:
    data = pickle.dumps({"a": np.ones(3, "f4"), "b": np.array([None, {}], dtype=object)}, 2)
    assert list(open_checkpoint(data).state_dict) == ["a"]


def test_an_array_that_claims_more_than_its_bytes_is_refused() -> None:
    data = pickle.dumps({"a": np.ones(3, "f4")}, 3).replace(b"K\x03\x85", b"K\xff\x85")
    with pytest.raises(RefusedFile, match="would need bytes"):
        open_checkpoint(data)
