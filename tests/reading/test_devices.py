"""Files whose tensors were saved on a device that this machine has not: read all the same, and said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ckpt_explorer.reading import open_checkpoint


def written_on(monkeypatch: pytest.MonkeyPatch, folder: Path, devices: list[str], zipped: bool = True) -> Path:
    """A file of tensors, one a device, as torch.save writes it on a machine with these devices."""
    tags = iter(devices)
    monkeypatch.setattr("torch.serialization.location_tag", lambda _: next(tags))
    file = folder / "elsewhere.pth"
    torch.save(
        {f"layer{at}.weight": torch.full((2,), float(at)) for at in range(len(devices))},
        file,
        _use_new_zipfile_serialization=zipped,
    )
    monkeypatch.undo()
    return file


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("devices", "identity", "says"),
    [
        (["cuda:0"] * 3, "D1", "saved on cuda:0,"),
        (["cpu"] * 50 + ["cuda:3"] * 50 + ["cuda:1"] * 50, "D2", "saved on cuda:3, cuda:1,"),
        (["mps"] * 2, "D3", "saved on mps,"),
    ],
)
def test_devices_are_named_and_the_tensors_are_read_to_the_cpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, devices: list[str], identity: str, says: str, zipped: bool
) -> None:
    checkpoint = open_checkpoint(written_on(monkeypatch, tmp_path, devices, zipped))
    (found,) = [row for row in checkpoint.diagnoses if row.id.startswith("D")]
    assert found.id == identity
    assert says in found.says and 'map_location="cpu"' in found.next
    last = f"layer{len(devices) - 1}.weight"
    assert checkpoint.state_dict.tensor(last).tolist() == [len(devices) - 1.0] * 2


def test_a_file_of_the_cpu_says_nothing_of_devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(written_on(monkeypatch, tmp_path, ["cpu"] * 3))
    assert not [row for row in checkpoint.diagnoses if row.id.startswith("D")]
