"""Folders of torch.distributed.checkpoint: as torch reads them, and nothing of their pickles run."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed._shard.sharded_tensor.metadata import TensorProperties as OldProperties
from torch.distributed.checkpoint.filesystem import FileSystemWriter, SerializationFormat, _StorageInfo
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from ckpt_explorer.checkpoint import StateDict
from ckpt_explorer.errors import CheckpointExplorerError, CorruptCheckpoint
from ckpt_explorer.reading.formats.distributed import read_distributed
from ckpt_explorer.reading.formats.tiling import Box, fill
from ckpt_explorer.reading.pickles.claims import tensor_infos
from ckpt_explorer.reading.pickles.pickled import PickledFile
from ckpt_explorer.reading.pickles.torch_objects import TENSOR_CLAIMS
from ckpt_explorer.reading.sources.folder import folder_at, folder_of_files
from ckpt_explorer.reading.sources.source import source_of
from tests.reading.pickles import archive, called, saved, text

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

WHOLE = torch.arange(60.0).reshape(5, 12)
ROWS = (((0, 0), (3, 12)), ((3, 0), (2, 12)))
GRID = (((0, 0), (3, 5)), ((0, 5), (3, 7)), ((3, 0), (2, 5)), ((3, 5), (2, 7)))


def trained() -> tuple[nn.Module, torch.optim.Optimizer]:
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    return module, optimizer


def write(folder: Path, state: dict[str, Any], **options: Any) -> Path:
    save(state, storage_writer=FileSystemWriter(folder, **options), no_dist=True)
    return folder


def opened(folder: Path) -> PickledFile:
    return read_distributed(folder_at(folder), ".metadata")


def from_files(files: Mapping[str, bytes]) -> PickledFile:
    return read_distributed(folder_of_files("run", files), ".metadata")


def state_dict(file: PickledFile, node: Any = None) -> StateDict:
    claims = {str(key): value for key, value in (node or file.root).items() if type(value) in TENSOR_CLAIMS}
    return StateDict("", tensor_infos(source_of(b"", "run"), file.find_storages, claims))


class Sharded:
    """A folder as several processes write it: `.metadata`, and one file for each chunk's process."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.listed: dict[str, Any] = {}
        self.stored: dict[MetadataIndex, Any] = {}
        self.paths: dict[str, tuple[str | int, ...]] = {}

    def item(self, rank: int, index: MetadataIndex, content: bytes) -> None:
        name = f"__{rank}_0.distcp"
        before = self.files.get(name, b"")
        self.stored[index] = _StorageInfo(name, len(before), len(content))
        self.files[name] = before + content

    def tensor(self, name: str, whole: Tensor, boxes: Sequence[Box]) -> Sharded:
        chunks = [ChunkStorageMetadata(torch.Size(start), torch.Size(sides)) for start, sides in boxes]
        properties = TensorProperties(dtype=whole.dtype)
        self.listed[name] = TensorStorageMetadata(properties, whole.shape, chunks)
        for rank, (start, sides) in enumerate(boxes):
            part = whole[tuple(slice(at, at + side) for at, side in zip(start, sides, strict=True))]
            self.item(rank, MetadataIndex(name, start), saved(part.clone(memory_format=torch.contiguous_format)))
        return self.at(name)

    def object(self, name: str, content: bytes) -> Sharded:
        self.listed[name] = BytesStorageMetadata()
        self.item(0, MetadataIndex(name), content)
        return self.at(name)

    def at(self, name: str, *path: str | int) -> Sharded:
        self.paths[name] = path or tuple(name.split("."))
        return self

    def metadata(self, **changes: Any) -> bytes:
        fields = {"planner_data": self.paths, "storage_data": self.stored, **changes}
        return pickle.dumps(Metadata(self.listed, **fields), 4)

    def all(self, **changes: Any) -> dict[str, bytes]:
        return {**self.files, ".metadata": self.metadata(**changes)}

    def written(self, folder: Path) -> Path:
        for name, content in self.all().items():
            (folder / name).write_bytes(content)
        return folder


def refusal(files: Mapping[str, bytes]) -> tuple[str, str]:
    with pytest.raises(CorruptCheckpoint) as refused:
        file = from_files(files)
        found = state_dict(file, file.root.get("model"))
        for key in found:
            found.tensor(key)
    return refused.value.diagnosis.id, str(refused.value)


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


def test_a_missing_file_is_named() -> None:
    files = Sharded().tensor("model.w", WHOLE, GRID).all()
    del files["__1_0.distcp"], files["__3_0.distcp"]
    id_, says = refusal(files)
    assert id_ == "F15"
    assert "of the 4 files that its .metadata names, __1_0.distcp, __3_0.distcp are not in it" in says


@pytest.mark.parametrize("path", ["../secret.distcp", "/etc/passwd", "a/../../x", "..\\x"])
def test_a_file_outside_of_the_folder_is_never_opened(path: str) -> None:
    made = Sharded().tensor("model.w", WHOLE, ROWS)
    made.stored[MetadataIndex("model.w", (0, 0))].relative_path = path
    assert refusal(made.all())[0] == "F15"


def test_places_that_the_files_do_not_have_are_refused() -> None:
    for change, says in (
        ({"offset": 10**9}, "would lie up to byte"),
        ({"length": 10**9}, "would lie up to byte"),
        ({"offset": -1}, "the place of 'model.w' is none"),
        ({"length": 2**70, "offset": -(2**70)}, "the place of 'model.w' is none"),
        ({"length": 100}, "and its place has 100 bytes"),
        ({"offset": 1}, "would lie up to byte"),
        ({"relative_path": 5}, "the place of 'model.w' is none"),
        ({"transform_descriptors": ["stream.zstd"]}, "is packed"),
    ):
        made = Sharded().tensor("model.w", WHOLE, ROWS)
        vars(made.stored[MetadataIndex("model.w", (0, 0))]).update(change)
        id_, found = refusal(made.all())
        assert id_ == "F18"
        assert says in found


@pytest.mark.parametrize(
    "boxes",
    [
        ROWS[:1],
        (*ROWS, ((0, 0), (1, 12))),
        (((0, 0), (3, 12)), ((2, 0), (2, 12))),
        (((0, 0), (5, 6)), ((0, 5), (5, 6))),
    ],
)
def test_chunks_that_overlap_or_leave_holes_are_refused(boxes: Sequence[Box]) -> None:
    id_, says = refusal(Sharded().tensor("model.w", WHOLE, boxes).all())
    assert id_ == "F18"
    assert "overlap, or leave a part of it out" in says


def test_a_chunk_beyond_its_tensor_is_refused() -> None:
    made = Sharded().tensor("model.w", WHOLE, ROWS)
    made.listed["model.w"].size = torch.Size((4, 12))
    assert "reaches beyond it" in refusal(made.all())[1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (saved(torch.zeros(12, 5)), "should be (5, 12) of float32, and is (12, 5) of float32"),
        (saved(torch.zeros(5, 12, dtype=torch.int32)), "and is (5, 12) of int32"),
        (saved({"w": torch.zeros(5, 12)}), "is no tensor"),
        (bytes(2000), "contradicts itself"),
        (saved(torch.zeros(5, 12).to_sparse()), "made of several tensors"),
    ],
)
def test_a_chunk_that_is_another_tensor_than_was_said_is_refused_when_it_is_read(content: bytes, says: str) -> None:
    made = Sharded().tensor("model.w", WHOLE, (((0, 0), (5, 12)),))
    made.stored[MetadataIndex("model.w", (0, 0))].length = len(content)
    files = made.all() | {"__0_0.distcp": content}
    assert from_files(files).root["model"]["w"].shape == (5, 12)
    assert says in refusal(files)[1]


def test_claims_of_the_metadata_that_make_no_sense_are_refused() -> None:
    def changed(**fields: Any) -> str:
        made = Sharded().tensor("model.w", WHOLE, ROWS)
        vars(made.listed["model.w"]).update(fields)
        return refusal(made.all())[1]

    assert "no shape, or no chunks" in changed(size=(-1, 12))
    assert "no shape, or no chunks" in changed(size=(2**70, 12))
    assert "no shape, or no chunks" in changed(chunks=None)
    assert "has no place in it" in changed(chunks=[None])
    assert "no type" in changed(properties=None)
    made = Sharded().tensor("model.w", WHOLE, ROWS)
    assert "does not say which tensors" in refusal(made.all(storage_data=None))[1]
    assert "something without a name" in refusal(made.all(storage_data={"w": 1}))[1]
    assert "does not say where 'model.w' lies" in refusal(made.all(storage_data={}))[1]
    assert "where 'model.w' belongs" in refusal(made.all(planner_data={"model.w": ()}))[1]
    assert "where 'model.w' belongs" in refusal(made.all(planner_data={"model.w": ("model", 2**40)}))[1]
    assert "where 'model.w' belongs" in refusal(made.all(planner_data={"model.w": ("a",) * 1000}))[1]
    made.object("epoch", saved(1))
    clash = {"model.w": ("model",), "epoch": ("model", "epoch")}
    assert "inside of something that is no mapping" in refusal(made.all(planner_data=clash))[1]
    same = {"model.w": ("model",), "epoch": ("model",)}
    assert "two of its entries" in refusal(made.all(planner_data=same))[1]
    assert "does not say which tensors" in refusal({".metadata": pickle.dumps({"a": 1})})[1]


def test_a_list_with_one_large_index_takes_no_room() -> None:
    made = Sharded().object("x", saved(1)).at("x", "lst", 10**9)
    assert from_files(made.all()).root == {"lst": {10**9: 1}}


class Shell:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/pwned",)


def test_calls_of_the_shell_are_named_wherever_they_stand() -> None:
    made = Sharded().tensor("model.w", WHOLE, ROWS).object("epoch", saved(3))
    assert "posix.system" not in from_files(made.all()).globals
    assert "posix.system" in from_files(made.all(storage_meta=Shell())).globals
    hostile = archive(b"\x80\x02" + called("os.system", text("touch /tmp/pwned")) + b".")
    assert "os.system" in from_files(Sharded().object("epoch", hostile).all()).globals


def test_boxes_fill_a_shape_or_do_not() -> None:
    assert fill(GRID, (5, 12))
    assert fill([((), ())], ())
    assert not fill(GRID[:3], (5, 12))
    assert not fill([*GRID[:3], GRID[0]], (5, 12))
    random.seed(0)
    rows = [((row, column), (1, 1)) for row in range(60) for column in range(60)]
    random.shuffle(rows)
    assert fill(rows, (60, 60))
    lying = [((0, 0, at), (1, 100_000, 1)) for at in range(10)] + [((0, 0, 0), (1, 100_000, 1))] * 10
    assert not fill(lying, (1, 100_000, 20))
    assert fill([((at,), (1,)) for at in range(65_536)], (65_536,))


def test_too_many_chunks_that_all_overlap_are_given_up() -> None:
    boxes = [((row, 0), (4000, 1)) if row == 0 else ((row % 2, row), (4000, 1)) for row in range(4000)]
    assert fill(boxes, (4001, 4000)) in (False, None)


def test_a_folder_that_is_damaged_opens_or_is_refused() -> None:
    made = Sharded().tensor("model.w", WHOLE, ROWS).object("epoch", saved(3))
    files = made.all()
    cases = [files | {name: content[:at]} for name, content in files.items() for at in range(0, len(content), 50)]
    for name, content in files.items():
        step = 1 if name == ".metadata" else 7
        for at in range(0, len(content), step):
            cases.append(files | {name: content[:at] + bytes([content[at] ^ 0x11]) + content[at + 1 :]})
    for case in cases:
        try:
            file = from_files(case)
            node = file.root.get("model")
            found = state_dict(file, node if isinstance(node, dict) else None)
            for key in found:
                found.tensor(key)
        except CheckpointExplorerError as error:
            assert "\n" not in str(error)


def test_an_object_that_is_no_file_of_torch_is_said_to_be_one() -> None:
    file = from_files(Sharded().object("raw", b"x" * 100).all())
    assert file.root["raw"] == "an object of 100 bytes, not read"
