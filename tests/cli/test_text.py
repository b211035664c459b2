"""What a person reads in the terminal, compared with the texts under tests/golden/."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.checkpoints import add_prefix, small_resnet_state_dict, write_checkpoint, write_safetensors
from tests.cli.commands import Terminal

Golden = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run where the files are, so that no path of this machine is in the text."""
    monkeypatch.chdir(tmp_path)


def test_inspect_reads_like_this(terminal: Terminal, tmp_path: Path, golden: Golden) -> None:
    write_safetensors(tmp_path, add_prefix("module.", small_resnet_state_dict()), "small.safetensors")
    ended = terminal.run("inspect", "small.safetensors")
    assert (ended.status, ended.err) == (0, "")
    golden("inspect.txt", ended.out)


def test_an_alignment_that_fits_reads_like_this(terminal: Terminal, tmp_path: Path, golden: Golden) -> None:
    weights = {key.replace("fc.", "classifier."): value for key, value in small_resnet_state_dict().items()}
    write_checkpoint(tmp_path, {"state_dict": add_prefix("module.", weights), "epoch": 3})
    ended = terminal.run("align", "model.pth")
    assert (ended.status, ended.err) == (0, "")
    golden("align_complete.txt", ended.out)


def test_an_alignment_that_does_not_fit_reads_like_this(terminal: Terminal, tmp_path: Path, golden: Golden) -> None:
    weights = {**small_resnet_state_dict(), "layer1.0.se.fc1.weight": torch.zeros(2, 8), "queue": torch.zeros(4)}
    weights["bn1.weight"] = weights["bn1.weight"].double()
    del weights["layer3.0.conv2.weight"]
    write_checkpoint(tmp_path, weights)
    ended = terminal.run("align", "model.pth", "--arch", "custom", "--num-classes", "7")
    assert (ended.status, ended.err) == (1, "")
    golden("align_incompatible.txt", ended.out)
