"""predict on folders and archives: every picture is answered, every bad one gets a line."""

from __future__ import annotations

from pathlib import Path

import pytest

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
