"""The key diff in Chromium: a file is mended in it by mouse and by keyboard, one key of very many is found, nothing jumps."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest
import torch
from playwright.sync_api import expect

from tests.browser.conftest import NewTab
from tests.browser.explorer import Explorer
from tests.browser.grid import Grid
from tests.checkpoints import small_resnet_state_dict, write_checkpoint

REAL = Path(__file__).parents[3] / "shared" / "real"
LOOKS = [("light", 1440), ("dark", 900)]


def at_align(tab: Explorer, file: Path) -> Grid:
    tab.drops(file)
    tab.says("say-good-facts", file.name)
    tab.aligns()
    return Grid(tab)


def renamed_example(tab: Explorer) -> Grid:
    tab.click("open-renamed")
    tab.says("say-good-facts", "renamed")
    tab.aligns()
    return Grid(tab)


def from_nothing(grid: Grid) -> None:
    grid.page.get_by_role("button", name="Start from nothing").click()
    grid.tab.rules(0)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_a_renamed_file_is_mended_from_nothing_by_one_pair_and_what_is_like_it(
    new_tab: NewTab, scheme: str, width: int
) -> None:
    tab = new_tab(width=width, scheme=scheme)
    grid = renamed_example(tab)
    grid.counts(matched=128)
    from_nothing(grid)  # the first action
    grid.counts(missing=128, unexpected=128)
    grid.selects("layer1.{0..2}", "bn1.weight")  # the second
    expect(grid.offer).to_contain_text("Make these 2 rules: this key and the 113 others of its form")
    tab.pictured(f"diff-offer-{scheme}-{width}")
    assert grid.sideways() == 0
    grid.offer.click()  # the third
    grid.counts(matched=114, missing=14, unexpected=14)
    expect(grid.pane).to_contain_text("layer2.0.downsample.0.weight")
    grid.answered()
    grid.offer.click()  # the fourth
    grid.counts(matched=126, missing=2, unexpected=2)
    grid.answered()
    grid.offer.click()  # the fifth
    tab.verdict_is("COMPLETE")
    grid.counts(matched=128)
    assert len(tab.rules(4)) == 4
    assert tab.problems == []


def test_the_same_is_done_by_the_keyboard_alone(tab: Explorer) -> None:
    grid = renamed_example(tab)
    from_nothing(grid)
    grid.counts(missing=128, unexpected=128)
    keyboard = tab.page.keyboard
    for _ in range(60):
        keyboard.press("Tab")
        if "conv1, bn1" in grid.focused():
            break
    keyboard.press("n")
    assert "conv1.weight" in grid.focused()
    for _ in range(8):
        keyboard.press("ArrowDown")
    assert "3 missing; in the file: nothing; in the network: layer1.{0..2}.bn1.weight" in grid.focused()
    keyboard.press("Enter")
    grid.answered()
    keyboard.press("Enter")
    expect(grid.offer).to_be_focused()
    keyboard.press("Enter")
    grid.counts(matched=114, missing=14, unexpected=14)
    for left in (2, 0):
        grid.answered()
        expect(grid.offer).to_be_focused()
        keyboard.press("Enter")
        if left:
            grid.counts(matched=126, missing=2, unexpected=2)
    tab.verdict_is("COMPLETE")


def test_the_proposed_rules_are_taken_where_the_screen_says_what_is_wrong(tab: Explorer) -> None:
    grid = renamed_example(tab)
    expect(grid.pane).to_contain_text("Nothing is wrong")
    from_nothing(grid)
    expect(grid.pane).to_contain_text("The names differ.")
    grid.pane.get_by_role("button", name="Take the 4 proposed rules").click()
    tab.verdict_is("COMPLETE")


def test_two_rows_are_paired_by_drag_and_by_p(new_tab: NewTab) -> None:
    tab = new_tab(height=1700)
    grid = renamed_example(tab)
    from_nothing(grid)
    grid.counts(missing=128, unexpected=128)
    for label in ("layer1", "layer2", "layer3", "module.layer1", "module.layer2"):
        grid.root.locator(".line.group", has=tab.page.locator("b", has_text=label)).first.click()
    grid.line("module.norm1.weight").drag_to(grid.line("bn1.weight", "missing"))
    expect(grid.pane).to_contain_text("A pair made by hand")
    grid.answered()
    expect(grid.offer).to_contain_text("Make this rule")
    grid.selects("bn1.running_mean", "missing")
    tab.page.keyboard.press("p")
    expect(grid.root.locator(".banner")).to_contain_text("Choose the row to pair it with")
    assert "unexpected" in grid.focused()
    grid.line("module.norm1.running_mean").locator(".key").first.click()
    expect(grid.pane).to_contain_text("A pair made by hand")
    grid.answered()
    expect(grid.pane.locator(".fact").first).to_contain_text("module.norm1.running_mean")


def test_a_rule_that_is_being_typed_lights_the_rows_that_it_touches_and_nothing_is_in_force(tab: Explorer) -> None:
    grid = renamed_example(tab)
    tab.line(4).locator(".text").first.click()
    tab.rule_field.fill("rename norm{n}. -> nrm{n}.")
    expect(grid.root.locator(".banner")).to_contain_text("Preview")
    expect(grid.status("missing").locator("b")).to_have_text("95")
    expect(grid.root.locator(".line.lit").first).to_be_visible()
    tab.pictured("diff-preview")
    tab.rule_field.press("Escape")
    grid.counts(matched=128)
    tab.verdict_is("COMPLETE")


def test_counts_filter_groups_fold_and_all_of_it_outlives_a_visit_to_another_page(tab: Explorer) -> None:
    grid = renamed_example(tab)
    from_nothing(grid)
    grid.counts(missing=128, unexpected=128)
    grid.status("unexpected").click()
    expect(grid.line("module.conv1.weight")).to_be_visible()
    expect(grid.line("missing; in the file")).to_have_count(0)
    grid.line("module.conv1, module.norm1").click()
    expect(grid.line("module.conv1.weight")).to_have_count(0)
    tab.goes_to("1 Open")
    tab.goes_to("2 Align")
    expect(grid.status("unexpected")).to_have_attribute("aria-pressed", "true")
    expect(grid.line("module.layer1")).to_be_visible()
    expect(grid.line("module.conv1.weight")).to_have_count(0)


def fifty_thousand(folder: Path) -> Path:
    """50,000 small tensors, as safetensors."""
    names = [f"encoder.stages.{at // 5000}.blocks.{at // 10 % 500}.conv{at % 10}.weight" for at in range(50_000)]
    places = {
        name: {"dtype": "F32", "shape": [4], "data_offsets": [at * 16, at * 16 + 16]} for at, name in enumerate(names)
    }
    head = json.dumps(places).encode()
    head += b" " * (-len(head) % 8)
    file = folder / "many.safetensors"
    file.write_bytes(struct.pack("<Q", len(head)) + head + bytes(16 * len(names)))
    return file


def test_one_key_of_fifty_thousand_is_found(tab: Explorer, tmp_path: Path) -> None:
    grid = at_align(tab, fifty_thousand(tmp_path))
    expect(grid.lines.first).to_be_visible()
    grid.searches("stages.7 blocks.333 conv4")
    expect(grid.counter).to_have_text("1 of 1")
    expect(grid.line("encoder.stages.7.blocks.333.conv4.weight")).to_be_visible()
    grid.root.locator(".toggle", has_text=".*").click()
    grid.searches(r"stages\.[37]\.blocks\.33\.conv\d")
    expect(grid.counter).to_have_text("1 of 20")
    grid.query.press("Enter")
    expect(grid.counter).to_have_text("2 of 20")
    grid.query.press("Shift+Enter")
    grid.query.press("Shift+Enter")
    expect(grid.counter).to_have_text("20 of 20")
    grid.searches("(stages")
    expect(grid.counter).to_contain_text("no regular expression")
    grid.searches(r"^(\w+\.?)*\d!$")
    expect(grid.counter).to_contain_text("takes too long")
    assert tab.problems == []


def test_a_slash_searches_from_anywhere_but_a_field(tab: Explorer) -> None:
    tab.click("open-renamed")
    tab.says("say-good-facts", "renamed")
    tab.aligns()
    grid = Grid(tab)
    expect(grid.lines.first).to_be_visible()
    tab.line(1).focus()
    tab.page.keyboard.press("/")
    tab.page.keyboard.type("conv2")
    expect(grid.query).to_have_value("conv2")
    tab.line(1).focus()
    tab.page.keyboard.press("F2")
    tab.page.keyboard.type("/")
    expect(tab.rule_field).to_have_value("strip prefix 'module.'/")
    expect(grid.query).to_have_value("conv2")
    tab.page.keyboard.press("Escape")
    assert tab.problems == []


HOSTILE = {
    "<img src=x onerror=alert(1)>.weight": "<img src=x onerror=alert(1)>.weight",
    "\x1b[31mred": "\\x1b[31mred",
    "a\nb\r.weight": "a\\x0ab\\x0d.weight",
    "nul\x00.weight": "nul\\x00.weight",
    "\u202egnp.weight": "\\u202egnp.weight",
    "![x](http://tracker.example/p.png)": "![x](http://tracker.example/p.png)",
    "": "(the empty key)",
    "12345": "12345",
}


def test_hostile_keys_are_shown_as_what_they_are(tab: Explorer, tmp_path: Path) -> None:
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    long = "layer." * 1667
    grid = at_align(tab, write_checkpoint(tmp_path, dict.fromkeys([*HOSTILE, long], torch.ones(2)), "hostile.pth"))
    grid.status("unexpected").click()
    for shown in HOSTILE.values():
        expect(grid.line(shown)).to_be_visible()
    grid.selects("12345")
    grid.line("layer.layer").locator(".key").first.click()
    grid.answered()
    grid.pane.get_by_role("button", name="show all 10,002 characters").click()
    expect(grid.pane.locator(".fact code")).to_have_text(long)
    assert grid.root.locator("img").count() == 0
    assert not [url for url in asked if "tracker" in url]
    assert tab.problems == []


@pytest.mark.skipif(not REAL.exists(), reason="the real weights are not beside this checkout")
@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_a_newcomer_reads_what_is_wrong_with_a_real_file_and_what_to_do(
    new_tab: NewTab, scheme: str, width: int
) -> None:
    tab = new_tab(width=width, scheme=scheme)
    grid = at_align(tab, REAL / "resnet56-4bfd9763.th")
    tab.verdict_is("COMPLETE")
    expect(grid.pane).to_contain_text("Nothing is wrong: every key of the network has its tensor. Load it.")
    expect(grid.line("layer1", "9 blocks")).to_be_visible()
    tab.pictured(f"diff-real-{scheme}-{width}")
    from_nothing(grid)
    expect(grid.pane).to_contain_text("The names differ. 2 rules that would change them can be proposed.")
    tab.pictured(f"diff-real-from-nothing-{scheme}-{width}")
    tab.no_sideways_scrolling()


def test_text_of_half_again_the_size_gets_higher_rows_and_no_bar(new_tab: NewTab) -> None:
    tab = new_tab(width=900)
    grid = renamed_example(tab)
    from_nothing(grid)
    before = grid.lines.first.evaluate("line => line.getBoundingClientRect().height")
    tab.page.add_style_tag(content="html { font-size: 150% !important; }")
    expect(grid.line("conv1, bn1")).to_be_visible()
    tab.page.wait_for_function(
        "([diff, before]) => diff.querySelector('.port .line').getBoundingClientRect().height > before * 1.3",
        arg=[grid.root.element_handle(), before],
    )
    assert grid.sideways() == 0
    tab.no_sideways_scrolling()


def test_a_file_of_small_weights_has_its_shapes_compared_number_by_number(tab: Explorer, tmp_path: Path) -> None:
    weights = small_resnet_state_dict()
    weights["fc.weight"] = torch.zeros(5, 31)
    grid = at_align(tab, write_checkpoint(tmp_path, weights))
    grid.status("mismatch").click()
    cut = grid.line("fc.weight").locator(".shape .cut")
    expect(cut.last).to_have_text("31")
    expect(grid.line("fc.weight").locator(".shape .new").last).to_have_text("32")


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_a_row_says_its_status_in_a_word_and_what_differs_between_two_shapes(
    new_tab: NewTab, tmp_path: Path, scheme: str, width: int
) -> None:
    weights = small_resnet_state_dict()
    key = next(key for key in weights if key.endswith("conv2.weight"))
    first, second, *kernel = weights[key].shape
    weights[key] = torch.zeros(first, second, kernel[0] + 2, kernel[1] + 2)
    tab = new_tab(width=width, scheme=scheme)
    grid = at_align(tab, write_checkpoint(tmp_path, weights))
    line = grid.line(key)
    expect(line.locator(".status .word")).to_be_visible()
    expect(line.locator(".status .word")).to_have_text("shape")
    shape = line.locator(".shape")
    expect(shape).to_have_text(f"…{kernel[0] + 2},{kernel[1] + 2} ≠ {kernel[0]},{kernel[1]}")
    expect(line).to_have_attribute("aria-label", re.compile(f"{first}, {second}, {kernel[0] + 2}.* in the file ≠ "))
    for cell in (shape, line.locator(".status")):
        assert cell.evaluate("cell => cell.scrollWidth <= cell.clientWidth"), "nothing of it is cut off"
    assert tab.problems == []
