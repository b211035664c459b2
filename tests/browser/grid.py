"""Grid: the key diff of one tab as a person uses it, by what stands on the screen."""

from __future__ import annotations

import json

from playwright.sync_api import Locator, expect

from tests.browser.explorer import Explorer


class Grid:
    """The key diff on the Align page."""

    def __init__(self, tab: Explorer) -> None:
        self.tab = tab
        self.page = tab.page
        self.root = tab.by_key("key-diff").locator(".diff")
        self.pane = self.root.locator(".pane")
        self.lines = self.root.locator(".port .line")
        self.query = self.root.locator(".query")
        self.counter = self.root.locator(".counter")
        self.offer = self.pane.locator(".offer").first

    def line(self, *texts: str) -> Locator:
        """The first line in sight that holds all of these texts, whole as they are told to a screen reader."""
        wanted = "".join(f"[aria-label*={json.dumps(text, ensure_ascii=False)}]" for text in texts)
        return self.root.locator(f".port .line{wanted}").first

    def status(self, word: str) -> Locator:
        """The count in the legend that filters by this status."""
        return self.root.locator(".legend .chip", has_text=word)

    def counts(self, **statuses: int) -> None:
        """Wait until the legend has these counts, by the first word of each status, and no other."""
        for word, count in statuses.items():
            expect(self.status(word).locator("b")).to_have_text(f"{count:,}")
        expect(self.root.locator(".legend .chip")).to_have_count(len(statuses) + 1)
        self.tab.idle()

    def selects(self, *texts: str) -> None:
        """Click on a line and wait until Python has said what it knows of it."""
        self.line(*texts).locator(".key").last.click()
        self.answered()

    def answered(self) -> None:
        """Wait until the pane says all there is to say."""
        expect(self.pane.locator(".waiting")).to_have_count(0)
        self.tab.idle()

    def searches(self, text: str) -> None:
        """Type into the search field."""
        self.query.fill(text)

    def focused(self) -> str:
        """What a screen reader is told of the line that has the focus."""
        script = "diff => diff.getRootNode().activeElement?.getAttribute('aria-label') ?? ''"
        return str(self.root.evaluate(script))

    def sideways(self) -> int:
        """Pixels by which the grid's lines are wider than the grid."""
        return int(self.root.locator(".port").evaluate("port => port.scrollWidth - port.clientWidth"))
