"""What stands below a small picture: its name, broken where a word ends, and never without its own end."""

from __future__ import annotations

import pytest

from ckpt_explorer.ui.one_picture import CAPTION, caption


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat.png", "cat.png"),
        ("airplane_0000.jpg", "airplane_\n0000.jpg"),
        ("val/ship/ship_0001.jpg", "ship/ship_\n0001.jpg"),
        ("val/automobile/automobile_0003.jpg", "automobile/\nautomobile_\n0003.jpg"),
        ("IMG 2021-07-04 (2).jpeg", "IMG 2021-07-\n04 (2).jpeg"),
    ],
)
def test_a_name_is_broken_where_a_word_ends_and_has_its_folder_before_it(name: str, shown: str) -> None:
    assert caption(name) == shown


def test_of_a_long_name_both_ends_are_shown() -> None:
    shown = caption(f"{'a' * 200}/{'b' * 200}_0042.jpg")
    assert shown.startswith("a" * 22) and shown.endswith("_\n0042.jpg") and "…" in shown
    assert len(shown.replace("\n", "")) == CAPTION


def test_control_characters_are_shown_and_break_no_line() -> None:
    assert "\u202e" not in caption("a\u202egpj.exe")
    assert caption("a\nb.png") == "a\\x0ab.png"
