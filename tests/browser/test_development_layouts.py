"""Ten naming styles in Chromium: what the owner of such a file reads when the suggestion is accepted.

With SHOTS=FOLDER each screen is kept as a picture there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, expect
from torch import Tensor

from ckpt_explorer.architectures import architecture
from tests.browser.explorer import Explorer
from tests.browser.grid import Grid
from tests.browser.server import Server
from tests.checkpoints import write_checkpoint
from tests.suggestion.dialects import DIALECTS, TURNED

NETWORKS = {"resnet18": "resnet18", "basic": "resnet20_cifar_b", "bottleneck": "resnet50_cifar"}
STYLES: dict[str, tuple[str, int]] = {
    "caffe2": ("resnet18", 6),
    "caffe": ("bottleneck", 3),
    "norm in conv": ("basic", 5),
    "keras": ("bottleneck", 7),
    "slim": ("bottleneck", 9),
    "flax": ("resnet18", 9),
    "conv module": ("basic", 4),
    "sequential": ("resnet18", 4),
    "lists": ("basic", 4),
    "counted": ("resnet18", 6),
}
"""Each style with the kind of network it is written for and the rules that it takes."""


def layout(folder: Path, style: str, name: str) -> Path:
    """A file in a naming style; every tensor is one stored number, repeated."""
    weights: dict[str, Tensor] = {}
    tree = architecture(name, num_classes=10).tree
    for key, row in tree.items():
        if key.endswith("num_batches_tracked"):
            continue
        shape = row.shape
        if style in TURNED:
            shape = (*shape[2:], shape[1], shape[0]) if len(shape) == 4 else shape[::-1]
        weights[DIALECTS[style](key, tree)] = torch.full((1,) * len(shape), 0.5).expand(shape)
    return write_checkpoint(folder, {"state_dict": weights, "epoch": 90}, f"{style.replace(' ', '_')}.pth")


@pytest.fixture(scope="module")
def tab(browser: Browser, server: Server) -> Iterator[Explorer]:
    """One tab, in which one file is opened after the other."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    yield Explorer(context.new_page(), server.url)
    context.close()


@pytest.mark.parametrize("style", STYLES)
def test_the_owner_of_a_file_reads_what_was_done_and_why(tab: Explorer, tmp_path: Path, style: str) -> None:
    kind, count = STYLES[style]
    file = layout(tmp_path, style, NETWORKS[kind])
    tab.goes_to("1 Open")
    tab.drops(file)
    tab.says("say-good-facts", file.name)
    tab.aligns()
    tab.verdict_is("COMPLETE")
    rules = tab.rules(count)
    for number, rule in enumerate(rules, 1):
        line = tab.line(number)
        assert rule.strip() and len(rule) <= 400
        expect(line.locator(".count")).not_to_have_text("0")
        expect(line.locator(".complaint")).to_have_text("")
        line.press("ArrowRight")
        expect(line.locator(".why")).not_to_have_text("")
    whys = tab.lines.locator(".why").all_text_contents()
    assert len(whys) == count and all(len(why.split()) >= 4 for why in whys)
    grid = Grid(tab)
    assert grid.sideways() == 0
    tab.no_sideways_scrolling()
    if os.environ.get("SHOTS"):
        print(style, *(f"\n  {rule}   [{why}]" for rule, why in zip(rules, whys, strict=True)))
        tab.page.wait_for_timeout(600)
        tab.page.screenshot(path=Path(os.environ["SHOTS"]) / f"{file.stem}.png", full_page=True)
    assert tab.problems == []
