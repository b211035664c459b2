"""A bounded run of the fuzzer: the same mutants every time, and some that are new every day."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from tests.fuzz.campaign import run
from tests.fuzz.corpus import corpus
from tests.fuzz.opening import tried

FIXED = 7
SECONDS = 45.0
TODAY = int(datetime.datetime.now(datetime.UTC).strftime("%Y%m%d"))


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CKPT_MARKER_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("marks")
@pytest.mark.filterwarnings("ignore")
def test_every_honest_file_opens_with_a_state_dict() -> None:
    for name, files in corpus().items():
        outcome = tried(files, "model.pth")
        assert outcome.opened, name
        assert outcome.wrong == "" or outcome.wrong.startswith("imported"), name


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [FIXED, TODAY])
def test_no_damaged_file_ends_in_anything_but_a_sentence(seed: int, tmp_path: Path) -> None:
    print(f"\nseed {seed}")
    figures = run(seed, SECONDS, keep=tmp_path / "findings")
    print(figures)
    kept = "\n\n".join(file.read_text(encoding="utf-8") for file in (tmp_path / "findings").glob("*.txt"))
    assert not figures.failures, f"seed {seed}: {figures.failures}\n{kept}"
    assert sum(figures.mutants.values()) > 100
