"""The files that people really drop on the Open page: ten kinds, each written here, and harmless."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.checkpoints import small_resnet, small_resnet_state_dict

SIZE_OF_THE_REAL_FILE = 102_530_333


def saved(content: Any) -> bytes:
    """`content` as torch.save writes it."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def trained() -> dict[str, Any]:
    """What a training script saves: the weights, and everything beside them."""
    weights = small_resnet_state_dict()
    network = small_resnet()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    sum(parameter.sum() for parameter in network.parameters()).backward()  # type: ignore[union-attr]
    optimizer.step()
    return {
        "epoch": 42,
        "best_acc": 91.78,
        "state_dict": weights,
        "ema": {key: tensor.clone() for key, tensor in weights.items()},
        "optimizer": optimizer.state_dict(),
        "hyper_parameters": {
            "lr": 0.1,
            "batch_size": 128,
            "milestones": [30, 60, 90],
            "augment": {"flip": True, "crop": 4},
        },
        "classes": ["cat", "dog", "horse", "ship", "truck"],
    }


def checkpoint(folder: Path, name: str = "checkpoint_042.pth.tar") -> Path:
    """A training script's own file."""
    return written(folder, name, saved(trained()))


def lfs_pointer(folder: Path) -> Path:
    """What a clone without Git LFS has in the file's place."""
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'5c106cde' * 8}\nsize {SIZE_OF_THE_REAL_FILE}\n"
    return written(folder, "resnet50.pth", text.encode())


def web_page(folder: Path) -> Path:
    """What a download of an expired link leaves."""
    page = b"<!DOCTYPE html>\n<html><head><title>Google Drive - Quota exceeded</title></head><body>Sorry</body></html>"
    return written(folder, "model_best.pth.tar", page)


def cut_short(folder: Path) -> Path:
    """A download that broke off: the list of the archive's files was at its end."""
    whole = saved({"state_dict": small_resnet_state_dict(), "epoch": 7})
    return written(folder, "resnet_cut.pth", whole[: len(whole) * 6 // 10])


MARKER = "payload-was-run"
"""The file that the payload would write, where the server was started."""


def whole_model_with_payload(folder: Path) -> Path:
    """A model of a package that nobody has, and beside it a call that would write MARKER."""

    class Payload:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {MARKER}",)

    package, module = ModuleType("acme_vision"), ModuleType("acme_vision.models")
    kind = type("AcmeResNet", (nn.Module,), {"__module__": module.__name__})
    module.AcmeResNet = kind  # type: ignore[attr-defined]
    sys.modules.update({package.__name__: package, module.__name__: module})
    try:
        model = kind()
        for name, child in small_resnet().named_children():
            model.add_module(name, _by_name(child))
        return written(folder, "acme.pt", saved({"model": model, "on_load": Payload()}))
    finally:
        del sys.modules[package.__name__], sys.modules[module.__name__]


def _by_name(module: nn.Module) -> nn.Module:
    """The module with containers in the place of classes that torch does not have, so that it can be pickled anywhere."""
    if type(module).__module__.startswith("torch.") and not list(module.children()):
        return module
    container = nn.Sequential()
    for name, child in module.named_children():
        container.add_module(name, _by_name(child))
    return container


def torchscript(folder: Path) -> Path:
    """A traced network, which carries its code."""
    file = folder / "resnet_traced.pt"
    torch.jit.trace(small_resnet(), torch.zeros(1, 3, 32, 32)).save(str(file))  # type: ignore[no-untyped-call]
    return file


def tar_gz(folder: Path) -> Path:
    """A release as people publish them: a packed folder with the checkpoint and a word about it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in (
            ("release/README.txt", b"Trained for 200 epochs.\n"),
            ("release/resnet.pth", saved(small_resnet_state_dict())),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return written(folder, "release.tar.gz", packed.getvalue())


def zip_of_two(folder: Path) -> Path:
    """Two checkpoints in one archive: ten classes and three."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ten/model.pth", saved(small_resnet_state_dict(num_classes=10)))
        archive.writestr("three/model.pth", saved(small_resnet_state_dict(seed=1, num_classes=3)))
    return written(folder, "both.zip", packed.getvalue())


def shards(folder: Path) -> list[Path]:
    """A checkpoint in two safetensors files, with the index that says which key lies where."""
    weights = small_resnet_state_dict()
    keys = list(weights)
    parts = {
        "model-00001-of-00002.safetensors": keys[: len(keys) // 2],
        "model-00002-of-00002.safetensors": keys[len(keys) // 2 :],
    }
    for file, held in parts.items():
        save_file({key: weights[key] for key in held}, folder / file)
    index = {"metadata": {}, "weight_map": {key: file for file, held in parts.items() for key in held}}
    return [
        written(folder, "model.safetensors.index.json", json.dumps(index).encode()),
        *(folder / file for file in parts),
    ]


def npz(folder: Path) -> Path:
    """The weights as NumPy keeps them."""
    file = folder / "weights.npz"
    np.savez(file, allow_pickle=False, **{key: tensor.numpy() for key, tensor in small_resnet_state_dict().items()})
    return file


def misnamed(folder: Path) -> Path:
    """A safetensors file that somebody called .ckpt."""
    file = folder / "epoch=9.ckpt"
    save_file(small_resnet_state_dict(), file)
    return file


def damaged(folder: Path) -> Path:
    """A torch file with one bit of a weight turned, which torch.load does not notice."""
    whole = bytearray(saved(_three_layers()))
    whole[whole.index(b"\x00\x00\x80\x3f" * 64) + 2] ^= 1
    return written(folder, "flipped.pth", bytes(whole))


def _three_layers() -> dict[str, Tensor]:
    return {f"layer{number}.weight": torch.full((64, 64), float(number)) for number in (1, 2, 3)}


def written(folder: Path, name: str, data: bytes) -> Path:
    """The file `name` with `data` in it."""
    file = folder / name
    file.write_bytes(data)
    return file


TEN: dict[str, Callable[[Path], Path | list[Path]]] = {
    "lfs-pointer": lfs_pointer,
    "web-page": web_page,
    "cut-short": cut_short,
    "whole-model": whole_model_with_payload,
    "torchscript": torchscript,
    "tar-gz": tar_gz,
    "zip-of-two": zip_of_two,
    "shards": shards,
    "npz": npz,
    "misnamed": misnamed,
}
"""Each kind of file by a short name."""
