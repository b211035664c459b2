"""Folders of torch.distributed.checkpoint, as one process writes them and as several do."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.filesystem import FileSystemWriter, _StorageInfo
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.state_dict_saver import save

from ckpt_explorer.checkpoint import StateDict
from ckpt_explorer.errors import CorruptCheckpoint
from ckpt_explorer.reading.formats.distributed import read_distributed
from ckpt_explorer.reading.formats.tiling import Box
from ckpt_explorer.reading.pickles.claims import tensor_infos
from ckpt_explorer.reading.pickles.pickled import PickledFile
from ckpt_explorer.reading.pickles.torch_objects import TENSOR_CLAIMS
from ckpt_explorer.reading.sources.folder import folder_at, folder_of_files
from ckpt_explorer.reading.sources.source import source_of
from tests.reading.pickles import saved

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
