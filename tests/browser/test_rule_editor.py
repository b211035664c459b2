"""The rule editor in a browser: rules written wrong and taken back, typed without a page run, and by keyboard alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import NewTab
from tests.browser.explorer import Explorer
from tests.browser.server import running

STRIP, HEAD, SHORTCUT, NORM = SUGGESTED = [
    "strip prefix 'module.'",
    "rename 'classifier.' -> 'fc.'",
    "rename 'shortcut.' -> 'downsample.'",
    "rename 'norm{n}.' -> 'bn{n}.'",
]


@pytest.fixture
def renamed(tab: Explorer) -> Explorer:
    """The renamed example on the Align page."""
    return on_align(tab)


def on_align(tab: Explorer) -> Explorer:
    tab.click("open-renamed")
    tab.says("say-good-facts", "renamed")
    tab.aligns()
    tab.rules_are(SUGGESTED)
    return tab


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 900)])
def test_a_wrong_rule_says_its_collision_on_its_own_line_and_is_undone(
    new_tab: NewTab, scheme: str, width: int
) -> None:
    tab = on_align(new_tab(width=width, scheme=scheme))
    tab.writes_rule("bn1. -> bn2.", behind=4)
    complaint = tab.line(5).locator(".complaint")
    expect(complaint).to_contain_text("Rule 5 gives two keys one name")
    expect(complaint).to_contain_text("'module.layer1.0.norm1.weight' and 'module.layer1.0.norm2.weight'")
    expect(tab.line(5).locator(".note")).to_have_text("left out until it can be applied")
    tab.verdict_is("COMPLETE")
    tab.pictured("align-collision" if scheme == "light" else "align-collision-dark-900")
    tab.page.keyboard.press("Control+z")
    tab.rules_are(SUGGESTED)
    expect(tab.page.get_by_role("button", name="Redo: add rule 5")).to_be_visible()
    assert tab.problems == []


def test_typing_shows_what_would_be_without_a_run_of_the_page_and_escape_gives_it_back(renamed: Explorer) -> None:
    title = renamed.page.locator("h1.room").element_handle()
    renamed.page.evaluate("document.querySelector('h1.room').dataset.mark = 'the same'")
    renamed.line(2).locator(".text").click()
    field = renamed.rule_field.element_handle()
    renamed.page.keyboard.press("Control+a")
    renamed.page.keyboard.type("classifier. -> head", delay=30)
    expect(renamed.line(2).locator(".note")).to_contain_text("headweight")
    renamed.page.keyboard.type(".")
    expect(renamed.line(2).locator(".note")).to_have_text("classifier.weight → head.weight")
    expect(renamed.line(2).locator(".count")).to_have_text("2")
    renamed.verdict_is("COMPLETE")
    assert renamed.page.evaluate("([one, other]) => one === other.getRootNode().activeElement", [field, field])
    assert renamed.rule_field.evaluate("field => field.selectionStart") == len("classifier. -> head.")
    assert title and title.evaluate("title => title.isConnected && title.dataset.mark") == "the same"
    renamed.page.keyboard.press("Escape")
    renamed.rules_are(SUGGESTED)
    expect(renamed.line(2)).to_be_focused()


def test_rules_are_edited_moved_switched_duplicated_and_deleted_by_keyboard_alone(renamed: Explorer) -> None:
    keys = renamed.page.keyboard
    renamed.line(1).focus()
    for key in ("ArrowDown", "F2"):
        keys.press(key)
    keys.press("Control+a")
    keys.type("classifier. -> head.")
    keys.press("Enter")
    renamed.verdict_is("PARTIAL")
    expect(renamed.line(2)).to_be_focused()
    for key in ("Alt+ArrowUp", "Alt+ArrowDown", "Alt+ArrowDown"):
        keys.press(key)
    renamed.rules_are([STRIP, SHORTCUT, "rename 'classifier.' -> 'head.'", NORM])
    expect(renamed.line(3)).to_be_focused()
    keys.press("Control+d")
    renamed.rules(5)
    expect(renamed.line(4)).to_be_focused()
    keys.press("Space")
    expect(renamed.line(4).locator(".note")).to_have_text("switched off")
    keys.press("Delete")
    renamed.rules_are([STRIP, SHORTCUT, "rename 'classifier.' -> 'head.'", NORM])
    for key in ("Home", "Insert"):
        keys.press(key)
    keys.type("remove segment nothing")
    keys.press("Enter")
    assert renamed.rules(5)[1] == "remove segment 'nothing'"
    expect(renamed.line(2)).to_be_focused()
    for _ in range(8):
        keys.press("Control+z")
    renamed.rules_are(SUGGESTED)
    for _ in range(2):
        keys.press("Control+Shift+z")
    keys.press("Control+y")
    renamed.rules_are([STRIP, "rename 'classifier.' -> 'head.'", SHORTCUT, NORM])


def test_words_of_the_file_are_offered_and_taken_by_keyboard(renamed: Explorer) -> None:
    keys = renamed.page.keyboard
    renamed.page.locator(".rules .list > .rule").last.focus()
    keys.type("ren")
    keys.press("Tab")
    keys.type("class")
    expect(renamed.page.get_by_role("option", name="classifier.")).to_be_visible()
    keys.press("ArrowDown")
    keys.press("Enter")
    keys.type(" ")
    keys.press("Tab")
    keys.type("f")
    keys.press("Tab")
    expect(renamed.rule_field).to_have_value("rename classifier. -> fc.")
    keys.press("Enter")
    assert renamed.rules(5)[4] == HEAD


def test_a_rule_is_moved_by_drag_and_any_step_is_gone_back_to(renamed: Explorer) -> None:
    renamed.line(4).locator(".number").drag_to(renamed.line(1), target_position={"x": 60, "y": 4})
    renamed.rules_are([NORM, STRIP, HEAD, SHORTCUT])
    renamed.deletes_rule(3)
    renamed.verdict_is("PARTIAL")
    renamed.page.get_by_role("button", name="Start from nothing").click()
    renamed.verdict_is("INCOMPATIBLE")
    renamed.page.get_by_role("button", name="Steps (3)").click()
    renamed.page.get_by_role("button", name="move rule 4 up").click()
    renamed.rules_are([NORM, STRIP, HEAD, SHORTCUT])
    renamed.page.get_by_role("button", name="the rules as they were at first").click()
    renamed.rules_are(SUGGESTED)


def test_the_suggestion_is_taken_rule_by_rule(renamed: Explorer) -> None:
    renamed.page.get_by_role("button", name="Start from nothing").click()
    renamed.rules(0)
    for number, rule in enumerate((NORM, STRIP), 1):
        renamed.page.get_by_role("button", name=f"Add {rule}", exact=True).click()
        renamed.rules(number)
    renamed.rules_are([STRIP, NORM])
    renamed.page.get_by_role("button", name="Take the suggestion").click()
    renamed.rules_are(SUGGESTED)


def test_rules_go_out_as_a_file_and_come_back_and_what_is_wrong_stays(renamed: Explorer, tmp_path: Path) -> None:
    page = renamed.page
    page.get_by_role("button", name="Export").click()
    page.get_by_label("Form", exact=True).select_option("json")
    expect(page.locator(".export pre")).to_contain_text('"kind": "strip prefix"')
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    file = tmp_path / "rules.json"
    download.value.save_as(file)
    assert [rule["text"] for rule in json.loads(file.read_text())] == SUGGESTED
    page.get_by_role("button", name="Start from nothing").click()
    renamed.rules(0)
    page.get_by_role("button", name="Import").click()
    field = page.get_by_label("Rules, one a line or as JSON")
    field.fill("drop fc.\nbogus")
    page.get_by_role("button", name="Replace the list").click()
    expect(page.locator(".import .complaint")).to_contain_text("Rule 2: 'bogus' is no rule")
    expect(field).to_have_value("drop fc.\nbogus")
    page.get_by_label("A file of rules").set_input_files(file)
    renamed.rules_are(SUGGESTED)
    renamed.verdict_is("COMPLETE")


def test_rules_come_back_after_the_tab_was_reloaded_and_after_the_server_was_started_again(browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    with running() as server:
        tab = on_align(Explorer(context.new_page(), server.url))
        tab.deletes_rule(2)
        tab.verdict_is("PARTIAL")
        tab.page.reload()
        tab.page.goto(server.url)
        on_align(tab)
        offer = tab.page.locator(".memory")
        expect(offer).to_contain_text("You had 3 rules for this file on ")
        tab.pictured("align-rules-of-before")
        offer.get_by_role("button", name="Take them back").click()
        tab.rules_are([STRIP, SHORTCUT, NORM])
        expect(offer).to_be_hidden()
        tab.types_rule("drop ^nothing.")
        tab.rules(4)
        tab.page.close()
    with running(port=int(server.url.rsplit(":", 1)[1])) as again:
        tab = on_align(Explorer(context.new_page(), again.url))
        expect(tab.page.locator(".memory")).to_contain_text("You had 4 rules for this file on ")
        tab.page.locator(".memory").get_by_role("button", name="Forget").click()
        expect(tab.page.locator(".memory")).to_be_hidden()
        tab.rules_are(SUGGESTED)
        assert tab.page.evaluate("Object.keys(localStorage).filter(name => name.includes(':rules:')).length") == 1
        assert tab.problems == []
    context.close()


def test_steps_back_and_forth_faster_than_the_page_can_run_never_stop_it(renamed: Explorer) -> None:
    keys = renamed.page.keyboard
    for number in 3 * (2, 3, 4):
        renamed.line(number).focus()
        keys.press("Space")
        expect(renamed.line(number).locator(".note")).to_have_text("switched off")
        renamed.idle()
        renamed.page.wait_for_timeout(300)
        for key in ("Home", "Space", "Control+z", "Control+z"):
            keys.press(key)
        renamed.rules_are(SUGGESTED)
    renamed.verdict_is("COMPLETE")
    assert renamed.problems == []


def test_a_diff_whose_messages_are_gone_from_the_browser_gets_them_again(renamed: Explorer) -> None:
    renamed.page.evaluate("globalThis[Symbol.for('checkpoint-explorer.key-diff')].parts.clear()")
    renamed.line(2).focus()
    renamed.page.keyboard.press("Space")
    renamed.verdict_is("PARTIAL")
    expect(renamed.page.locator(".diff .legend .chip", has_text="missing").locator("b")).to_have_text("2")
    assert renamed.problems == []


@pytest.mark.parametrize("width", [1440, 900])
def test_a_choice_is_written_out_in_the_details_of_its_rule(new_tab: NewTab, width: int) -> None:
    tab = new_tab(width=width)
    tab.click("open-renamed")
    tab.says("say-good-facts", "renamed")
    tab.aligns()
    tab.writes_rule("{norm1|norm2}. -> {bn1|bn2}.", behind=4)
    line = tab.line(5)
    line.hover()
    line.get_by_role("button", name="why").click()
    expect(line.locator(".choices .text")).to_have_text(["norm1.", "→ bn1.", "norm2.", "→ bn2."])
    line.get_by_role("button", name="why").click()
    expect(line.locator(".choices")).to_have_count(0)
    assert tab.problems == []
