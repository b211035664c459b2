"""Shows the key diff of what is open, and does what is asked in it."""

from __future__ import annotations

import weakref
from typing import Any

import streamlit as st

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.ui import journey, session
from ckpt_explorer.ui.key_diff import component, details, same_thing
from ckpt_explorer.ui.key_diff.wire import Part, base_of, state_of
from ckpt_explorer.ui.session import Aligned, Session

KEY = "key-diff"

_parts: weakref.WeakKeyDictionary[Alignment, dict[object, Part]] = weakref.WeakKeyDictionary()
"""What was encoded of an alignment, as long as somebody holds it."""


def show() -> None:
    """The grid, with what would be while a rule is being typed.

    Streamlit keeps a fragment's arguments for as long as it keeps the session, so there are none: the file must go when
    its tab is closed.
    """
    here = session.current()
    now = journey.aligned(here)
    preview = journey.previewed(here)
    base, state = _messages(now, preview)
    with st.container(key="key-diff-wire"):
        component.carrier(key="key-diff-base", data=base.data)
        component.carrier(key="key-diff-state", data=state.data)
    component.view(key=KEY, data=_light(here, now, preview, base, state), on_asked_change=_asked)


def _messages(now: Aligned, preview: Aligned | None) -> tuple[Part, Part]:
    alignment = now.alignment
    kept = _parts.setdefault(alignment, {})
    if "base" not in kept:
        kept["base"] = base_of(alignment)
        kept["state"] = state_of(alignment)
    if preview is None:
        return kept["base"], kept["state"]
    return kept["base"], state_of(preview.alignment, preview.lit, alignment)


def _light(here: Session, now: Aligned, preview: Aligned | None, base: Part, state: Part) -> dict[str, Any]:
    """What changes with a click: a few hundred bytes."""
    alignment = now.alignment
    selected = here.selected_row
    light: dict[str, Any] = {
        "base": base.name,
        "state": state.name,
        "network": alignment.architecture.name,
        "parts": "blocks" if alignment.architecture.kind in ("named", "custom") else "numbered parts",
        "preview": preview is not None,
        "advice": details.advice(now),
        "copies": same_thing.copies(here, alignment),
    }
    if selected is not None:
        left, right = _place(alignment, selected)
        light["selected"] = {"left": left, "right": right, "seek": here.sought_rows}
        light["details"] = {"left": left, "right": right, **details.of_row(alignment, selected)}
    return light


def _place(alignment: Alignment, row: tuple[str | None, str | None]) -> tuple[int, int]:
    """The numbers of the row's keys in their lists, -1 for none."""
    ours, theirs = row
    left = next((at for at, key in enumerate(alignment.state_dict) if key == ours), -1)
    right = next((at for at, key in enumerate(alignment.architecture.tree) if key == theirs), -1)
    return left, right


def _asked() -> None:
    """What was asked in the grid; something that was asked of an alignment that is not shown any more is left alone."""
    asked = session.widget_value(KEY, {}).get("asked")
    here = session.current()
    if not isinstance(asked, dict) or here.checkpoint is None:
        return
    now = journey.aligned(here)
    alignment = now.alignment
    if asked.get("base") != _messages(now, None)[0].name:
        return
    if asked.get("do") in ("select", "pair"):
        ours, theirs = list(alignment.state_dict), list(alignment.architecture.tree)
        here.select_row(_key(ours, asked.get("left")), _key(theirs, asked.get("right")))


def _key(keys: list[str], at: object) -> str | None:
    return keys[at] if type(at) is int and 0 <= at < len(keys) else None
