"""The terminal that the command line's tests use."""

from __future__ import annotations

import pytest

from tests.cli.commands import Terminal


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A terminal in this process."""
    return Terminal(capsys)
