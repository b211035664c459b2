"""The app as a person uses it: what they click, type and read, by the words on the page."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as NotThereInTime

SCREENSHOTS = Path(__file__).parent / "screenshots"
RENEW = os.environ.get("RENEW_SCREENSHOTS") == "1"
PATIENCE = 60_000
"""Milliseconds to wait for a page: the first that needs PyTorch waits for its import."""


class Explorer:
    """One browser tab with the app in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.goto(url)
        self.sees("Open a checkpoint")

    # ---------------------------------------------------------------- reading

    def by_key(self, key: str) -> Locator:
        """The element whose key is `key`."""
        return self.page.locator(f".st-key-{key}")

    def idle(self) -> None:
        """Wait until the script has run."""
        self.page.wait_for_selector(
            '[data-testid="stApp"][data-test-connection-state="CONNECTED"][data-test-script-state="notRunning"]'
        )
        assert self.page.locator('[data-testid="stException"]').count() == 0, self.page.locator(
            '[data-testid="stException"]'
        ).all_inner_texts()

    def sees(self, text: str) -> None:
        """Wait for `text` somewhere on the page."""
        expect(self.page.get_by_text(text).first).to_be_visible()
        self.idle()

    def does_not_see(self, text: str) -> None:
        """`text` is nowhere on the page."""
        expect(self.page.get_by_text(text)).to_have_count(0)

    def says(self, key: str, text: str) -> None:
        """Wait until the element `key` holds `text`."""
        expect(self.by_key(key).first).to_contain_text(text)
        self.idle()

    def verdict_is(self, badge: str) -> None:
        """Wait until the badge says `badge`."""
        expect(self.page.locator(".st-key-verdict .badge")).to_contain_text(badge)
        self.idle()

    def rules(self, count: int) -> list[str]:
        """The rules as they stand in the list, once there are `count`."""
        expect(self.lines).to_have_count(count)
        self.idle()
        return [text.replace(" → ", " -> ") for text in self.lines.locator(".text").all_text_contents()]

    def rules_are(self, rules: Sequence[str]) -> None:
        """Wait until these rules stand in the list, and no others."""
        expect(self.lines).to_have_count(len(rules))
        expect(self.lines.locator(".text")).to_have_text([rule.replace(" -> ", " → ") for rule in rules])
        self.idle()

    @property
    def lines(self) -> Locator:
        """The rules' lines, without the one for a new rule."""
        return self.page.locator(".rules .list > .rule:not(.is-fresh)")

    def line(self, number: int) -> Locator:
        """The line of rule `number`, from 1."""
        return self.page.locator(".rules .list > .rule").nth(number - 1)

    @property
    def rule_field(self) -> Locator:
        """The field in which a rule is being written."""
        return self.page.locator(".rules .editor input")

    def rule_count(self) -> int:
        """How many rules stand in the list now."""
        self.idle()
        return self.lines.count()

    def answers(self, count: int) -> list[str]:
        """The text of each answer's card, once there are `count`."""
        expect(self.page.locator('[class*="st-key-answer-"]')).to_have_count(count)
        self.idle()
        return self.page.locator('[class*="st-key-answer-"]').all_inner_texts()

    # ---------------------------------------------------------------- doing

    def click(self, key: str) -> None:
        """Click the button `key`."""
        self.by_key(key).locator("button").first.click()

    def goes_to(self, title: str) -> None:
        """Choose a page in the sidebar."""
        self.page.get_by_role("link", name=title).click()
        expect(self.page.locator("h1.room")).to_have_text({"1 Open": "Open a checkpoint"}.get(title, title[2:]))
        self.idle()

    def drops(self, files: str | Path | Sequence[str | Path], key: str = "checkpoint") -> None:
        """Give files to the uploader whose key begins with `key`."""
        field = self.page.locator(f'[class*="st-key-{key}-"] input[type=file]')
        field.first.set_input_files([str(file) for file in ([files] if isinstance(files, str | Path) else files)])

    def types(self, key: str, text: str) -> None:
        """Fill a field and press Enter."""
        field = self.by_key(key).locator("input, textarea").first
        field.fill(text)
        field.press("Control+Enter" if self.by_key(key).locator("textarea").count() else "Enter")

    def chooses(self, key: str, option: str) -> None:
        """Choose an option of a select box by a part of its text; long lists are filtered by typing."""
        self.idle()
        field = self.by_key(key).locator("input").first
        wanted = self.page.get_by_role("option").filter(has_text=option).first
        for _ in range(4):  # a run of the page that ends meanwhile closes the list: a person opens it again
            field.click()
            field.fill(option)
            with contextlib.suppress(NotThereInTime):
                wanted.click(timeout=8_000)
                return
        raise AssertionError(f"{key} does not offer {option}")

    def writes_rule(self, text: str, behind: int) -> None:
        """Write a rule by hand behind so many others, and wait until it stands in the list."""
        self.rules(behind)
        self.types_rule(text)
        self.rules(behind + 1)

    def types_rule(self, text: str, number: int | None = None) -> None:
        """Type a rule and press Enter: in place of rule `number`, or as a new one."""
        line = self.page.locator(".rules .list > .rule").last if number is None else self.line(number)
        line.locator(".text").click()
        self.rule_field.fill(text)
        self.rule_field.press("Enter")

    def deletes_rule(self, number: int) -> None:
        """Delete rule `number`, from 1."""
        self.line(number).hover()
        self.line(number).get_by_role("button", name="Delete").click()

    def undoes(self) -> None:
        """Press the button that takes the last step back."""
        self.page.locator(".rules").get_by_role("button", name="Undo").click()

    def aligns(self) -> None:
        """From Open to Align."""
        self.click("next")
        expect(self.page.locator(".st-key-verdict")).to_be_visible()
        self.idle()

    def loads(self) -> None:
        """From Align to Load, and load as proposed."""
        self.click("next")
        expect(self.by_key("load")).to_be_visible()
        self.idle()
        self.click("load")
        self.says("say-good-values", "bit for bit")

    def tries(self) -> None:
        """From Load to Predict."""
        self.click("next")
        self.sees("Preprocessing")

    def no_sideways_scrolling(self) -> None:
        """The page is not wider than its window."""
        wide = self.page.evaluate(
            "document.querySelector('[data-testid=stMain]').scrollWidth - document.querySelector('[data-testid=stMain]').clientWidth"
        )
        assert wide <= 0, f"{wide} pixels too wide"

    def pictured(self, name: str) -> None:
        """Keep a screenshot for the README, when they are being renewed (RENEW_SCREENSHOTS=1)."""
        self.idle()
        self.no_sideways_scrolling()
        if RENEW:
            self.page.wait_for_timeout(1200)  # tables are drawn on a canvas, some frames after their data came
            SCREENSHOTS.mkdir(exist_ok=True)
            self.page.screenshot(path=SCREENSHOTS / f"{name}.png")
