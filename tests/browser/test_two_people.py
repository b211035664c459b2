"""Two browsers see two checkpoints, and a closed tab's memory comes back."""

import time
from pathlib import Path

import torch

from tests.browser.conftest import NewTab
from tests.browser.server import Server, running

BIG_MIB = 200


def test_two_browsers_at_once_see_two_different_checkpoints(new_tab: NewTab) -> None:
    one, other = new_tab(), new_tab()
    one.click("open-fits")
    one.says("say-good-facts", "digits_resnet20.pth")
    other.click("open-renamed")
    other.says("say-good-facts", "renamed")
    one.aligns()
    one.verdict_is("COMPLETE")
    assert one.rules(0) == []
    other.aligns()
    other.verdict_is("COMPLETE")
    assert other.rules(4)[0] == "strip prefix 'module.'"
    one.goes_to("1 Open")
    one.says("open-checkpoint", "digits_resnet20.pth")
    one.does_not_see("renamed.pth is")


def test_a_closed_tabs_memory_comes_back(new_tab: NewTab, tmp_path: Path) -> None:
    file = tmp_path / "big.pth"
    torch.save({"state_dict": {"layer1.0.conv1.weight": torch.zeros(BIG_MIB << 18)}}, file)
    with running(["--keep-closed-tab", "1"]) as server:
        first = new_tab(url=server.url)
        first.page.get_by_text("PyTorch 2.").wait_for()
        before = _settled(server)
        first.drops(file)
        first.says("say-good-facts", "big.pth")
        held = server.resident_mib()
        assert BIG_MIB * 0.8 < held - before < BIG_MIB * 1.6, f"held once, not twice: {held - before:.0f} MiB"
        for _ in range(3):
            first.goes_to("2 Align")
            first.verdict_is("INCOMPATIBLE")
            first.goes_to("1 Open")
        assert server.resident_mib() - before < BIG_MIB * 1.6, "a rerun does not copy the upload"
        first.page.close()
        for _ in range(100):
            if server.resident_mib() - before < BIG_MIB * 0.5:
                break
            time.sleep(0.2)
        assert server.resident_mib() - before < BIG_MIB * 0.5, "the closed tab's file was let go"


def _settled(server: Server) -> float:
    """Resident memory once it stays the same for a second."""
    before = server.resident_mib()
    for _ in range(30):
        time.sleep(1)
        now = server.resident_mib()
        if abs(now - before) < 2:
            return now
        before = now
    return before
