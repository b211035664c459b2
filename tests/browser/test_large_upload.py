"""A large upload is held once: while it is looked at, over changes of page, and until its tab is closed."""

from __future__ import annotations

import bz2
import json
import os
import struct
import time
from pathlib import Path
from random import Random

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewTab
from tests.browser.server import Server, running

MIB = 1 << 20
MINUTES = 5 * 60_000
"""Milliseconds for an upload of gigabytes on a busy machine."""


def available_mib() -> int:
    """Memory that could be used here without swapping."""
    rows = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(rows["MemAvailable"].split()[0]) // 1024


def large_file(folder: Path, mib: int) -> Path:
    """A safetensors file of one tensor of zeros, written as a hole: it takes no room on the disk."""
    size = mib * MIB
    header = json.dumps({"layer1.0.conv1.weight": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}})
    file = folder / "large.safetensors"
    with file.open("wb") as out:
        out.write(struct.pack("<Q", len(header)) + header.encode())
        out.truncate(8 + len(header) + size)
    return file


def settled(server: Server, above: float) -> float:
    """Resident memory above `above` in MiB, once it stays the same for a second."""
    last = server.resident_mib()
    for _ in range(30):
        time.sleep(1)
        now = server.resident_mib()
        if abs(now - last) < 2:
            break
        last = now
    return server.resident_mib() - above


def slow_archive(folder: Path, mib: int) -> Path:
    """A safetensors file of one tensor, packed by bzip2: some twenty megabytes of it are unpacked in a second."""
    size = mib * MIB
    header = json.dumps({"layer1.0.conv1.weight": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    piece = bz2.compress(Random(0).randbytes(8 * MIB).translate(bytes(byte & 63 for byte in range(256))))
    file = folder / "large.safetensors.bz2"
    with file.open("wb") as out:
        out.write(bz2.compress(struct.pack("<Q", len(header)) + header))
        for _ in range(mib // 8):
            out.write(piece)
    return file


def test_a_large_archive_shows_how_far_it_is_and_can_be_stopped(new_tab: NewTab, tmp_path: Path) -> None:
    file = slow_archive(tmp_path, 128)
    tab = new_tab()
    tab.click("open-fits")
    tab.says("say-good-facts", "digits_resnet20.pth")
    tab.drops(file)
    expect(tab.by_key("opening")).to_contain_text("Opening large.safetensors.bz2", timeout=MINUTES)
    tab.says("say-good-facts", "digits_resnet20.pth")
    tab.click("stop-opening")
    expect(tab.by_key("opening")).to_have_count(0)
    tab.says("say-good-facts", "digits_resnet20.pth")
    tab.drops(file)
    expect(tab.by_key("opening")).to_be_visible(timeout=MINUTES)
    expect(tab.by_key("say-good-facts")).to_contain_text("large.safetensors.bz2", timeout=MINUTES)
    tab.says("mono-sidebar", "large.safetensors.bz2")
    tab.click("verify")
    expect(tab.by_key("say-note-whole")).to_contain_text("sha256", timeout=MINUTES)


def test_an_upload_of_gigabytes_is_held_once(new_tab: NewTab, tmp_path: Path) -> None:
    room = available_mib()
    mib = 512 if os.environ.get("CI") else 2048 if room > 12_000 else 1024
    if room < 4 * mib:
        pytest.skip(f"{room:,} MiB of memory are too few to tell one copy from two")
    with running(["--keep-closed-tab", "1"]) as server:
        tab = new_tab(url=server.url)
        tab.page.get_by_text("PyTorch 2.").wait_for()
        before = server.resident_mib()
        tab.drops(large_file(tmp_path, mib))
        expect(tab.by_key("say-good-facts")).to_contain_text("large.safetensors", timeout=MINUTES)
        held = settled(server, before)
        assert 0.9 * mib < held < 1.15 * mib, f"held once: {held:.0f} MiB of {mib}"
        tab.click("verify")
        expect(tab.by_key("say-note-whole")).to_contain_text("stores no checksums", timeout=MINUTES)
        for _ in range(3):
            tab.goes_to("2 Align")
            tab.verdict_is("INCOMPATIBLE")
            tab.goes_to("1 Open")
        after = settled(server, before)
        assert after < 1.2 * mib, f"held once after it was read to its end: {after:.0f} MiB of {mib}"
        tab.page.close()
        for _ in range(100):
            if server.resident_mib() - before < 0.3 * mib:
                break
            time.sleep(0.2)
        assert server.resident_mib() - before < 0.3 * mib, "the closed tab's file was let go"
