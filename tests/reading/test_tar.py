"""Tar archives as folders: every member that tarfile finds, as a part of the file, and no claim believed."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

import pytest

from ckpt_explorer.errors import CheckpointExplorerError, CorruptCheckpoint
from ckpt_explorer.reading.sources.folder import Folder
from ckpt_explorer.reading.sources.source import source_of
from ckpt_explorer.reading.sources.tar import tar_folder

CONTENTS = {
    "model.pth": bytes(range(256)) * 5,
    "a/b/empty.txt": b"",
    "x" * 140 + "/" + "y" * 90: b"a long name",
    "früh/größe.bin": b"not ASCII",
    "exactly a block": bytes(512),
}


def tar(contents: Mapping[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as made:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return file.getvalue()


def opened(data: bytes) -> Folder:
    return tar_folder(source_of(data, "weights.tar"))


def contents(folder: Folder) -> dict[str, bytes]:
    return {name: bytes(folder.open(name).view()) for name in folder}


def refusal(data: bytes) -> str:
    with pytest.raises(CorruptCheckpoint) as refused:
        opened(data)
    return str(refused.value)


def with_field(data: bytes, start: int, field: bytes, member: int = 0) -> bytes:
    """The archive with `field` in the header at byte `member`, and the checksum that then is right."""
    header = bytearray(data[member : member + 512])
    header[start : start + len(field)] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:member] + bytes(header) + data[member + 512 :]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_have_the_names_and_bytes_that_were_written(form: int) -> None:
    folder = opened(tar(CONTENTS, form))
    assert folder.kind == "tar archive"
    assert contents(folder) == CONTENTS


def test_members_are_parts_of_the_file() -> None:
    data = tar(CONTENTS)
    part = opened(data).open("model.pth")
    assert part.view().obj is data
    assert part.name == "model.pth"


def test_folders_links_devices_and_what_macos_adds_are_left_out() -> None:
    file = io.BytesIO()
    kinds = {
        "f": tarfile.DIRTYPE,
        "s": tarfile.SYMTYPE,
        "l": tarfile.LNKTYPE,
        "c": tarfile.CHRTYPE,
        "p": tarfile.FIFOTYPE,
    }
    with tarfile.open(fileobj=file, mode="w") as made:
        for name, kind in kinds.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            made.addfile(member)
        for name in ("._model.pth", "a/._b", "model.pth"):
            made.addfile(tarfile.TarInfo(name))
    assert list(opened(file.getvalue())) == ["model.pth"]


def test_sparse_members_are_left_out_and_what_follows_is_found() -> None:
    sparse = with_field(tar({"holes": bytes(600)})[:1536], 156, b"S")
    longer = with_field(sparse, 482, b"\1")
    maps = bytes(512)
    rest = tar({"model.pth": b"weights"})
    for data in (sparse + rest, longer[:512] + maps + longer[512:] + rest):
        assert contents(opened(data)) == {"model.pth": b"weights"}
    pax = io.BytesIO()
    with tarfile.open(fileobj=pax, mode="w", format=tarfile.PAX_FORMAT) as made:
        member = tarfile.TarInfo("holes")
        member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        made.addfile(member)
    assert contents(opened(pax.getvalue()[:1536] + rest)) == {"model.pth": b"weights"}


def test_names_that_lead_out_are_kept_as_harmless_ones() -> None:
    folder = opened(tar({"../../etc/passwd": b"1", "/root/x": b"2", "./model.pth": b"3", "a/../b": b"4"}))
    assert list(folder) == ["etc/passwd", "root/x", "model.pth", "a/b"]


def test_sizes_of_base_256_are_read() -> None:
    data = tar({"a": b"12345", "b": b"6"})
    wide = with_field(data, 124, b"\x80" + (5).to_bytes(11, "big"))
    assert contents(opened(wide)) == {"a": b"12345", "b": b"6"}


def test_a_pax_size_counts_more_than_the_header() -> None:
    plain = tar({"a": b"12345"})
    record = b"10 size=5\n"
    extended = with_field(tar({"x": record}), 156, b"x")[:1024]
    assert contents(opened(extended + with_field(plain, 124, b"00000000000\0"))) == {"a": b"12345"}


def test_old_archives_without_a_magic_are_read() -> None:
    assert contents(opened(with_field(tar({"a": b"12345"}), 257, bytes(8)))) == {"a": b"12345"}


def test_an_archive_without_its_end_blocks_is_whole() -> None:
    assert contents(opened(tar({"a": b"12345"})[: 512 + 5])) == {"a": b"12345"}
    assert contents(opened(b"")) == {}


@pytest.mark.parametrize(
    ("start", "field", "says"),
    [
        (124, b"\xff" * 12, "negative"),
        (124, b"-0000000001\0", "negative"),
        (124, b"0000000009 \0", "no number"),
        (124, b"\x80" + b"\x7f" * 11, "should have"),
        (124, b"77777777777\0", "should have"),
        (0, b"b\0", "two of its members have the name 'b'"),
    ],
)
def test_a_header_that_lies_is_refused(start: int, field: bytes, says: str) -> None:
    assert says in refusal(with_field(tar({"a": b"12345", "b": b"6"}), start, field))


def test_a_wrong_checksum_is_refused() -> None:
    data = bytearray(tar({"a": b"12345"}))
    data[0] ^= 1
    assert "does not have its checksum" in refusal(bytes(data))


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (b"0 path=x\n", "can't be read"),
        (b"99 path=x\n", "can't be read"),
        (b"-5 path=x\n", "can't be read"),
        (b"10 size=-\n", "negative"),
        (b"7 path=", "can't be read"),
        (b"no record", "can't be read"),
    ],
)
def test_extended_headers_that_make_no_sense_are_refused(record: bytes, says: str) -> None:
    extended = with_field(tar({"x": record}), 156, b"x")[:1024]
    assert says in refusal(extended + tar({"a": b"12345"}))


def test_one_name_for_all_members_is_refused() -> None:
    extended = with_field(tar({"x": b"10 path=y\n"}), 156, b"g")[:1024]
    assert "to all its members" in refusal(extended + tar({"a": b"12345"}))


def test_headers_that_only_announce_others_come_to_an_end() -> None:
    assert "headers" in refusal(with_field(tar({"x": b""}), 156, b"L")[:512] * 70_000)


def test_too_many_members_are_refused() -> None:
    one = [with_field(tar({"a": b""}), 0, b"%d\0" % number)[:512] for number in range(20_001)]
    assert "more than 20,000 members" in refusal(b"".join(one))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_file_that_breaks_off_or_is_damaged_opens_or_is_refused(form: int) -> None:
    data = tar(CONTENTS, form)
    cuts = [data[:size] for size in range(0, len(data), 50)]
    flips = [data[:at] + bytes([data[at] ^ 0x11]) + data[at + 1 :] for at in range(min(len(data), 5000))]
    for damaged in cuts + flips:
        try:
            contents(opened(damaged))
        except CheckpointExplorerError as error:
            assert "\n" not in str(error)
