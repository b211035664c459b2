"""verify: exit 1 when anything is doubted, with its name; exit 0 for a whole file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ckpt_explorer.examples import WEIGHTS, example_images
from tests.cli.commands import Terminal

IMAGES = [path for path in example_images() if path.stem.endswith(("3", "7"))][:40]
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def weights() -> Weights:
    found: Weights = dict(torch.load(WEIGHTS, weights_only=True)["state_dict"])
    return found


def test_a_whole_file_is_not_doubted_with_pictures_and_without(terminal: Terminal) -> None:
    answer = terminal.json("verify", WEIGHTS, *IMAGES)
    assert answer["doubts"] == []
    assert (answer["health"], answer["two_seeds"]) == ([], {"same": True, "random": []})
    assert answer["batchnorm"]["first_doubted"] is None
    assert set(answer["batchnorm"]["layers"][0]) >= {"name", "mean_z", "log_variance_gap"}
    assert answer["preprocess"]["used"] == "digits"
    assert "none" not in answer["preprocess"]["group"] and "bytes" not in answer["preprocess"]["group"]
    alone = terminal.json("verify", WEIGHTS)
    assert alone["doubts"] == []
    assert not {"batchnorm", "preprocess"} & set(alone)


def test_half_precision_is_not_doubted(terminal: Terminal, tmp_path: Path, weights: Weights) -> None:
    file = tmp_path / "half.pth"
    torch.save({key: value.half() if value.is_floating_point() else value for key, value in weights.items()}, file)
    assert terminal.json("verify", file, *IMAGES[:8])["doubts"] == []


def with_nan(tensor: Tensor) -> Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[0] = float("nan")
    return tensor


CONV, NORM = "layer2.1.conv1.weight", "layer2.1.bn1"


@pytest.mark.parametrize(
    ("key", "change", "named"),
    [
        (CONV, lambda w: w[torch.arange(len(w)).roll(7)], NORM),
        (CONV, lambda w: w / 2, NORM),
        (CONV, lambda w: torch.randn(w.shape, generator=torch.Generator().manual_seed(0)) * w.std(), NORM),
        (CONV, with_nan, CONV),
        (CONV, torch.zeros_like, CONV),
        (f"{NORM}.running_var", lambda v: -v, f"{NORM}.running_var"),
        (f"{NORM}.running_mean", torch.zeros_like, f"{NORM}.running_mean"),
        ("conv1.weight", lambda w: w[torch.arange(len(w)).roll(7)], "bn1"),
    ],
)
def test_one_spoilt_tensor_is_named(
    terminal: Terminal, tmp_path: Path, weights: Weights, key: str, change: Callable[[Tensor], Tensor], named: str
) -> None:
    torch.save({**weights, key: change(weights[key])}, tmp_path / "spoilt.pth")
    answer = terminal.json("verify", tmp_path / "spoilt.pth", *IMAGES[:16], status=1)
    assert any(named in doubt["says"] for doubt in answer["doubts"]), answer["doubts"]
    assert all(doubt["id"] and doubt["next"] for doubt in answer["doubts"])


@pytest.mark.parametrize(
    ("lost", "named"), [(".running_", "running statistics are not in the file"), ("fc.", "fc.weight")]
)
def test_what_the_file_lacks_is_named(
    terminal: Terminal, tmp_path: Path, weights: Weights, lost: str, named: str
) -> None:
    torch.save({key: value for key, value in weights.items() if lost not in key}, tmp_path / "lacks.pth")
    answer = terminal.json("verify", tmp_path / "lacks.pth", *IMAGES[:16], status=1)
    assert any(named in doubt["says"] for doubt in answer["doubts"]), answer["doubts"]


@pytest.mark.parametrize("words", [("--preprocess", "bytes"), ("--mean", "0.1307", "--std", "0.1")])
def test_pictures_that_are_prepared_otherwise_are_the_fault_of_the_preparation(terminal: Terminal, words: Any) -> None:
    answer = terminal.json("verify", WEIGHTS, *IMAGES[:16], *words, status=1)
    assert [doubt["id"] for doubt in answer["doubts"]] == ["S4"]
    assert "--preprocess digits" in answer["doubts"][0]["next"]


def test_the_text_asks_what_a_doubter_asks_in_that_order(terminal: Terminal) -> None:
    ended = terminal.run("verify", WEIGHTS, *IMAGES[:8])
    assert ended.status == 0
    asked = ["Values:", "Health:", "Two seeds:", "Wiring:", "BatchNorm self-check:", "Doubts"]
    assert sorted(asked, key=ended.out.index) == asked
    assert ended.out.count("It can't see") >= 4


def test_predict_auto_takes_what_fits_and_says_so(terminal: Terminal) -> None:
    answer = terminal.json("predict", WEIGHTS, *IMAGES[:16], "--preprocess", "auto")
    assert answer["preprocess"]["mean"] == [0.5]
    assert answer["preprocess"]["auto"]["used"] == "digits"


def test_predict_auto_says_how_much_hangs_on_the_choice(terminal: Terminal) -> None:
    answer = terminal.json("predict", WEIGHTS, *IMAGES[:16], "--preprocess", "auto", "--agreement")
    assert answer["preprocess"]["auto"]["sizes"]["kept"] == "32 px"
    (row,) = answer["preprocess"]["agreement"]
    assert row["pictures"] == 16 and 0 <= row["same"] <= 16
