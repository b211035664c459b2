"""One small honest file of every format that opens: what the mutants are made of."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from tests.checkpoints import small_resnet
from tests.reading.archives import tarred, zipped
from tests.reading.pickles import TENSORS, ordered, saved
from tests.reading.test_torch_tar import Old
from tests.reading.torchscript_networks import Net

Files = bytes | dict[str, bytes]
"""A file, or a folder of several by name."""


def corpus() -> dict[str, Files]:
    """Every seed by its name; the part before the first colon is its format."""
    torch.manual_seed(0)
    whole = ordered(TENSORS)
    made: dict[str, Files] = {
        "zip: state dict": saved({"epoch": 1, "state_dict": whole}),
        "zip: protocol 4": saved(whole, pickle_protocol=4),
        "zip: protocol 5": saved(whole, pickle_protocol=5),
        "zip: small ResNet": saved(
            {"state_dict": small_resnet().state_dict(), "args": {"lr": 0.1}, "best": np.float64(1)}
        ),
        "zip: optimizer": saved(_training()),
        "zip: whole model": saved(_network()),
        "zip: made of others": saved(_composed()),
        "zip: views": saved(_views()),
        "zip: dtypes": saved({str(kind): torch.zeros(4, 2).to(kind) for kind in _DTYPES}),
        "zip: packed": _packed(saved(whole)),
        "legacy: state dict": saved({"epoch": 1, "state_dict": whole}, legacy=True),
        "legacy: whole model": saved(_network(), legacy=True),
        "legacy: made of others": saved(_composed(), legacy=True),
        "legacy: protocol 4": saved(whole, legacy=True, pickle_protocol=4),
        "pickle: arrays": pickle.dumps(_arrays(), 4),
        "pickle: arrays, protocol 2": pickle.dumps(_arrays(), 2),
        "pickle: text": pickle.dumps({"a": np.ones((2, 2), "f4"), "b": [1, 2.5, "x", b"y", None, True]}, 0),
        "pickle: tensors": pickle.dumps(dict(TENSORS), 4),
        "safetensors: state dict": save_safetensors(TENSORS, {"format": "pt", "title": "a title"}),
        "safetensors: dtypes": save_safetensors({str(kind): torch.zeros(4).to(kind) for kind in _DTYPES}),
        "npz: stored": _npz(np.savez),
        "npz: packed": _npz(np.savez_compressed),
        "npy: array": _npy(np.arange(24, dtype=">f4").reshape(4, 6).T),
        "npy: dict": _npy(np.array(_arrays(), dtype=object)),
        "torchscript: scripted": _scripted(frozen=False),
        "torchscript: frozen": _scripted(frozen=True),
        "torch tar: state dict": _torch_tar(),
        "gzip: legacy": gzip.compress(saved(whole, legacy=True)),
        "bzip2: zip": bz2.compress(saved(whole)),
        "xz: pickle": lzma.compress(pickle.dumps(_arrays(), 4)),
        "nested zip: two": zipped(
            {"a/model.pth": saved(whole), "b.safetensors": save_safetensors(TENSORS)}, packed=True
        ),
        "nested tar: two": tarred({"a/model.pth": saved(whole), "note.txt": b"a note", "b.npy": _npy(np.ones(3))}),
        "nested: tar in gzip": gzip.compress(tarred({"model.pth": saved(whole, legacy=True)})),
        "shards: safetensors": _shards(safetensors=True),
        "shards: bin": _shards(safetensors=False),
        "unpacked zip": _unpacked(saved(whole)),
    }
    distributed = _distributed(whole)
    return made | ({"distributed: two": distributed} if distributed else {})


_DTYPES = (torch.bfloat16, torch.float16, torch.complex64, torch.bool, torch.int8, torch.uint16, torch.float8_e4m3fn)


def _network() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 5))
    network.register_buffer("hidden", torch.ones(2), persistent=False)
    return network


def _training() -> dict[str, Any]:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    network(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    return {
        "epoch": 3,
        "pytorch-lightning_version": "2.1.0",
        "state_dict": network.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hyper_parameters": {"lr": 0.1, "layers": (1, 2), "name": "x"},
    }


def _composed() -> dict[str, Tensor]:
    eye = torch.eye(4)
    return {
        "coo": eye.to_sparse(),
        "hybrid": torch.ones(3, 2).to_sparse(1),
        "csr": eye.to_sparse_csr(),
        "csc": eye.to_sparse_csc(),
        "bsr": eye.to_sparse_bsr((2, 2)),
        "bsc": eye.to_sparse_bsc((2, 2)),
        "per tensor": torch.quantize_per_tensor(eye, 0.1, 3, torch.qint8),
        "per channel": torch.quantize_per_channel(eye, torch.ones(4) / 8, torch.zeros(4), 0, torch.quint8),
        "nested": torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)]),
        "conj": torch.ones(3, dtype=torch.complex64).conj(),
        "neg": torch.ones(3, dtype=torch.complex64).conj().imag,
        "meta": torch.empty(2, 3, device="meta"),
        "parameter": nn.Parameter(torch.ones(2)),
    }


def _views() -> dict[str, Tensor]:
    base = torch.arange(24.0).reshape(4, 6)
    return {
        "a": base,
        "t": base.t(),
        "s": base[1:3, ::2],
        "wide": torch.ones(1).expand(9, 9),
        "none": torch.empty(0, 3),
    }


def _arrays() -> dict[str, Any]:
    weights = {
        "w": np.arange(6, dtype="f4").reshape(2, 3),
        "f": np.asfortranarray(np.ones((2, 2))),
        "b": np.ones(2, ">i4"),
    }
    return {
        **weights,
        "names": np.array(["a", None], dtype=object),
        "score": np.float32(0.5),
        "more": {"x": np.ones(2, "f2")},
    }


def _npz(save: Any) -> bytes:
    file = io.BytesIO()
    save(file, w=np.ones((2, 3), "f4"), label=np.array("resnet"), objects=np.array([1, "x"], dtype=object))
    return file.getvalue()


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _scripted(frozen: bool) -> bytes:
    made = torch.jit.script(Net().eval())
    file = io.BytesIO()
    torch.jit.save(torch.jit.freeze(made) if frozen else made, file)
    return file.getvalue()


def _torch_tar() -> bytes:
    return tarred(Old({"state_dict": dict(TENSORS), "epoch": 3}).members)


def _unpacked(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def _packed(archive: bytes) -> bytes:
    return zipped(_unpacked(archive), packed=True)


def _shards(safetensors: bool) -> dict[str, bytes]:
    names = list(TENSORS)
    halves = [dict.fromkeys(names[:1]), dict.fromkeys(names[1:])]
    end = "safetensors" if safetensors else "bin"
    write = save_safetensors if safetensors else saved
    files = {
        f"model-0000{i}-of-00002.{end}": write({key: TENSORS[key] for key in half}) for i, half in enumerate(halves, 1)
    }
    where = {key: f"model-0000{i}-of-00002.{end}" for i, half in enumerate(halves, 1) for key in half}
    index = {"metadata": {"total_size": 448}, "weight_map": where}
    return {f"model.{end}.index.json": json.dumps(index).encode(), **files}


def _distributed(whole: Mapping[str, Tensor]) -> dict[str, bytes]:
    from torch.distributed.checkpoint.state_dict_saver import save

    with tempfile.TemporaryDirectory() as folder:
        save({"model": dict(whole), "epoch": 3}, checkpoint_id=folder, no_dist=True)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}
