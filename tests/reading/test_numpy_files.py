"""NumPy's files: every array is read as NumPy reads it, from where it lies."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib import format as numpy_format

from ckpt_explorer.checkpoint import StateDict
from ckpt_explorer.errors import CheckpointExplorerError, CorruptCheckpoint, RefusedFile
from ckpt_explorer.reading.formats.numpy_files import read_npy, read_npz
from ckpt_explorer.reading.pickles.claims import tensor_infos
from ckpt_explorer.reading.pickles.pickled import PickledFile
from ckpt_explorer.reading.pickles.torch_objects import TENSOR_CLAIMS
from ckpt_explorer.reading.sources.source import Source, source_of
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory
from tests.reading.pickles import called, text

ARRAYS: dict[str, np.ndarray[Any, Any]] = {
    "conv1.weight": np.arange(24, dtype="f4").reshape(2, 3, 2, 2),
    "rows first": np.asfortranarray(np.arange(6, dtype="f8").reshape(2, 3)),
    "other byte order": np.arange(5, dtype=">i4"),
    "complex, other byte order": np.array([1 + 2j, 3 - 4j], ">c8"),
    "flags": np.array([True, False]),
    "scalar": np.array(3, "i8"),
    "empty": np.zeros((0, 3), "f4"),
    "a/nested/name": np.array([1.5], "f2"),
    **{code: np.arange(3).astype(code) for code in ("i1", "i2", "u1", "u2", "u4", "u8", "c16")},
}


def npy(array: Any, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    numpy_format.write_array(file, np.asanyarray(array), version)
    return file.getvalue()


def npz(packed: bool = False, **arrays: Any) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(file, **arrays)
    return file.getvalue()


def opened_npz(data: bytes) -> PickledFile:
    source = source_of(data, "weights.npz")
    return read_npz(source, ZipDirectory(source))


def opened_npy(data: bytes) -> PickledFile:
    return read_npy(source_of(data, "array.npy"))


def state_dict(file: PickledFile, node: Any = None) -> StateDict:
    claims = {key: value for key, value in (node or file.root).items() if type(value) in TENSOR_CLAIMS}
    return StateDict("", tensor_infos(Source("weights.npz", memoryview(b"")), file.find_storages, claims))


def header(fields: str, version: int = 1) -> bytes:
    """A `.npy` file of 64 zero bytes behind a header written by hand."""
    raw = fields.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(raw))
    return b"\x93NUMPY" + bytes([version, 0]) + length + raw + bytes(64)


@pytest.mark.parametrize("packed", [False, True])
def test_an_npz_has_the_keys_and_the_values_that_numpy_gives(packed: bool) -> None:
    data = npz(packed, **ARRAYS)
    found = state_dict(opened_npz(data))
    with np.load(io.BytesIO(data)) as loaded:
        assert list(found) == list(loaded)
        for key, array in ARRAYS.items():
            tensor = found.tensor(key)
            assert tensor.shape == array.shape
            assert tensor.numpy().dtype == array.dtype.newbyteorder("=")
            assert tensor.numpy().tobytes() == loaded[key].astype(array.dtype.newbyteorder("=")).tobytes()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read(version: tuple[int, int]) -> None:
    found = state_dict(opened_npy(npy(ARRAYS["conv1.weight"], version)))
    assert list(found) == ["array"]
    assert torch.equal(found.tensor("array"), torch.from_numpy(ARRAYS["conv1.weight"]))


def test_a_header_that_python_2_wrote_is_read() -> None:
    found = state_dict(opened_npy(header("{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 8L), }")))
    assert found["array"].shape == (2, 8)


def test_rows_that_come_first_stay_so() -> None:
    found = state_dict(opened_npy(npy(ARRAYS["rows first"])))
    assert found["array"].stride == (1, 2)
    assert found.tensor("array").tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_dict_that_was_saved_as_an_array_is_that_dict() -> None:
    inside = {"state_dict": {"a": np.ones((2, 3), "f4"), "b": torch.arange(4)}, "epoch": np.int64(3)}
    file = opened_npy(npy(np.array(inside, dtype=object)))
    assert list(file.root) == ["state_dict", "epoch"]
    assert file.root["epoch"] == 3
    found = state_dict(file, file.root["state_dict"])
    assert found.tensor("a").tolist() == inside["state_dict"]["a"].tolist()  # type: ignore[index]
    assert found.tensor("b").tolist() == [0, 1, 2, 3]


def test_objects_in_an_archive_are_described_side_by_side() -> None:
    first, second = ({"w": torch.full((2,), float(value))} for value in (1, 2))
    file = opened_npz(npz(a=np.array(first, dtype=object), b=np.array([second], dtype=object)))
    assert state_dict(file, file.root["a"]).tensor("w").tolist() == [1, 1]
    assert state_dict(file, file.root["b"][0]).tensor("w").tolist() == [2, 2]


def test_an_object_that_asks_for_the_shell_is_never_built() -> None:
    pickle = b"\x80\x02" + called("os.system", text("touch /tmp/pwned")) + b"."
    fields = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(fields)) + fields + pickle
    assert "os.system" in opened_npy(data).globals


def test_texts_are_shown_and_other_arrays_named() -> None:
    file = opened_npz(
        npz(arch="resnet50", classes=np.array(["cat", "dog"]), raw=b"xyz", rows=np.zeros(2, [("a", "f4"), ("b", "i4")]))
    )
    assert file.root["arch"] == "resnet50"
    assert file.root["classes"] == ["cat", "dog"]
    assert file.root["raw"] == "xyz"
    assert file.root["rows"].name == "numpy.ndarray"


def test_a_record_that_is_no_array_is_said_to_be_none() -> None:
    made = io.BytesIO(npz(a=np.ones(2)))
    with zipfile.ZipFile(made, "a") as more:
        more.writestr("readme.txt", "hello")
    assert opened_npz(made.getvalue()).root["readme.txt"] == "5 bytes that are no array"


def test_stored_arrays_are_views_of_the_file() -> None:
    data = npz(w=np.arange(100_000, dtype="f4"))
    start = torch.frombuffer(data, dtype=torch.uint8).data_ptr()
    assert start <= state_dict(opened_npz(data)).tensor("w").data_ptr() < start + len(data)


def test_opening_unpacks_no_array() -> None:
    data = npz(True, w=np.zeros(4_000_000, "f4"))
    tracemalloc.start()
    opened_npz(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_flipped_byte_of_an_array_is_found_when_it_is_read() -> None:
    data = npz(w=np.frombuffer(b"abcdefgh", "u1")).replace(b"abcdefgh", b"abcdefgX")
    found = state_dict(opened_npz(data))
    with pytest.raises(CorruptCheckpoint) as refused:
        found.tensor("w")
    assert refused.value.diagnosis.id == "F6"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000,), }"), "needs 3.9 KiB"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (2**9,), }"), "does not give type"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"), "impossible shape"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (True,), }"), "impossible shape"),
        (header("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }"), "impossible shape"),
        (header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({'1,' * 65}), }}"), "impossible shape"),
        (header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**62},), }}"), "impossible shape"),
        (header("__import__('os').system('true')"), "does not give type"),
        (header("{[]: 1}"), "does not give type"),
        (header("(" * 9000), "does not give type"),
        (header("-" * 60000), "does not give type"),
        (header("[" * 190 + "]" * 190), "does not give type"),
        (header("1" * 9000), "does not give type"),
        (header("{'descr': '<f4'}", 4), "begins like no array"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{}", "breaks off"),
        (b"\x93NUMPY\x02\x00\x00\x00\x02\x00" + bytes(200_000), "header of its array claims"),
        (b"\x93NUM", "begins like no array"),
        (b"", "begins like no array"),
    ],
)  # fmt: skip
def test_a_header_that_lies_is_refused_with_a_sentence(data: bytes, says: str) -> None:
    with pytest.raises(RefusedFile, match=says):
        opened_npy(data)


def test_two_arrays_of_one_name_are_refused() -> None:
    made = io.BytesIO(npz(a=np.ones(2)))
    with zipfile.ZipFile(made, "a") as more:
        more.writestr("a", npy(np.ones(3)))
    with pytest.raises(RefusedFile, match="two of its arrays"):
        opened_npz(made.getvalue())


FILES = {
    "npz": npz(a=np.ones((2, 3), "f4"), b=np.array({"x": np.ones(2)}, dtype=object), c="text"),
    "packed npz": npz(True, a=np.ones((2, 3), "f4"), b=np.array({"x": np.ones(2)}, dtype=object)),
    "npy": npy(ARRAYS["conv1.weight"]),
    "npy of a dict": npy(np.array({"a": np.ones((2, 3), "f4"), "b": torch.arange(4)}, dtype=object)),
}


def opens_or_is_refused(name: str, data: bytes) -> None:
    try:
        file = (opened_npz if "npz" in name else opened_npy)(data)
        found = state_dict(file)
        for key in found:
            found.tensor(key)
    except CheckpointExplorerError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_breaks_off_or_is_damaged_opens_or_is_refused(name: str) -> None:
    data = FILES[name]
    for size in range(0, len(data), 50):
        opens_or_is_refused(name, data[:size])
    for position in range(len(data)):
        for mask in (0x01, 0xFF):
            opens_or_is_refused(name, data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :])
