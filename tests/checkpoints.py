"""Small networks, and the files that tests write of them: real checkpoints, as torch.save and safetensors write them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ckpt_explorer.architectures import Architecture, architecture
from ckpt_explorer.architectures.architecture import ModelTensor
from ckpt_explorer.checkpoint import StateDict, TensorInfo
from ckpt_explorer.reading.storages import MadeStorage

ROOT = Path(__file__).resolve().parent.parent

SMALL: dict[str, Any] = {
    "block": "basic",
    "blocks": (1, 2, 1),
    "width": 8,
    "stem_kernel": 3,
    "stem_stride": 1,
    "max_pool": False,
}
"""Options of a custom ResNet of 4 basic blocks with 8, 16 and 32 channels: 23,000 parameters, 32x32 pixels."""


def small_architecture(num_classes: int = 5, **options: Any) -> Architecture:
    """The small network as an Architecture."""
    return architecture("custom", num_classes=num_classes, options={**SMALL, **options})


def trained(module: nn.Module, seed: int = 0) -> nn.Module:
    """`module` in eval mode with BatchNorm weights and statistics that are not those of a fresh one."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert (
                part.running_mean is not None and part.running_var is not None and part.num_batches_tracked is not None
            )
            part.running_mean.copy_(torch.randn(part.num_features, generator=generator) / 4)
            part.running_var.copy_(torch.rand(part.num_features, generator=generator) + 0.5)
            part.num_batches_tracked.fill_(100)
            with torch.no_grad():
                part.weight.copy_(torch.rand(part.num_features, generator=generator) + 0.5)
    return module.eval()


def network(target: Architecture, seed: int = 0) -> nn.Module:
    """The network of `target` with weights of its own and lived-in statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return trained(target.builder()(), seed)


def small_resnet(seed: int = 0, num_classes: int = 5) -> nn.Module:
    """The small network as a module."""
    return network(small_architecture(num_classes), seed)


def small_resnet_state_dict(seed: int = 0, num_classes: int = 5) -> dict[str, Tensor]:
    """The small network's weights by key."""
    return dict(small_resnet(seed, num_classes).state_dict())


def add_prefix(prefix: str, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors with `prefix` in front of every key."""
    return {prefix + key: tensor for key, tensor in state_dict.items()}


def write_checkpoint(folder: Path, content: Any, name: str = "model.pth") -> Path:
    """`content` as torch.save writes it."""
    file = folder / name
    torch.save(content, file)
    return file


def write_safetensors(folder: Path, state_dict: Mapping[str, Tensor], name: str = "model.safetensors") -> Path:
    """`state_dict` as safetensors writes it."""
    from safetensors.torch import save_file

    file = folder / name
    save_file(dict(state_dict), file)
    return file


def write_class(folder: Path, source: str, name: str = "my_net.py") -> Path:
    """A Python file of the user's own; torch, nn and the small network's own parts are imported in it."""
    file = folder / name
    file.write_text(f"import torch\nfrom torch import nn\n\n{source}", encoding="utf-8")
    return file


def described(tree: Mapping[str, ModelTensor | tuple[int, ...]], prefix: str = "", path: str = "") -> StateDict:
    """A state dict of these keys and shapes that has no weights: for what keys and shapes alone decide."""
    infos = {}
    for key, wanted in tree.items():
        shape, dtype = (wanted.shape, wanted.dtype) if isinstance(wanted, ModelTensor) else (wanted, "float32")
        infos[prefix + key] = TensorInfo(prefix + key, shape, dtype, _strides(shape), 0, MadeStorage(key, 0, _no_bytes))
    return StateDict(path, infos)


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[position + 1 :]) for position in range(len(shape)))


def _no_bytes() -> memoryview:
    raise AssertionError("keys and shapes decide: no tensor may be read")


def in_new_process(
    *words: str, cwd: Path = ROOT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`python WORDS...` in a process of its own, with its output as text."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=120,
        check=False,
    )
