"""Folders of torch.distributed.checkpoint: as torch reads them, and nothing of their pickles run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch.distributed._shard.sharded_tensor.metadata import TensorProperties as OldProperties
from torch.distributed.checkpoint.filesystem import SerializationFormat
from torch.distributed.checkpoint.state_dict_loader import load

from ckpt_explorer.errors import CorruptCheckpoint
from ckpt_explorer.reading.formats.distributed import read_distributed
from ckpt_explorer.reading.formats.tiling import Box
from ckpt_explorer.reading.sources.folder import folder_of_files
from tests.reading.pickles import saved
from tests.reading.sharded_folders import (
    GRID,
    ROWS,
    WHOLE,
    Sharded,
    from_files,
    opened,
    state_dict,
    trained,
    write,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def test_a_checkpoint_is_nested_as_it_was_saved(tmp_path: Path) -> None:
    module, optimizer = trained()
    state = {"model": module.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "name": "run 1"}
    file = opened(write(tmp_path, state))
    assert list(file.root) == ["model", "optimizer", "epoch", "name"]
    assert (file.root["epoch"], file.root["name"]) == (3, "run 1")
    (group,) = file.root["optimizer"]["param_groups"]
    assert group["lr"] == 0.001
    assert group["params"] == [0, 1, 2, 3]
    found = state_dict(file, file.root["model"])
    assert list(found) == list(module.state_dict())
    for key, tensor in module.state_dict().items():
        assert torch.equal(found.tensor(key), tensor)
        assert found[key].dtype == str(tensor.dtype).removeprefix("torch.")
    moments = state_dict(file, file.root["optimizer"]["state"]["0"])
    assert torch.equal(moments.tensor("exp_avg"), optimizer.state_dict()["state"][0]["exp_avg"])
    assert file.written_by.startswith("torch.distributed.checkpoint")


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn],
)
def test_every_kind_of_number_is_read_bit_for_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    tensor = torch.randn(4, 6).to(dtype)
    found = state_dict(opened(write(tmp_path, {"w": tensor}))).tensor("w")
    assert found.dtype == dtype
    assert torch.equal(found.view(torch.uint8), tensor.view(torch.uint8))


def test_tensors_that_do_not_lie_row_by_row_are_those_that_were_saved(tmp_path: Path) -> None:
    state = {
        "transposed": WHOLE.t(),
        "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "a part": WHOLE[1:3, ::2],
        "expanded": torch.ones(3, 1).expand(3, 4),
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "conjugated": torch.randn(3, dtype=torch.complex64).conj(),
    }
    found = state_dict(opened(write(tmp_path, state)))
    assert list(found) == list(state)
    for key, tensor in state.items():
        assert torch.equal(found.tensor(key), tensor.resolve_conj())


def test_opening_reads_no_tensor_and_reading_copies_none(tmp_path: Path) -> None:
    write(tmp_path, {"w": torch.arange(1000.0)})
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    found = state_dict(from_files(files))
    start = torch.frombuffer(files["__0_0.distcp"], dtype=torch.uint8).data_ptr()
    assert start <= found.tensor("w").data_ptr() < start + len(files["__0_0.distcp"])
    wrong = files["__0_0.distcp"].replace(torch.arange(1000.0).numpy().tobytes(), bytes(4000))
    found = state_dict(from_files(files | {"__0_0.distcp": wrong}))
    with pytest.raises(CorruptCheckpoint) as refused:
        found.tensor("w")
    assert refused.value.diagnosis.id == "F6"


@pytest.mark.parametrize("boxes", [ROWS, GRID, (((0, 0), (5, 12)),)])
def test_shards_of_several_processes_are_one_tensor(tmp_path: Path, boxes: Sequence[Box]) -> None:
    Sharded().tensor("model.w", WHOLE, boxes).object("epoch", saved(3)).written(tmp_path)
    loaded = {"model": {"w": torch.zeros(5, 12)}}
    load(loaded, checkpoint_id=tmp_path, no_dist=True)
    file = opened(tmp_path)
    found = state_dict(file, file.root["model"])
    assert found["w"].shape == (5, 12)
    assert torch.equal(found.tensor("w"), WHOLE)
    assert torch.equal(found.tensor("w"), loaded["model"]["w"])
    assert file.root["epoch"] == 3


def test_chunks_that_hold_nothing_are_passed_over() -> None:
    boxes = (*ROWS, ((5, 0), (0, 12)))
    file = from_files(Sharded().tensor("model.w", WHOLE, boxes).all())
    assert torch.equal(state_dict(file, file.root["model"]).tensor("w"), WHOLE)


def test_a_folder_written_as_safetensors_is_read(tmp_path: Path) -> None:
    state = {"model": {"w": WHOLE.clone(), "n": torch.arange(4)}}
    file = opened(write(tmp_path, state, serialization_format=SerializationFormat.SAFETENSORS))
    found = state_dict(file, file.root["model"])
    assert torch.equal(found.tensor("w"), WHOLE)
    assert found.tensor("n").tolist() == [0, 1, 2, 3]


def test_a_folder_with_one_file_a_tensor_is_read(tmp_path: Path) -> None:
    file = opened(write(tmp_path, {"a": torch.ones(2), "b": torch.zeros(3)}, single_file_per_rank=False))
    assert len(list(tmp_path.glob("*.distcp"))) == 2
    assert state_dict(file).tensor("a").tolist() == [1, 1]


def test_tensors_inside_of_objects_are_found() -> None:
    made = (
        Sharded().object("first", saved({"state": torch.arange(3)})).object("second", saved({"state": torch.ones(2)}))
    )
    file = from_files(made.all())
    assert state_dict(file, file.root["first"]).tensor("state").tolist() == [0, 1, 2]
    assert state_dict(file, file.root["second"]).tensor("state").tolist() == [1, 1]


def test_without_paths_names_stay_flat() -> None:
    file = from_files(Sharded().tensor("model.w", WHOLE, ROWS).all(planner_data=None))
    assert list(file.root) == ["model.w"]


def test_metadata_in_a_folder_below_names_files_beside_it() -> None:
    files = Sharded().tensor("model.w", WHOLE, ROWS).all()
    folder = folder_of_files("run", {f"step-10/{name}": content for name, content in files.items()})
    file = read_distributed(folder, "step-10/.metadata")
    assert torch.equal(state_dict(file, file.root["model"]).tensor("w"), WHOLE)


def test_what_older_versions_wrote_is_read() -> None:
    """Until 2.2 a tensor's properties were a class elsewhere, of five fields."""
    made = Sharded().tensor("model.w", WHOLE, ROWS)
    made.listed["model.w"].properties = OldProperties(dtype=torch.float32)
    file = from_files(made.all())
    assert "torch.distributed._shard.sharded_tensor.metadata.TensorProperties" in file.globals
    assert torch.equal(state_dict(file, file.root["model"]).tensor("w"), WHOLE)
