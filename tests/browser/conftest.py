"""One server and one Chromium for all journeys; every test has a tab of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.explorer import Explorer
from tests.browser.server import Server, running

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

NewTab = Callable[..., Explorer]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies here, and skip it without Chromium; in CI nothing is skipped."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")
            if not CHROMIUM.exists() and not os.environ.get("CI"):
                item.add_marker(pytest.mark.skip(reason="no /usr/bin/chromium: install Debian's package chromium"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def new_tab(browser: Browser, server: Server) -> Iterator[NewTab]:
    """Opens tabs, each in a browser context of its own: another person's, as far as the app can tell."""
    contexts = []

    def make(width: int = 1440, height: int = 1000, scheme: str = "light", url: str | None = None) -> Explorer:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
        )
        contexts.append(context)
        return Explorer(context.new_page(), url or server.url)

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def tab(new_tab: NewTab) -> Explorer:
    """One tab of 1440 by 1000 pixels."""
    return new_tab()
