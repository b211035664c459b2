"""A checkpoint inside an archive is opened where it lies, and archives that would eat the machine are refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from ckpt_explorer.errors import CorruptCheckpoint, NotACheckpoint, RefusedFile, SourceError
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.reading.sources import unpacked
from tests.reading.archives import tarred, zipped
from tests.reading.pickles import TENSORS, beside_a_tensor, called, saved, text

SAVED = saved(TENSORS)
IN_ARCHIVES = {
    "run.zip": zipped({"run/model.pth": SAVED, "run/notes.txt": b"epoch 3"}),
    "packed.zip": zipped({"model.pth": SAVED}, packed=True),
    "model.pth.gz": gzip.compress(SAVED),
    "model.pth.bz2": bz2.compress(SAVED),
    "model.pth.xz": lzma.compress(SAVED),
    "model.tar": tarred({"a/model.pth": SAVED}),
    "model.tar.gz": gzip.compress(tarred({"a/model.pth": SAVED})),
    "all.zip": zipped({"x/model.tar.gz": gzip.compress(tarred({"a/model.pth": SAVED}))}, packed=True),
    "safetensors.zip": zipped({"model.safetensors": save(TENSORS)}),
    "two.gz": gzip.compress(SAVED[:100]) + gzip.compress(SAVED[100:]),
}


@pytest.mark.parametrize("name", IN_ARCHIVES)
def test_a_checkpoint_in_an_archive_opens_with_its_values(name: str) -> None:
    opened = open_checkpoint(IN_ARCHIVES[name], name)
    assert {key: opened.state_dict.tensor(key).tolist() for key in opened.state_dict} == {
        key: value.tolist() for key, value in TENSORS.items()
    }
    assert [row.id for row in opened.diagnoses] == ["F17"]
    assert "archive" in opened.format


def test_a_stored_member_is_a_view_of_the_archive() -> None:
    data = IN_ARCHIVES["run.zip"]
    opened = open_checkpoint(data, "run.zip")
    storage = opened.state_dict["conv1.weight"].storage.read()
    assert storage.obj is data


def test_what_an_archive_hides_is_graded_like_anything_else() -> None:
    evil = beside_a_tensor(called("os.system", text("true")))
    opened = open_checkpoint(gzip.compress(tarred({"model.pth": evil})), "model.tar.gz")
    assert [row.id for row in opened.diagnoses] == ["F17", "P5"]
    assert {row.name: row.says for row in opened.globals}["os.system"] == "would have run a command: true"


def test_of_several_checkpoints_the_largest_opens_and_the_others_are_offered() -> None:
    other = saved({"only": torch.ones(2)})
    data = zipped({"small.pth": other, "large.pth": SAVED, "readme.md": b"hello"})
    opened = open_checkpoint(data, "both.zip")
    assert (opened.member, opened.members) == ("large.pth", ("large.pth", "small.pth"))
    assert "--member" in opened.diagnoses[0].next
    chosen = open_checkpoint(data, "both.zip", member="small.pth")
    assert (chosen.member, list(chosen.state_dict)) == ("small.pth", ["only"])
    with pytest.raises(SourceError, match=r"both\.zip holds no none\.pth: it has large\.pth, small\.pth"):
        open_checkpoint(data, "both.zip", member="none.pth")


def test_what_is_in_an_archive_is_named_when_it_is_no_checkpoint() -> None:
    page = b"<html><title>Sign in</title></html>"
    for data, name in ((zipped({"model.pth": page}), "a.zip"), (gzip.compress(page), "a.pth.gz")):
        with pytest.raises(NotACheckpoint, match='web page titled "Sign in"') as refused:
            open_checkpoint(data, name)
        assert refused.value.diagnosis.id == "F3"
    with pytest.raises(NotACheckpoint, match=r"a zip archive without a checkpoint: it holds a\.png, b\.png"):
        open_checkpoint(zipped({"a.png": b"\x89PNG\r\n\x1a\n", "b.png": b"\x89PNG\r\n\x1a\n"}), "pictures.zip")


def test_archives_within_archives_without_end_are_refused() -> None:
    inside = SAVED
    for _ in range(12):
        inside = zipped({"inner.zip": inside})
    with pytest.raises(NotACheckpoint, match="too deep"):
        open_checkpoint(inside, "outer.zip")


def test_a_file_that_unpacks_to_more_than_weights_do_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacked, "FLOOR", 1 << 20)
    with pytest.raises(CorruptCheckpoint, match="unpack to more than"):
        open_checkpoint(gzip.compress(SAVED + bytes(64 << 20)), "bomb.pth.gz")


def test_a_packed_file_that_breaks_off_says_so_and_its_rest_can_be_opened() -> None:
    noise = torch.randn(50_000, generator=torch.Generator().manual_seed(0))
    whole = gzip.compress(saved({"first": torch.arange(9.0), "noise": noise, "last": noise + 1}))
    with pytest.raises(CorruptCheckpoint, match="2 of its 3 tensors can still be read") as refused:
        open_checkpoint(whole[: len(whole) * 3 // 4], "model.pth.gz")
    assert (refused.value.diagnosis.id, refused.value.readable) == ("F5", 2)
    opened = open_checkpoint(whole[: len(whole) * 3 // 4], "model.pth.gz", salvage=True)
    assert list(opened.state_dict) == ["first", "noise"]
    assert torch.equal(opened.state_dict.tensor("noise"), noise)


def test_a_wrong_checksum_of_a_packed_file_is_found() -> None:
    data = bytearray(gzip.compress(SAVED))
    data[-6] ^= 1
    with pytest.raises(RefusedFile):
        open_checkpoint(bytes(data), "model.pth.gz")


def test_progress_is_told_and_whoever_raises_in_it_ends_the_work(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    file = tmp_path / "model.pth.gz"
    file.write_bytes(gzip.compress(saved({"noise": torch.randn(2_000_000)}), 1))
    open_checkpoint(file, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (file.stat().st_size, file.stat().st_size)
    assert len(told) > 3

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_checkpoint(file, progress=stop)


def test_the_member_of_a_zip_is_checked_against_its_own_checksum() -> None:
    data = bytearray(zipped({"model.safetensors": save(TENSORS)}, packed=True))
    at = data.index(b"PK\x01\x02")
    data[at + 16 : at + 20] = (zlib.crc32(b"other")).to_bytes(4, "little")
    with pytest.raises(CorruptCheckpoint, match="checksum"):
        open_checkpoint(bytes(data), "a.zip")
