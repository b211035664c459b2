"""The rule editor: the list of rules, live, as one component. Every step can be undone, and nothing typed is lost.

The component draws what `lines` makes of the session, tells of drafts while a rule is being typed, and keeps a log of
what was done in it, an act at a time, until `acts` has answered: no act is lost or done twice, however fast they come.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ckpt_explorer.ui import browser_memory
from ckpt_explorer.ui.rule_editor import acts, lines
from ckpt_explorer.ui.session import Aligned, Session, current, widget_value

__all__ = ["show"]

_HERE = Path(__file__).parent
_PARTS = ("words.js", "editing.js", "rows.js", "tools.js", "panel.js")
"""The script, in the order in which it is put together: the component takes one text."""

KEY = "rule-editor"

_editor = st.components.v2.component(
    "ckpt_explorer.rule_editor",
    html="<div class='rules'></div>",
    css=(_HERE / "rule_editor.css").read_text(encoding="utf-8"),
    js="\n".join((_HERE / part).read_text(encoding="utf-8") for part in _PARTS),
)


def show(here: Session, aligned: Aligned) -> None:
    """What the browser kept of earlier work; the list, the line for a new rule, and what can be done with the list."""
    browser_memory.show(here, aligned)
    _editor(
        key=KEY,
        data=lines.as_data(here, aligned),
        default={"draft": None, "acts": None},
        on_draft_change=_drafted,
        on_acts_change=_acted,
    )


def _drafted() -> None:
    acts.take_draft(current(), (widget_value(KEY) or {}).get("draft"))


def _acted() -> None:
    acts.take_acts(current(), (widget_value(KEY) or {}).get("acts"))
