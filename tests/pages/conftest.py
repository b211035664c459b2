"""Tabs, and the small checkpoints that are opened in them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import streamlit
import torch
import torchvision  # noqa: F401  imported before the first page, so that no test waits for it
from torch import Tensor

from ckpt_explorer.ui import session
from ckpt_explorer.ui.operator import operator
from tests.checkpoints import small_resnet_state_dict
from tests.pages.tab import Tab


def saved(content: Any) -> bytes:
    """`content` as torch.save writes it."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.fixture(autouse=True)
def answers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page waits for its answers: nothing ticks in these tabs that would show them later."""
    monkeypatch.setattr("ckpt_explorer.ui.predict_run.AT_ONCE", 120.0)


@pytest.fixture
def new_tab() -> Iterator[Callable[[], Tab]]:
    """Opens tabs, and lets go of what they hold at the end."""
    tabs: list[Tab] = []

    def opened() -> Tab:
        tabs.append(Tab())
        return tabs[-1]

    operator.cache_clear()
    yield opened
    for tab in tabs:
        session._store.drop(tab.app.session_state["session"])
    operator.cache_clear()


@pytest.fixture
def tab(new_tab: Callable[[], Tab]) -> Tab:
    """A tab that was just opened."""
    return new_tab()


@pytest.fixture(scope="session")
def small_weights() -> dict[str, Tensor]:
    """A ResNet of 4 basic blocks, 8 channels wide, with 5 classes."""
    return small_resnet_state_dict()


@pytest.fixture(scope="session")
def small_file(small_weights: dict[str, Tensor]) -> bytes:
    """That ResNet in a dictionary, beside an epoch and an optimizer's state."""
    return saved({"state_dict": small_weights, "epoch": 7, "optimizer": {"lr": 0.1, "state": {}}})


@pytest.fixture
def renamed(tab: Tab) -> Tab:
    """The Align page with the example that needs four rules."""
    return tab.open_example("renamed").go("align")


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the download buttons would give, by key."""
    given: dict[str, Any] = {}
    button: Any = streamlit.download_button

    def recorded(label: str, data: Any, *rest: Any, key: str, **named: Any) -> Any:
        given[key] = data
        return button(label, data, *rest, key=key, **named)

    monkeypatch.setattr(streamlit, "download_button", recorded)
    return given
