"""A file that is refused: what it is, the one next step, a button where the page can do it, and nothing lost."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor

from ckpt_explorer.ui.given import Given
from tests.pages.conftest import saved
from tests.pages.tab import Tab


def cut(weights: dict[str, Tensor]) -> bytes:
    """A download of them that broke off."""
    whole = saved({"state_dict": weights, "epoch": 7})
    return whole[: len(whole) * 6 // 10]


def test_a_cut_file_offers_what_is_left_as_the_one_filled_button(tab: Tab, small_weights: dict[str, Tensor]) -> None:
    tab.upload("checkpoint-", ("cut.pth", cut(small_weights)))
    assert "cut.pth is cut short" in tab.box("message") and "--salvage" not in tab.box("message")
    assert tab.texts_in("mark-message") == ["F4"]
    assert tab.label("offer").startswith("Open what is left (")
    assert [button.key for button in tab.app.button if button.proto.type == "primary"] == ["offer"]


def test_what_is_left_is_opened_with_the_lost_keys_named(tab: Tab, small_weights: dict[str, Tensor]) -> None:
    tab.upload("checkpoint-", ("cut.pth", cut(small_weights))).click("offer")
    checkpoint = tab.session.checkpoint
    assert checkpoint is not None and 0 < len(checkpoint.state_dict) < len(small_weights)
    assert set(tab.table("lost")["lost"]) == set(small_weights) - set(checkpoint.state_dict)
    assert tab.boxes("warning")[0].startswith("cut.pth is a torch zip file"), "a broken file is no good news"
    assert any("is cut short" in text for text in tab.boxes("warning"))
    assert tab.has_button("next") and not tab.has_button("offer") and not tab.has_box("message")


def test_an_offer_stands_and_what_was_open_stays_open(
    tab: Tab, small_file: bytes, small_weights: dict[str, Tensor]
) -> None:
    tab.open("resnet.pth", small_file).upload("checkpoint-", ("cut.pth", cut(small_weights)))
    assert tab.box("message").endswith("resnet.pth is still open.")
    assert tab.run().go("align").go("open").has_button("offer")
    assert [button.key for button in tab.app.button if button.proto.type == "primary"] == ["next"]
    assert not tab.click("dismiss").has_box("message")
    assert tab.box("facts").startswith("resnet.pth")


@pytest.mark.parametrize("other", [b"\x89PNG\r\n\x1a\n" + bytes(100), saved({"weight": torch.zeros(2)})])
def test_the_refused_bytes_go_when_another_file_comes(tab: Tab, small_weights: dict[str, Tensor], other: bytes) -> None:
    tab.upload("checkpoint-", ("cut.pth", cut(small_weights)))
    refusal = tab.session.refusal
    assert refusal is not None and refusal.again is not None
    held = weakref.ref(refusal.again)
    del refusal
    tab.upload("checkpoint-", ("other", other))
    gc.collect()
    assert held() is None and not tab.has_button("offer")


def test_a_refusal_without_an_offer_holds_no_bytes(tab: Tab) -> None:
    tab.upload("checkpoint-", ("cat.png", b"\x89PNG\r\n\x1a\n" + bytes(100)))
    gc.collect()
    assert [row for row in gc.get_objects() if type(row) is Given and row.name == "cat.png"] == []


def test_a_refusal_is_not_wiped_away_by_a_rerun_that_nobody_asked_for(tab: Tab) -> None:
    tab.upload("checkpoint-", ("cat.png", b"\x89PNG\r\n\x1a\n" + bytes(100)))
    tab.session.say_again()
    assert "a PNG picture" in tab.run().box("message")


def test_a_broken_member_of_an_archive_leaves_the_other_open(
    tab: Tab, small_file: bytes, small_weights: dict[str, Tensor]
) -> None:
    tab.upload("checkpoint-", ("good.pth", small_file), ("cut.pth", cut(small_weights)))
    assert tab.field("member") == "good.pth"
    tab.choose("member", "cut.pth")
    assert "cut short" in tab.box("message") and tab.field("member") == "good.pth"
    if tab.has_button("offer"):
        tab.click("offer")
        assert tab.session.checkpoint is not None and tab.session.checkpoint.member == "cut.pth"
