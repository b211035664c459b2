"""torch.save's two formats: where their parts lie, and what is said when they do not."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable

import pytest
import torch

from ckpt_explorer.errors import CorruptCheckpoint, NotACheckpoint, RefusedFile
from ckpt_explorer.reading import open_checkpoint
from tests.reading.pickles import TENSORS, archive, called, mapping, saved, tensor, text


def refusal(data: bytes, name: str = "model.pth") -> tuple[str, str]:
    """The id and the sentence with which these bytes are refused."""
    with pytest.raises(RefusedFile) as refused:
        open_checkpoint(data, name)
    return refused.value.diagnosis.id, str(refused.value)


def rezipped(data: bytes, rename: Callable[[str], str | None], compression: int = zipfile.ZIP_STORED) -> bytes:
    """The archive written again by hand; `rename` gives each record another name, or none to leave it out."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", compression) as new:
        for name in old.namelist():
            if (renamed := rename(name)) is not None:
                new.writestr(renamed, old.read(name))
    return file.getvalue()


@pytest.mark.parametrize("part", [0.02, 0.3, 0.9, 0.999])
def test_a_zip_that_is_cut_short_is_told_as_such(part: float) -> None:
    data = saved(TENSORS)
    id_, says = refusal(data[: int(len(data) * part)])
    assert id_ == "F4"
    assert "model.pth is cut short" in says
    assert "fetch it again" in says


def test_a_legacy_file_that_is_cut_short_says_how_much_is_missing() -> None:
    data = saved({"a": torch.ones(100), "b": torch.ones(1000)}, legacy=True)
    id_, says = refusal(data[:-1000])
    assert id_ == "F5"
    assert "should have" in says
    assert "of 2 storages are missing" in says


def test_a_legacy_file_that_is_cut_in_its_pickle_is_cut_short() -> None:
    assert refusal(saved(TENSORS, legacy=True)[:300])[0] == "F5"


def test_an_archive_packed_again_by_hand_opens() -> None:
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        opened = open_checkpoint(rezipped(saved(TENSORS), lambda name: name, compression))
        assert all(torch.equal(opened.state_dict.tensor(key), value) for key, value in TENSORS.items())


def test_an_archive_whose_folder_was_renamed_or_nested_or_zipped_by_a_mac_opens() -> None:
    for folder in ("", "another/", "a/b/"):
        moved = rezipped(saved(TENSORS), lambda name: folder + name.removeprefix("archive/"))  # noqa: B023
        assert list(open_checkpoint(moved).state_dict) == list(TENSORS)


def test_a_missing_storage_is_named() -> None:
    without = rezipped(saved(TENSORS), lambda name: None if name.endswith("data/1") else name)
    assert "storage '1', which it does not hold" in refusal(without)[1]


def test_two_pickles_in_one_archive_are_refused() -> None:
    file = io.BytesIO(saved(TENSORS))
    with zipfile.ZipFile(file, "a") as more:
        more.writestr("other/data.pkl", b"\x80\x02}.")
    assert "2 pickles where a checkpoint has one" in refusal(file.getvalue())[1]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_records_of_one_name_are_refused() -> None:
    file = io.BytesIO(saved(TENSORS))
    with zipfile.ZipFile(file, "a") as more:
        more.writestr("archive/data.pkl", b"\x80\x02}.")
    assert "two records have the name 'archive/data.pkl'" in refusal(file.getvalue())[1]


def damaged(data: bytes, find: bytes, offset: int, new: bytes) -> bytes:
    at = data.find(find) + offset
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize(
    ("find", "offset", "new", "what"),
    [
        (b"PK\x03\x04", 30, b"X", "another in its own header"),
        (b"PK\x03\x04", 8, b"\x08", "another in its own header"),
        (b"PK\x03\x04", 6, b"\x01", "encrypted"),
        (b"PK\x01\x02", 0, b"PK\x01\x03", "its directory is not one"),
        (b"PK\x01\x02", 28, b"\xff\xff", "its directory is not one"),
        (b"PK\x01\x02", 20, struct.pack("<I", 2**31), "reach beyond the end of the data"),
        (b"PK\x01\x02", 24, struct.pack("<I", 1), "two sizes"),
        (b"PK\x01\x02", 42, struct.pack("<I", 2**31), "reach beyond the end of the data"),
        (b"PK\x05\x06", 10, struct.pack("<H", 60000), "its directory claims"),
        (b"PK\x05\x06", 16, struct.pack("<I", 7), "its directory is not where"),
    ],
)
def test_a_directory_that_disagrees_with_the_file_is_refused(find: bytes, offset: int, new: bytes, what: str) -> None:
    data = archive(b"\x80\x02}.")
    assert what in refusal(damaged(data, find, offset, new))[1]


def test_a_flipped_bit_in_the_pickle_is_found_by_its_checksum() -> None:
    data = saved(TENSORS)
    assert refusal(damaged(data, b"conv1.weight", 0, b"C"))[0] == "F6"


def test_a_legacy_file_whose_counts_disagree_is_refused() -> None:
    data = bytearray(saved({"a": torch.ones(100)}, legacy=True))
    at = data.rfind(struct.pack("<q", 100))
    data[at : at + 8] = struct.pack("<q", 99)
    id_, says = refusal(bytes(data))
    assert id_ == "F18"
    assert "99 elements in one place and 100 in another" in says


def test_old_tensors_with_four_arguments_are_read() -> None:
    old = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x06tQ"
    pickle = called("torch._utils._rebuild_tensor", old, b"K\x02", b"K\x02K\x02\x86", b"K\x02K\x01\x86")
    content = torch.arange(6.0).numpy().tobytes()
    opened = open_checkpoint(archive(b"\x80\x02" + mapping({"w": pickle}) + b".", {"0": content}))
    assert opened.state_dict.tensor("w").tolist() == [[2.0, 3.0], [4.0, 5.0]]


def test_archives_of_other_kinds_are_named() -> None:
    def holding(*names: str) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as made:
            for name in names:
                made.writestr(name, b"x")
        return file.getvalue()

    for names, word in {
        ("model.weights.h5",): "Keras",
        ("[Content_Types].xml",): "office",
        ("run/model.pth", "notes.txt"): "it holds run/model.pth, notes.txt",
        ("notes.txt",): "what is in it is refused: notes.txt is a text file",
        (): "empty",
    }.items():
        with pytest.raises(NotACheckpoint, match=word):
            open_checkpoint(holding(*names), "x.zip")


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_a_quantised_file_opens_and_is_told_as_such() -> None:
    weight = torch.quantize_per_tensor(torch.arange(4.0), 0.5, 1, torch.qint8)
    opened = open_checkpoint(saved({"w": weight}))
    assert torch.equal(opened.state_dict.tensor("w").int_repr(), weight.int_repr())
    assert opened.state_dict.tensor("w").q_scale() == 0.5
    assert opened.state_dict.dense("w").tolist() == weight.dequantize().tolist()
    assert [diagnosis.id for diagnosis in opened.diagnoses] == ["F16"]


def test_nothing_is_read_of_a_storage_until_its_tensor_is_asked_for() -> None:
    """A storage whose bytes are wrong does not stop the file from opening."""
    data = archive(b"\x80\x02" + mapping({"w": tensor("0", (2,), 2)}) + b".", {"0": b"abcdefgh"})
    opened = open_checkpoint(data.replace(b"abcdefgh", b"abcdefgX"))
    with pytest.raises(CorruptCheckpoint):
        opened.state_dict.tensor("w")
