"""Networks as narrow as a gate: a map of two channels is taken for one, so that no block is whole, and that is no crash."""

from __future__ import annotations

from pathlib import Path

import torch

from ckpt_explorer import open_checkpoint, propose
from ckpt_explorer.key_pair import Verdict


def layer(name: str, norm: str, outputs: int, inputs: int, kernel: int) -> dict[str, torch.Tensor]:
    """A conv and its BatchNorm."""
    leaves = ("weight", "bias", "running_mean", "running_var")
    return {
        f"{name}.weight": torch.rand(outputs, inputs, kernel, kernel),
        **{f"{norm}.{leaf}": torch.rand(outputs) for leaf in leaves},
    }


def test_blocks_of_two_channels_behind_a_wide_stem_are_refused_and_do_not_crash(tmp_path: Path) -> None:
    weights = layer("conv1", "bn1", 64, 1, 7)
    before = 64
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            root = f"layer{stage}.{block}"
            weights |= layer(f"{root}.conv1", f"{root}.bn1", 2, before, 3)
            weights |= layer(f"{root}.conv2", f"{root}.bn2", 2, 2, 3)
            if block == 0:
                weights |= layer(f"{root}.downsample.0", f"{root}.downsample.1", 2, before, 1)
            before = 2
    weights |= {"fc.weight": torch.rand(10, 2), "fc.bias": torch.rand(10)}
    file = tmp_path / "narrow.pth"
    torch.save(weights, file)
    assert propose(open_checkpoint(file)).alignment.verdict is Verdict.INCOMPATIBLE
