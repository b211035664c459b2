"""No byte string crashes the reader: it opens, or is refused with a sentence."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.reading import open_checkpoint
from tests.reading.pickles import TENSORS, archive, ordered, saved

FILES = {
    "zip": saved({"epoch": 1, "state_dict": ordered(TENSORS)}),
    "legacy": saved({"epoch": 1, "state_dict": ordered(TENSORS)}, legacy=True),
    "safetensors": save(TENSORS, {"format": "pt"}),
    "plain pickle": pickle.dumps({"a": np.ones((2, 2), "f4"), "b": TENSORS["bn1.weight"]}, 4),
    "text pickle": pickle.dumps({"a": np.ones((2, 2), "f4"), "b": [1, 2.5, "x", b"y", None, True]}, 0),
}


def opens_or_is_refused(data: bytes) -> None:
    try:
        opened = open_checkpoint(data, "model.pth")
        for state_dict in opened.state_dicts:
            for key in list(state_dict)[:4]:
                state_dict.tensor(key).sum()
    except CheckpointExplorerError as error:
        assert str(error).strip()
        assert "\n" not in str(error)
        assert "\x1b" not in str(error)


@given(st.binary(max_size=300))
@example(b"PK\x05\x06" + bytes(18))
@example(b"\x80")
@example(b"\x80\x02.")
@example(bytes(7) + b"\x01{")
def test_any_bytes(data: bytes) -> None:
    opens_or_is_refused(data)


@given(st.binary(max_size=200), st.sampled_from([b"\x80\x02", b"\x80\x04", b"("]))
def test_any_instructions(instructions: bytes, start: bytes) -> None:
    opens_or_is_refused(start + instructions + b".")
    opens_or_is_refused(archive(start + instructions + b"."))


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=150)
@given(data=st.data())
def test_any_damage_to_a_real_file(name: str, data: st.DataObject) -> None:
    raw = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    opens_or_is_refused(bytes(raw))


@pytest.mark.parametrize("name", FILES)
def test_any_truncation_of_a_real_file(name: str) -> None:
    raw = FILES[name]
    for size in range(0, len(raw), max(1, len(raw) // 200)):
        opens_or_is_refused(raw[:size])


@given(st.data())
def test_any_damage_to_a_pickle_whose_checksum_was_mended(data: st.DataObject) -> None:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(FILES["zip"])) as archive_file:
        pickled = bytearray(archive_file.read("archive/data.pkl"))
        storages = {str(index): archive_file.read(f"archive/data/{index}") for index in range(len(TENSORS))}
    for _ in range(data.draw(st.integers(1, 3))):
        pickled[data.draw(st.integers(0, len(pickled) - 1))] = data.draw(st.integers(0, 255))
    opens_or_is_refused(archive(bytes(pickled), storages))
