"""The key diff in Chromium, against the floor: a component with nothing in it that answers a click on the same server.

Ratios are printed (`python -m pytest tests/benchmarks/test_key_diff.py -s`) and not asserted: on a busy machine they
would fail for no fault of the code. The aims: a rule edit to the painted diff in 2 floors for 932 keys and in 6 for
50,000 rows; filter, fold and search in 50 ms at 50,000 rows; no frame of a scroll above 32 ms; 6 MB on the wire at
first, nothing for what did not change.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Page, expect, sync_playwright

from ckpt_explorer.architectures import architecture
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.explorer import Explorer
from tests.browser.grid import Grid
from tests.browser.server import _free_port, _wait_for, running
from tests.browser.test_key_diff import at_align, fifty_thousand
from tests.checkpoints import write_checkpoint

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: install Debian's package chromium"),
    pytest.mark.skipif(bool(os.environ.get("CI")), reason="prints ratios: they mean something on a quiet machine only"),
]


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield browser
        browser.close()


EMPTY = """
import streamlit as st
empty = st.components.v2.component("empty", html="<button>0</button>", js='''
export default function (c) {
  const button = c.parentElement.querySelector("button");
  button.textContent = String(c.data.n);
  button.onclick = () => c.setTriggerValue("hit", 1);
}
''')
@st.fragment
def panel():
    st.session_state.n = st.session_state.get("n", 0) + 1
    empty(key="empty", data={"n": st.session_state.n}, on_hit_change=lambda: None)
panel()
"""

PAINTED = """([root, act, changed]) => new Promise((done, failed) => {
  const [does, holds] = [new Function("root", act), new Function("root", "return " + changed)];
  const start = performance.now();
  does(root);
  const look = () => requestAnimationFrame(() => {
    const took = performance.now() - start;
    if (holds(root)) done(took);
    else if (took > 30000) failed(new Error("nothing was painted after: " + act));
    else look();
  });
  look();
})"""
"""Do something and wait, frame by frame, until it shows; milliseconds."""

SCROLLED = """port => new Promise(done => {
  const frames = [];
  let before = performance.now();
  const step = () => requestAnimationFrame(now => {
    frames.push(now - before);
    before = now;
    port.scrollTop += 700;
    frames.length < 90 ? step() : done(frames.slice(5));
  });
  step();
})"""
"""Scroll by 30 lines a frame, and how long each frame took; milliseconds."""

LEGEND = "root.querySelector('.legend').textContent"


@contextlib.contextmanager
def empty_app(folder: Path) -> Iterator[str]:
    """A server with nothing on its page but an empty component."""
    file = folder / "empty.py"
    file.write_text(EMPTY)
    port = _free_port()
    words = [sys.executable, "-m", "streamlit", "run", str(file), "--server.headless=true", f"--server.port={port}"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/health", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def floor(page: Page, url: str) -> float:
    """The median of clicks that an empty component answers."""
    page.goto(url)
    button = page.locator(".st-key-empty button")
    expect(button).to_have_text("1", timeout=60_000)
    times = []
    for number in range(1, 12):
        changed = f"root.textContent === '{number + 1}'"
        times.append(float(page.evaluate(PAINTED, [button.element_handle(), "root.click()", changed])))
        page.wait_for_timeout(200)
    return statistics.median(times[1:])


def edited(grid: Grid) -> float:
    """The median time from switching rule 1 off or on until the legend has other counts."""
    times = []
    for _ in range(8):
        grid.tab.idle()
        grid.page.wait_for_timeout(500)
        box = grid.tab.line(1).locator("input[type=checkbox]").element_handle()
        grid.page.evaluate("box => { globalThis.box = box; }", box)
        before = json.dumps(grid.root.evaluate(f"root => {LEGEND}"))
        act = [grid.root.element_handle(), "globalThis.box.click()", f"{LEGEND} !== {before}"]
        times.append(float(grid.page.evaluate(PAINTED, act)))
    return statistics.median(times[1:])


def at_once(grid: Grid, act: str) -> float:
    """The median time of something that the browser does by itself, to the frame behind it."""
    root = grid.root.element_handle()
    return statistics.median(float(grid.page.evaluate(PAINTED, [root, act, "true"])) for _ in range(6))


def resnet152(folder: Path) -> Path:
    """All keys and shapes of a ResNet-152 behind a prefix, each of one stored number."""
    tree = architecture("resnet152").tree
    weights = {
        f"module.{key}": torch.zeros((), dtype=getattr(torch, row.dtype)).expand(row.shape) for key, row in tree.items()
    }
    return write_checkpoint(folder, weights, "resnet152.pth")


def told(name: str, value: float, unit: str, of_floor: float | None = None, aim: str = "") -> None:
    ratio = "" if of_floor is None else f"  {value / of_floor:5.1f} floors"
    print(f"{name:44} {value:9.1f} {unit}{ratio}{f'  (aim {aim})' if aim else ''}")


def test_the_grid_answers_in_a_few_floors_of_an_empty_component(browser: Browser, tmp_path: Path) -> None:
    with running() as server, empty_app(tmp_path) as empty:
        lowest = floor(browser.new_page(), empty)
        print()
        told("an empty component answers a click", lowest, "ms")

        grid = at_align(Explorer(browser.new_page(), server.url), resnet152(tmp_path))
        grid.counts(matched=932)
        told("a rule edit, 932 keys", edited(grid), "ms", lowest, "2 floors")

        page = browser.new_page()
        received: list[int] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(len(frame))))
        tab = Explorer(page, server.url)
        tab.drops(fifty_thousand(tmp_path))
        tab.says("say-good-facts", "many.safetensors")
        before = sum(received)
        tab.aligns()
        grid = Grid(tab)
        expect(grid.lines.first).to_be_visible()
        tab.idle()
        told("first sight of 50,000 rows, on the wire", (sum(received) - before) / 1e6, "MB", aim="6")
        page.get_by_role("button", name="Start from nothing").click()
        tab.rules(0)
        tab.writes_rule("drop ^encoder.", 0)
        told("a rule edit, 50,000 rows", edited(grid), "ms", lowest, "6 floors")
        tab.idle()
        before = sum(received)
        grid.line("conv1.weight").locator(".key").last.click()
        grid.answered()
        told("a row is selected, on the wire", (sum(received) - before) / 1e6, "MB")
        chip = "root.querySelector('.legend .chip:last-child').click()"
        told("filter", at_once(grid, chip), "ms", aim="50")
        told("fold", at_once(grid, "[...root.querySelectorAll('.port .group')].at(-1).click()"), "ms", aim="50")
        search = "const q = root.querySelector('.query'); q.value = q.value === 'blocks.33' ? 'conv7' : 'blocks.33'; q.dispatchEvent(new Event('input'))"
        told("search", at_once(grid, search), "ms", aim="50")
        grid.query.fill("")
        frames = grid.root.locator(".port").evaluate(SCROLLED)
        told("the longest of 85 frames of a scroll", max(frames), "ms", aim="32")
        told("frames above 32 ms", sum(frame > 32 for frame in frames), "")
        assert lowest > 0 and max(frames) > 0
