"""check_integrity(): every byte is looked at, and what is wrong is named by key."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from ckpt_explorer.cli import main
from ckpt_explorer.integrity import check_integrity
from ckpt_explorer.reading import open_checkpoint
from tests.reading.archives import zipped
from tests.reading.pickles import saved

WEIGHTS = {"conv.weight": torch.randn(64, 32, 3, 3, generator=torch.Generator().manual_seed(0)), "bias": torch.ones(8)}


def test_a_whole_file_has_all_its_checksums_and_the_hash_of_its_name() -> None:
    data = saved(WEIGHTS)
    digest = hashlib.sha256(data).hexdigest()
    found = check_integrity(open_checkpoint(data, f"net-{digest[:8]}.pth"))
    assert (found.sha256, found.name_agrees, found.is_whole) == (digest, True, True)
    assert found.damaged == () and found.zero_blocks == () and found.repeated_blocks == ()
    assert found.says.startswith("all ") and "the hash in the name is the file's" in found.says


def test_one_flipped_bit_is_found_and_its_tensor_named() -> None:
    data = bytearray(saved(WEIGHTS))
    at = bytes(data).index(WEIGHTS["conv.weight"].numpy().tobytes())
    data[at + 5] ^= 4
    checkpoint = open_checkpoint(bytes(data), "net-00000000.pth")
    found = check_integrity(checkpoint)
    assert [row.keys for row in found.damaged] == [("conv.weight",)]
    assert (found.is_whole, found.name_agrees) == (False, False)
    assert [row.id for row in found.diagnoses("net-00000000.pth")] == ["F6", "F6"]
    assert "conv.weight" in str(found.diagnoses("net")[0])


def test_a_checksum_of_zero_was_not_computed() -> None:
    torch.serialization.set_crc32_options(False)
    try:
        data = saved(WEIGHTS)
    finally:
        torch.serialization.set_crc32_options(True)
    found = check_integrity(open_checkpoint(data))
    assert found.is_whole
    assert found.not_computed >= 2


def test_a_format_without_checksums_says_so() -> None:
    found = check_integrity(open_checkpoint(save(WEIGHTS), "a.safetensors"))
    assert (found.checked, found.is_whole) == (0, True)
    assert "stores no checksums" in found.says


def test_holes_of_a_download_are_named_by_key() -> None:
    holes = WEIGHTS["conv.weight"].clone().flatten()
    holes[2048:4096] = 0
    holes[8192:9216] = holes[7168:8192]
    found = check_integrity(open_checkpoint(save({"conv.weight": holes.reshape(64, 32, 3, 3)}), "a.safetensors"))
    assert found.zero_blocks == (("conv.weight", 2),)
    assert found.repeated_blocks == (("conv.weight", 1),)
    assert [row.id for row in found.diagnoses("a")] == ["F7", "F7"]


def test_parts_are_all_looked_at_and_progress_ends_at_the_end() -> None:
    files = {"m-1-of-2.pth": saved({"a": torch.ones(9)}), "m-2-of-2.pth": saved({"b": torch.ones(9)})}
    files = {
        name.replace("-1-", "-01-").replace("-2-of", "-02-of").replace("of-2", "of-02"): data
        for name, data in files.items()
    }
    told: list[tuple[int, int]] = []
    found = check_integrity(open_checkpoint(files, "upload"), lambda done, total: told.append((done, total)))
    assert found.sha256 is None
    assert found.checked > 10
    assert told


def test_a_member_of_an_archive_is_checked_too() -> None:
    data = bytearray(zipped({"model.pth": saved(WEIGHTS)}))
    at = bytes(data).index(WEIGHTS["conv.weight"].numpy().tobytes())
    data[at] ^= 1
    assert not check_integrity(open_checkpoint(bytes(data), "a.zip")).is_whole


def test_abandoned_verification_ends_with_what_was_raised_in_progress() -> None:
    class Stop(Exception):
        """Raised by whoever had enough."""

    def stop(*_: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        check_integrity(open_checkpoint(saved({"a": torch.ones(100)})), stop)


def test_the_command_line_exits_with_one_when_a_byte_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.pth", tmp_path / "bad.pth"
    good.write_bytes(saved(WEIGHTS))
    data = bytearray(saved(WEIGHTS))
    data[bytes(data).index(np.ones(8, "f4").tobytes())] ^= 1
    bad.write_bytes(bytes(data))
    assert main(["inspect", "--verify", str(good)]) == 0
    assert main(["inspect", "--verify", str(bad)]) == 1
    assert "does not have its checksum: bias" in capsys.readouterr().out
