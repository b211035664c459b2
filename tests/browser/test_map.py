"""The map in Chromium: it is drawn from stem to head, a click leads to the row, and the row is outlined on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import NewTab
from tests.browser.explorer import Explorer
from tests.browser.files import saved
from tests.checkpoints import small_resnet_state_dict

TILES = ".st-key-network-map .barlayer .point"


def with_trouble(folder: Path) -> Path:
    """A file that lacks one layer, and holds one with a name that would be HTML."""
    weights = small_resnet_state_dict()
    weights["<img src=x onerror=alert(1)>"] = weights.pop("layer2.1.conv1.weight")
    file = folder / "trouble.pth"
    file.write_bytes(saved(weights))
    return file


def on_align(tab: Explorer, file: Path) -> None:
    tab.drops(file)
    tab.says("say-good-facts", "trouble")
    tab.aligns()
    tab.page.locator(TILES).first.wait_for()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 900)])
def test_a_click_on_the_map_leads_to_the_row_and_outlines_it(
    new_tab: NewTab, tmp_path: Path, scheme: str, width: int
) -> None:
    tab = new_tab(width=width, scheme=scheme)
    on_align(tab, with_trouble(tmp_path))
    assert tab.page.locator(f"{TILES}").count() == 58
    outlines = tab.page.locator(".st-key-network-map .shapelayer path")
    assert outlines.count() == 0
    box = tab.page.locator(TILES).last.bounding_box()  # what has no place comes last
    assert box is not None
    tab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    outlines.first.wait_for(state="attached")
    tab.page.get_by_role("row", selected=True).filter(has_text="=alert(1)>").first.wait_for()
    tab.no_sideways_scrolling()
    assert tab.problems == []
