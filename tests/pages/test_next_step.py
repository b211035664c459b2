"""What comes next: from Align to Load, and from Load back to rules that would fit better."""

from __future__ import annotations

from tests.pages.tab import Tab

OTHERS = "Not all of the 4 rules that are proposed for this file are in force:"


def test_the_load_page_points_back_to_proposed_rules_that_are_not_in_force(renamed: Tab) -> None:
    assert OTHERS not in renamed.go("load").says
    renamed.go("align").on_rule("delete", 3)
    assert OTHERS in renamed.go("load").says
    renamed.go("align").acts({"act": "undo"})
    assert OTHERS not in renamed.go("load").says
