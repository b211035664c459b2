"""The directory of a zip archive: every row as Python's zipfile reads it, whatever stands in it."""

from __future__ import annotations

import io
import warnings
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt_explorer.errors import CorruptCheckpoint
from ckpt_explorer.reading.sources import zip_directory
from ckpt_explorer.reading.sources.source import source_of
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory

MAGIC = "PK\x01\x02"
names = st.text(st.characters(min_codepoint=1, max_codepoint=0x2FFF), min_size=1, max_size=20) | st.sampled_from(
    [MAGIC, f"a{MAGIC}", f"{MAGIC * 3}b", "archive/data/1", "archive/data/10", "ä" * 30]
)
rows = st.dictionaries(
    names.map(lambda name: name.replace("\\", "/")),
    st.tuples(st.binary(max_size=30), st.booleans(), st.binary(max_size=9)),
    max_size=12,
)


def archive(members: dict[str, tuple[bytes, bool, bytes]]) -> bytes:
    """Of names: their content, whether it is packed, and a comment on them."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, (content, packed, note) in members.items():
            info = zipfile.ZipInfo(name)
            info.comment = note
            made.writestr(info, content, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    return file.getvalue()


def assert_read_as_by_zipfile(data: bytes) -> None:
    directory = ZipDirectory(source_of(data, "model.pth"))
    with zipfile.ZipFile(io.BytesIO(data)) as theirs:
        infos = theirs.infolist()
        assert list(directory.records) == [info.orig_filename for info in infos]
        for row, info in enumerate(infos):
            ours = directory.records.at(row)
            assert ours == directory.records[ours.name]
            assert (ours.method, ours.flags, ours.crc) == (info.compress_type, info.flag_bits, info.CRC)
            assert (ours.packed, ours.size, ours.header) == (info.compress_size, info.file_size, info.header_offset)
            assert bytes(directory.read(ours)) == theirs.read(info)


@given(rows, st.sampled_from([100, 300, 256 << 10]), st.sampled_from([60, 1 << 31]))
def test_names_numbers_and_contents_are_those_that_were_written(
    members: dict[str, tuple[bytes, bool, bytes]], window: int, limit: int
) -> None:
    """In windows of any size, with the magic of a row inside of rows, and with numbers in the zip64 extra field."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(zip_directory, "WINDOW", window)
        patched.setattr(zipfile, "ZIP64_LIMIT", limit)
        assert_read_as_by_zipfile(archive(members))


def test_ten_thousand_records_are_read_in_several_windows() -> None:
    assert_read_as_by_zipfile(
        archive({f"archive/data/{number}": (b"%d" % number, False, b"") for number in range(10_000)})
    )


def test_two_records_of_one_name_are_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(40):
            made.writestr(f"archive/data/{number % 39}", b"")
    with pytest.raises(CorruptCheckpoint, match="two records have the name 'archive/data/0'"):
        ZipDirectory(source_of(file.getvalue(), "model.pth"))


@given(st.data())
def test_a_directory_with_wrong_bytes_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(archive({f"archive/data/{number}": (b"content", False, b"") for number in range(12)}))
    start = raw.index(b"PK\x01\x02")
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(start, len(raw) - 23))] = data.draw(st.integers(0, 255))
    try:
        directory = ZipDirectory(source_of(bytes(raw), "model.pth"))
    except CorruptCheckpoint:
        return
    for record in directory.records.values():
        assert record.header + record.packed <= start


def test_rows_of_a_directory_all_of_which_hold_the_magic_take_no_longer_than_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut: list[int] = []
    whole = zip_directory._fixed

    def counted(rows: list[bytes]) -> bytes:
        cut.append(len(rows))
        return whole(rows)

    monkeypatch.setattr(zip_directory, "_fixed", counted)
    count = 3000
    data = archive({f"{number}{MAGIC}": (b"", False, b"") for number in range(count)})
    assert len(ZipDirectory(source_of(data, "model.pth")).records) == count
    assert sum(cut) < 4 * count
