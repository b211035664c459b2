"""Is it whole? The button, the bar, the way to stop, and what was found; and the same for a slow opening."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest
import torch

from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.integrity import Integrity
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.reading.sources.source import Progress
from ckpt_explorer.ui import given, opening, wholeness
from tests.pages.conftest import saved
from tests.pages.tab import Tab


def flipped() -> bytes:
    """A file with one bit of a weight turned."""
    whole = bytearray(saved({"layer1.weight": torch.full((64, 64), 1.0), "layer2.weight": torch.rand(64, 64)}))
    whole[whole.index(b"\x00\x00\x80\x3f" * 64) + 2] ^= 1
    return bytes(whole)


def test_a_whole_file_says_so_with_its_sha256(tab: Tab, small_file: bytes) -> None:
    tab.open("resnet.pth", small_file).click("verify")
    assert "have the checksum that was stored with them" in tab.box("whole")
    assert [code.value for code in tab.app.code] == [hashlib.sha256(small_file).hexdigest()]
    assert not tab.has_button("verify")


def test_a_flipped_bit_is_found_and_the_key_named_with_the_next_step(tab: Tab) -> None:
    tab.open("flipped.pth", flipped()).click("verify")
    assert "layer1.weight" in tab.box("damage-0") and "Fetch the file again" in tab.box("damage-0")
    assert not tab.has_box("whole")


def test_a_name_with_another_hash_is_told(tab: Tab, small_file: bytes) -> None:
    tab.open("resnet18-5c106cde.pth", small_file).click("verify")
    assert "promises the sha256 5c106cde" in tab.box("damage-0")


def test_what_was_found_goes_with_its_file(tab: Tab, small_file: bytes) -> None:
    tab.open("resnet.pth", small_file).click("verify").open_example("fits")
    assert tab.has_button("verify") and not tab.app.code


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Lets slow work go on."""
    gate = threading.Event()
    monkeypatch.setattr(wholeness, "AT_ONCE", 0.05)
    monkeypatch.setattr(opening, "PATIENCE", 0.05)
    yield gate
    gate.set()


def test_a_long_look_shows_how_far_it_is_and_can_be_stopped(
    tab: Tab, small_file: bytes, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def slow(_: Checkpoint, progress: Progress) -> Integrity:
        try:
            progress(1 << 20, 4 << 20)
            gate.wait(10)
            progress(2 << 20, 4 << 20)
            raise AssertionError("it was not stopped")
        finally:
            ended.set()

    monkeypatch.setattr(wholeness, "check_integrity", slow)
    monkeypatch.setattr(opening, "PATIENCE", 4)
    tab.open("resnet.pth", small_file).click("verify")
    assert any("1.0 MiB of 4.0 MiB hashed" in text for text in tab.says)
    assert tab.has_button("next"), "nobody has to wait for it"
    tab.click("stop-verifying")
    gate.set()
    assert ended.wait(5)
    assert tab.run().has_button("verify") and tab.session.integrity is None


def test_a_slow_opening_shows_how_far_it_is_and_takes_over_when_it_is_done(
    tab: Tab, small_file: bytes, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab.open_example("fits")

    def slow(*what: object, progress: Progress, **how: object) -> Checkpoint:
        progress(1 << 20, 4 << 20)
        gate.wait(10)
        return open_checkpoint(*what, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(given, "open_checkpoint", slow)
    tab.upload("checkpoint-", ("resnet.tar.gz", small_file))
    assert any("1.0 MiB of 4.0 MiB unpacked" in text for text in tab.says) and tab.has_button("stop-opening")
    assert tab.box("facts").startswith("digits_resnet20.pth"), "what was open stays open"
    job = tab.session.opening
    assert job is not None
    gate.set()
    assert job.job.finished.wait(10)
    assert tab.run().box("facts").startswith("resnet.tar.gz")
    assert tab.texts_in("mono-sidebar") == ["resnet.tar.gz"]


def test_a_slow_opening_can_be_stopped(
    tab: Tab, small_file: bytes, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*what: object, progress: Progress, **how: object) -> Checkpoint:
        progress(1 << 20, 4 << 20)
        gate.wait(10)
        return open_checkpoint(*what, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(given, "open_checkpoint", slow)
    tab.upload("checkpoint-", ("resnet.tar.gz", small_file)).click("stop-opening")
    gate.set()
    assert not tab.run().has_button("stop-opening") and tab.session.checkpoint is None


def test_a_fault_of_ours_in_the_thread_is_no_silence(
    tab: Tab, small_file: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Checkpoint:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(given, "open_checkpoint", broken)
    with pytest.raises(AssertionError, match="ended in an exception"):
        tab.upload("checkpoint-", ("resnet.pth", small_file))
