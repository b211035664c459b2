"""Every screen in both themes and at two widths: nothing is cut off sideways, nothing fails, the first paint is early."""

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import NewTab
from tests.browser.server import running


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 900])
def test_every_screen_fits_its_window(new_tab: NewTab, width: int, scheme: str) -> None:
    tab = new_tab(width=width, scheme=scheme)
    shots = f"{scheme}-{width}"
    tab.no_sideways_scrolling()
    tab.click("open-renamed")
    tab.says("say-good-facts", "renamed")
    tab.no_sideways_scrolling()
    tab.aligns()
    tab.pictured(f"align-{shots}")
    tab.loads()
    tab.no_sideways_scrolling()
    tab.tries()
    tab.click("example-pictures-10")
    tab.answers(10)
    tab.pictured(f"predict-{shots}")
    assert tab.problems == []


def test_the_first_page_is_painted_before_pytorch_is_imported(new_tab: NewTab) -> None:
    with running() as server:
        tab = new_tab(url=server.url)
        tab.says("status", "PyTorch is being imported")
        tab.page.get_by_text("PyTorch 2.").wait_for()


def test_the_first_visit_of_a_fresh_server_at_a_pages_own_address_has_the_frame(browser: Browser) -> None:
    with running() as server:
        page = browser.new_page()
        page.goto(f"{server.url}/align")
        expect(page.get_by_role("link", name="2 Align")).to_be_visible(timeout=30_000)
        expect(page.locator("h1.room")).to_be_visible(timeout=30_000)
        page.close()
