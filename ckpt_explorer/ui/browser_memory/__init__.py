"""The rules that one had for a file, kept in one's own browser and offered when the file is opened again.

The server keeps nothing: the record lies in the browser's local storage under the file's fingerprint, and comes back
through the component when the same file is open. A record of this very opening is never offered to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from ckpt_explorer.text import plural, visible
from ckpt_explorer.ui.browser_memory.remembered import Remembered, remembered_from
from ckpt_explorer.ui.history import RECALL
from ckpt_explorer.ui.operator import operator
from ckpt_explorer.ui.session import Aligned, Session, current, widget_value

__all__ = ["Remembered", "remembered_from", "show"]

_HERE = Path(__file__).parent
KEY = "browser-memory"

_memory = st.components.v2.component(
    "ckpt_explorer.browser_memory",
    html="<div class='memory' hidden></div>",
    css=(_HERE / "browser_memory.css").read_text(encoding="utf-8"),
    js=(_HERE / "browser_memory.js").read_text(encoding="utf-8"),
)


def show(here: Session, aligned: Aligned) -> None:
    """Keep what is worth keeping, and offer what was kept. Where an offer was taken, the page runs again with it."""
    if here.network_restored:
        here.network_restored = False
        st.rerun()
    assert here.checkpoint is not None
    _memory(
        key=KEY,
        data={
            "file": here.checkpoint.fingerprint,
            "opening": here.opened,
            "record": _record(here, aligned),
            "offer": _offer(here, aligned),
        },
        default={"found": None, "answer": None},
        on_found_change=_found,
        on_answer_change=_answered,
    )


def _record(here: Session, aligned: Aligned) -> str:
    """What is to be kept: nothing, as long as all is as it was proposed."""
    history = aligned.history
    if here.place == here.proposed and not history.steps:
        return ""
    if here.checkpoint is None or here.target.kind == "reference":
        return ""
    return Remembered(history.rules, here.checkpoint.selected, here.target, here.checkpoint.name).as_text()


def _offer(here: Session, aligned: Aligned) -> dict[str, str] | None:
    """The sentence about what was kept, around its date; None where there is nothing else than what is in force."""
    kept = here.recalled
    if not isinstance(kept, Remembered) or here.checkpoint is None:
        return None
    same_place = (kept.state_dict, kept.target.key) == here.place
    now = [(str(rule), rule.enabled) for rule in aligned.history.rules]
    if same_place and (not kept.rules or [(str(rule), rule.enabled) for rule in kept.rules] == now):
        return None
    rules = plural(len(kept.rules), "rule") if kept.rules else "no rules"
    name = here.checkpoint.name
    which = "this file" if kept.name == name else f"{visible(kept.name, 80)}, a file with the same keys,"
    network = "" if kept.target == here.target else f", for {visible(kept.target.name, 80)}"
    path = "" if kept.state_dict == here.checkpoint.selected else f", in {visible(kept.state_dict, 80) or 'the top'}"
    return {"before": f"You had {rules} for {which} on ", "after": f"{network}{path}."}


def _said(name: str) -> dict[str, Any] | None:
    """What the component says under `name`, of this opening of this file."""
    here, value = current(), (widget_value(KEY) or {}).get(name)
    if not isinstance(value, dict) or here.checkpoint is None or value.get("opening") != here.opened:
        return None
    return value


def _found() -> None:
    here, value = current(), _said("found")
    if value is None or here.checkpoint is None or here.recalled is False:
        return
    own = (*operator().models, *([here.example.architecture] if here.example else []))
    here.recalled = remembered_from(value.get("record"), here.checkpoint, own)


def _answered() -> None:
    here, value = current(), _said("answer")
    kept = here.recalled
    if value is None or not isinstance(kept, Remembered):
        return
    here.recalled = False
    if value.get("take") is True:
        _take_back(here, kept)


def _take_back(here: Session, kept: Remembered) -> None:
    """Put the kept rules in force, for their network and state dict, as a step that can be undone."""
    before = here.place
    here.select_state_dict(kept.state_dict)
    here.choose(kept.target)
    here.network_restored = here.place != before
    history = here.histories.get(here.place)
    if history is None:
        here.pending_rules = kept.rules
    else:
        history.commit(RECALL, kept.rules)
