"""Running the command line in process, and reading what it wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from ckpt_explorer.cli import main


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as strict JSON: NaN and Infinity are no numbers."""
        return json.loads(self.out, parse_constant=_no_number)


class Terminal:
    """A terminal that runs commands in this process."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self.capture = capture

    def run(self, *words: object) -> Ended:
        """Run one command."""
        self.capture.readouterr()
        status = main([str(word) for word in words])
        out, err = self.capture.readouterr()
        return Ended(status, out, err)

    def json(self, *words: object, status: int = 0) -> Any:
        """Run one command with `--json`, which ends with `status` and writes nothing to standard error."""
        ended = self.run(*words, "--json")
        assert (ended.status, ended.err) == (status, ""), ended.err
        return ended.json
