"""Real weights: two published CIFAR ResNets give the answers that their own project's code gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.checkpoints import ROOT
from tests.cli.commands import Terminal

REAL = ROOT.parent / "shared" / "real"

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not here")


@pytest.mark.parametrize("name", ["resnet20-12fca82f.th", "resnet56-4bfd9763.th"])
def test_every_picture_gets_the_answer_and_the_probability_of_the_original(terminal: Terminal, name: str) -> None:
    expected = json.loads((REAL / "expected.json").read_text())
    images = [REAL / "images" / image for image in expected["images"]]
    assert len(images) == len(expected["predictions"][name]) >= 100
    steps = expected["preprocess"]
    mean, std = (",".join(map(str, steps[key])) for key in ("mean", "std"))
    answer = terminal.json(
        "predict",
        REAL / name,
        *images,
        "--labels",
        "cifar10",
        "--size",
        32,
        "--resize",
        32,
        "--mean",
        mean,
        "--std",
        std,
    )
    assert answer["verdict"] == "complete"
    assert answer["evidence"]["values"]["different"] == 0
    for given, wanted in zip(answer["predictions"], expected["predictions"][name], strict=True):
        best = given["top"][0]
        assert (best["index"], best["label"]) == (wanted["index"], wanted["label"]), given["image"]
        assert best["probability"] == pytest.approx(wanted["probability"], abs=1e-3), given["image"]


@pytest.mark.parametrize(
    ("name", "network"), [("resnet20-12fca82f.th", "resnet20_cifar_a"), ("resnet56-4bfd9763.th", "resnet56_cifar_a")]
)
def test_the_network_is_recognised_from_the_file_alone(terminal: Terminal, name: str, network: str) -> None:
    file: Path = REAL / name
    best = terminal.json("inspect", file)["architectures"][0]
    assert (best["name"], best["num_classes"], best["in_channels"]) == (network, 10, 3)
