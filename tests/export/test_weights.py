"""write_state_dict(): a file that plain PyTorch reads, under the model's own keys."""

from __future__ import annotations

import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ckpt_explorer.alignment import Alignment, align
from ckpt_explorer.errors import CheckpointExplorerError, LoadError
from ckpt_explorer.export import write_state_dict
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.rules import RuleSet, parse_rule
from tests.checkpoints import (
    add_prefix,
    small_architecture,
    small_resnet,
    small_resnet_state_dict,
    write_checkpoint,
)

SMALL_NET = small_architecture()
ENDINGS = pytest.mark.parametrize("ending", [".pth", ".safetensors"])


def alignment_of(file: Path, *rules: str) -> Alignment:
    return align(open_checkpoint(file), SMALL_NET, RuleSet(tuple(map(parse_rule, rules))))


def read(file: Path) -> dict[str, Tensor]:
    """The file as plain PyTorch or safetensors reads it."""
    if file.suffix == ".safetensors":
        return load_file(file)
    weights: dict[str, Tensor] = torch.load(file, weights_only=True)
    return weights


@ENDINGS
def test_the_file_loads_strictly_into_the_network_without_this_package(tmp_path: Path, ending: str) -> None:
    original = small_resnet()
    file = write_checkpoint(tmp_path, {"state_dict": add_prefix("module.", original.state_dict())})
    written = write_state_dict(alignment_of(file, "strip prefix module."), tmp_path / f"out{ending}")
    fresh = small_resnet(seed=1)
    fresh.load_state_dict(read(Path(written.path)), strict=True)
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(fresh(x), original(x))
    assert written.tensors == 68
    assert written.size == (tmp_path / f"out{ending}").stat().st_size
    assert written.as_json() == {"path": str(tmp_path / f"out{ending}"), "tensors": 68, "size": written.size}


@ENDINGS
def test_a_view_is_written_without_the_rest_of_its_storage(tmp_path: Path, ending: str) -> None:
    weights = small_resnet_state_dict()
    weights["fc.weight"] = torch.rand(200_000, 32)[:5]
    weights["conv1.weight"] = torch.rand(3, 3, 3, 8).permute(3, 2, 0, 1)
    file = write_checkpoint(tmp_path, weights)
    assert file.stat().st_size > 25_000_000
    written = write_state_dict(alignment_of(file), tmp_path / f"out{ending}")
    assert written.size < 250_000
    again = read(tmp_path / f"out{ending}")
    assert torch.equal(again["fc.weight"], weights["fc.weight"])
    assert torch.equal(again["conv1.weight"], weights["conv1.weight"])


@ENDINGS
def test_tensors_that_share_a_storage_are_written_one_by_one(tmp_path: Path, ending: str) -> None:
    weights = small_resnet_state_dict()
    weights["bn1.weight"] = weights["bn1.bias"]
    write_state_dict(alignment_of(write_checkpoint(tmp_path, weights)), tmp_path / f"out{ending}")
    again = read(tmp_path / f"out{ending}")
    assert torch.equal(again["bn1.weight"], again["bn1.bias"])


@ENDINGS
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_floating_tensors_are_cast_and_counters_are_not(tmp_path: Path, ending: str, dtype: str) -> None:
    weights = small_resnet_state_dict()
    write_state_dict(alignment_of(write_checkpoint(tmp_path, weights)), tmp_path / f"out{ending}", dtype=dtype)
    again = read(tmp_path / f"out{ending}")
    assert again["conv1.weight"].dtype == getattr(torch, dtype)
    assert torch.equal(again["conv1.weight"], weights["conv1.weight"].to(getattr(torch, dtype)))
    assert again["bn1.num_batches_tracked"].dtype == torch.int64


def test_what_does_not_fit_is_left_out(tmp_path: Path) -> None:
    weights = {**small_resnet_state_dict(num_classes=9), "queue": torch.zeros(3)}
    write_state_dict(alignment_of(write_checkpoint(tmp_path, weights)), tmp_path / "out.pth")
    assert set(read(tmp_path / "out.pth")) == set(SMALL_NET.tree) - {"fc.weight", "fc.bias"}


def test_the_file_that_is_being_read_is_never_overwritten(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path, small_resnet_state_dict())
    before = file.read_bytes()
    (tmp_path / "folder").mkdir()
    link = tmp_path / "folder" / "link.pth"
    link.symlink_to(file)
    for name in (file, link, tmp_path / "folder" / ".." / file.name):
        with pytest.raises(CheckpointExplorerError, match="is the file that is being read"):
            write_state_dict(alignment_of(file), name, source=file)
    assert file.read_bytes() == before


def test_another_file_is_replaced(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path, small_resnet_state_dict())
    (tmp_path / "out.pth").write_text("old")
    write_state_dict(alignment_of(file), tmp_path / "out.pth", source=file)
    assert len(read(tmp_path / "out.pth")) == 68
    assert stat.S_IMODE((tmp_path / "out.pth").stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["out.ckpt", "out", "out.pth.zip", ".pth", "out.PTH"])
def test_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    file = write_checkpoint(tmp_path, small_resnet_state_dict())
    with pytest.raises(CheckpointExplorerError, match=r"\.pth nor \.safetensors"):
        write_state_dict(alignment_of(file), tmp_path / name)


def test_a_place_that_can_not_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path, small_resnet_state_dict())
    (tmp_path / "folder.pth").mkdir()
    for place in (tmp_path / "nowhere" / "out.pth", file / "out.pth", tmp_path / "folder.pth"):
        with pytest.raises(CheckpointExplorerError, match="can't be written") as refused:
            write_state_dict(alignment_of(file), place)
        assert "\n" not in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.pth", "model.pth"]


@pytest.fixture
def little_room() -> Iterator[None]:
    """No file of this process may grow beyond 20,000 bytes, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@ENDINGS
def test_a_disk_that_is_full_is_told_in_one_sentence_and_leaves_nothing(
    tmp_path: Path, ending: str, request: pytest.FixtureRequest
) -> None:
    alignment = alignment_of(write_checkpoint(tmp_path, small_resnet_state_dict()))
    request.getfixturevalue("little_room")
    with pytest.raises(CheckpointExplorerError, match="can't be written") as refused:
        write_state_dict(alignment, tmp_path / f"out{ending}")
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["model.pth"]


def test_nothing_that_fits_is_nothing_to_write(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path, add_prefix("x.", small_resnet_state_dict()))
    with pytest.raises(LoadError, match="nothing to write"):
        write_state_dict(alignment_of(file), tmp_path / "out.pth")
    with pytest.raises(LoadError, match="no dtype"):
        write_state_dict(alignment_of(file), tmp_path / "out.pth", dtype="int3")
