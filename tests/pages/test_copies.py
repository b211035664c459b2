"""A file that holds the network more than once: the other copy is one click away, and one step of undo back."""

from __future__ import annotations

from pathlib import Path

from tests.checkpoints import add_prefix, small_resnet_state_dict, write_checkpoint
from tests.pages.tab import Tab


def test_the_other_copy_is_taken_with_one_click_and_given_back_by_undo(tab: Tab, tmp_path: Path) -> None:
    weights = small_resnet_state_dict()
    both = {**add_prefix("encoder_q.", weights), **add_prefix("encoder_k.", weights)}
    file = write_checkpoint(tmp_path, both)
    tab.open("both.pth", file.read_bytes()).go("align")
    before = tab.rules
    assert before[0] == "strip prefix 'encoder_q.'"
    tab.click("take-copy-0")
    assert tab.rules[0] == "strip prefix 'encoder_k.'"
    assert tab.badge == "COMPLETE"
    tab.acts({"act": "undo"})
    assert tab.rules == before
