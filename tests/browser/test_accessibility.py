"""axe-core over every page in its main states, light and dark, wide and narrow: nothing serious is found.

What is Streamlit's own and can't be changed from here is listed by rule and selector, with the reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import axe_playwright_python
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import NewTab
from tests.browser.explorer import Explorer

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
SEVERE = ("serious", "critical")


class Foreign(NamedTuple):
    """A finding in what Streamlit itself draws: its rule, a text that is in the element's selector, and why it stands."""

    rule: str
    inside: str
    why: str


FOREIGN: tuple[Foreign, ...] = (
    Foreign(
        "image-alt",
        "/media/",
        "st.image takes no alternative text, and a caption is Markdown, which no file name may reach; name and answer stand beside",
    ),
)


def severe(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical and not listed: rule, place and what is wrong."""
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    lines = []
    for violation in found["violations"]:
        for node in violation["nodes"]:
            place = " ".join(" ".join(part) if isinstance(part, list) else part for part in node["target"])
            foreign = any(row.rule == violation["id"] and row.inside in place + node["html"] for row in FOREIGN)
            if (node.get("impact") or violation["impact"]) in SEVERE and not foreign:
                summary = " ".join(node["failureSummary"].split())
                lines.append(f"{violation['id']} at {place}: {summary} {node['html'][:200]}")
    return lines


def settled(tab: Explorer) -> list[str]:
    """The findings once the page stands still."""
    tab.idle()
    tab.page.wait_for_timeout(300)
    return severe(tab.page)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 900)])
def test_nothing_serious_is_found_on_any_page(new_tab: NewTab, scheme: str, width: int) -> None:
    tab = new_tab(width=width, scheme=scheme)
    found = {"open, empty": settled(tab)}
    tab.click("open-renamed")
    tab.says("say-good-facts", "renamed")
    found["open"] = settled(tab)
    tab.aligns()
    tab.page.locator(".st-key-network-map .barlayer").wait_for()
    found["align"] = settled(tab)
    tab.click("compare")
    tab.says("comparison", "against it")
    found["align, comparing"] = settled(tab)
    tab.by_key("network-options").locator("button").first.click()
    tab.page.get_by_label("Classes").wait_for()
    found["align, options"] = settled(tab)
    tab.page.keyboard.press("Escape")
    tab.loads()
    found["load"] = settled(tab)
    tab.tries()
    found["predict"] = settled(tab)
    tab.click("example-pictures-10")
    tab.answers(10)
    found["predict, answered"] = settled(tab)
    assert {page: lines for page, lines in found.items() if lines} == {}
