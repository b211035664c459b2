"""predict on folders and archives: every picture is answered, every bad one gets a line."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ckpt_explorer.examples import DIGITS, WEIGHTS, example_images, facts
from tests.cli.commands import Terminal
from tests.inference.corpus import zipped

AS_TRAINED = ("--preprocess", "digits")


@pytest.fixture
def by_digit(tmp_path: Path) -> Path:
    """Forty of the example's held-out pictures in a folder for each digit."""
    for path in example_images()[::9]:
        target = tmp_path / "digits" / DIGITS[facts()["images"][path.name]] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path / "digits"


def test_a_folder_and_a_zip_of_it_give_the_same_answers(terminal: Terminal, by_digit: Path, tmp_path: Path) -> None:
    members = {path.relative_to(by_digit).as_posix(): path.read_bytes() for path in sorted(by_digit.rglob("*.png"))}
    archive = tmp_path / "digits.zip"
    archive.write_bytes(zipped(members))
    of_folder = terminal.json("predict", WEIGHTS, by_digit, *AS_TRAINED)["predictions"]
    of_archive = terminal.json("predict", WEIGHTS, archive, *AS_TRAINED)["predictions"]
    assert {row["image"] for row in of_folder} == set(members)
    assert {row["image"]: row["top"][0]["index"] for row in of_folder} == {
        row["image"]: row["top"][0]["index"] for row in of_archive
    }


def test_a_bad_picture_in_a_folder_is_one_line_and_the_others_are_answered(terminal: Terminal, by_digit: Path) -> None:
    (by_digit / "one" / "broken.png").write_bytes(b"\x89PNG and no more")
    ended = terminal.run("predict", WEIGHTS, by_digit, *AS_TRAINED)
    assert ended.status == 1
    assert [line.split(" ")[0] for line in ended.err.splitlines()] == ["one/broken.png"]
    assert ended.out.count("output (1, 10)") == 40


def test_a_folder_without_a_picture_is_refused_in_a_sentence(terminal: Terminal, tmp_path: Path) -> None:
    ended = terminal.run("predict", WEIGHTS, tmp_path)
    assert ended.status == 2 and "There is no picture in" in ended.err


def test_the_folders_names_say_how_many_answers_are_right(terminal: Terminal, by_digit: Path) -> None:
    answer = terminal.json("predict", WEIGHTS, by_digit, *AS_TRAINED, "--labels", "digits", "--truth", "folders")
    accuracy = answer["accuracy"]
    assert accuracy["pictures"] == 40 and accuracy["right"] == 40 and accuracy["top1"] == 1.0
    assert [row["label"] for row in accuracy["per_class"]] == list(DIGITS)
    assert all(row["right"] == row["pictures"] for row in accuracy["per_class"])
    assert answer["diagnoses"] == [] and accuracy["class_order"] is None
    timing = answer["timing"]
    assert timing["pictures"] == 40 and timing["batch_size"] == 32
    assert 0 < timing["latency_ms"]["p50"] <= timing["latency_ms"]["p90"] <= timing["latency_ms"]["p99"]


def test_labels_in_alphabetical_order_are_suspected_and_the_order_of_training_is_named(
    terminal: Terminal, by_digit: Path
) -> None:
    answer = terminal.json("predict", WEIGHTS, by_digit, *AS_TRAINED, "--truth", "folders")
    assert answer["accuracy"]["top1"] < 0.5
    order = answer["accuracy"]["class_order"]
    assert [sorted(DIGITS)[index] for index in order["order"]] == list(DIGITS)
    (found,) = answer["diagnoses"]
    assert found["id"] == "S6" and found["says"].endswith("it is 100%")


def test_a_table_says_what_the_pictures_are(terminal: Terminal, by_digit: Path, tmp_path: Path) -> None:
    table = tmp_path / "truth.csv"
    rows = [f"{path.name},{facts()['images'][path.name]}" for path in sorted(by_digit.rglob("*.png"))]
    table.write_text("\n".join(["image,label", *rows]))
    ended = terminal.run("predict", WEIGHTS, by_digit, *AS_TRAINED, "--truth", table)
    assert ended.status == 0 and "40 of 40 right: 100.0%, among the first five 100.0%" in ended.out


def test_heat_maps_features_and_a_table_are_written(terminal: Terminal, by_digit: Path, tmp_path: Path) -> None:
    maps, features, table = tmp_path / "maps", tmp_path / "features.npz", tmp_path / "answers.csv"
    pictures = sorted((by_digit / "one").glob("*.png"))
    given = ("predict", WEIGHTS, *pictures, *AS_TRAINED)
    answer = terminal.json(*given, "--heatmap", maps, "--features", features, "--table", table)
    assert [row["image"] for row in answer["heat_maps"]] == [path.name for path in pictures]
    assert {(row["method"], row["stage"]) for row in answer["heat_maps"]} == {("CAM", "layer3")}
    for row in answer["heat_maps"]:
        with Image.open(maps / row["file"]) as shown:
            assert shown.mode == "RGB" and shown.size == Image.open(by_digit / "one" / row["image"]).size
    with np.load(features, allow_pickle=False) as kept:
        assert kept["features"].shape == (4, 64) and list(kept["images"]) == [path.name for path in pictures]
    with table.open(newline="", encoding="utf-8") as file:
        assert [row["class"] for row in csv.DictReader(file)] == ["1"] * 4
    of_stage = terminal.json(*given, "--heatmap", maps, "--stage", "layer1")
    assert {(row["method"], row["stage"]) for row in of_stage["heat_maps"]} == {("Grad-CAM", "layer1")}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--truth", "absent.csv"), "absent.csv can't be read"),
        (("--features", "out.pt"), "choose .npz or .safetensors"),
        (("--heatmap", "maps", "--stage", "layer9"), "no stage 'layer9'"),
        (("--precision", "int8"), "choose float16, bfloat16"),
    ],
)
def test_what_can_t_be_done_is_refused_in_a_sentence(
    terminal: Terminal, words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = terminal.run("predict", WEIGHTS, example_images()[0], *words)
    assert ended.status == 2 and says in ended.err and len(ended.err.splitlines()) == 1


def test_other_precisions_and_layouts_give_the_same_answers(terminal: Terminal, by_digit: Path) -> None:
    plain = terminal.json("predict", WEIGHTS, by_digit, *AS_TRAINED)
    other = terminal.json("predict", WEIGHTS, by_digit, *AS_TRAINED, "--precision", "bfloat16", "--channels-last")
    assert (other["timing"]["precision"], other["timing"]["channels_last"]) == ("bfloat16", True)
    same = [
        one["top"][0]["index"] == two["top"][0]["index"]
        for one, two in zip(plain["predictions"], other["predictions"], strict=True)
    ]
    assert sum(same) >= 39


@pytest.fixture
def two_copies(tmp_path: Path) -> Path:
    """The example beside a second copy whose last layer calls every zero a one, and the other way round."""
    weights = torch.load(WEIGHTS, weights_only=True)
    weights = weights.get("state_dict", weights)
    swapped = dict(weights)
    for key in ("fc.weight", "fc.bias"):
        swapped[key] = weights[key][[1, 0, *range(2, 10)]]
    file = tmp_path / "both.pth"
    torch.save({"state_dict": weights, "state_dict_ema": swapped}, file)
    return file


def test_two_copies_of_the_network_are_asked_side_by_side(terminal: Terminal, two_copies: Path, by_digit: Path) -> None:
    given = ("predict", two_copies, by_digit, *AS_TRAINED, "--labels", "digits", "--truth", "folders")
    answer = terminal.json(*given, "--state-dict", "state_dict", "--against", "state_dict_ema")
    against = answer["against"]
    assert (against["state_dict"], against["verdict"]) == ("state_dict_ema", "complete")
    zeros_and_ones = sum(row["pictures"] for row in answer["accuracy"]["per_class"] if row["label"] in ("zero", "one"))
    assert len(against["differ"]) == zeros_and_ones and against["pictures"] == 40
    assert against["right"] == [40, 40 - zeros_and_ones]
    assert all({row["first"]["index"], row["second"]["index"]} == {0, 1} for row in against["differ"])
    refused = terminal.run(*given, "--against", "nowhere")
    assert refused.status == 2 and "no other copy of the network called 'nowhere'" in refused.err
