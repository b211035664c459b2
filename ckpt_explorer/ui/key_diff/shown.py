"""Shows the key diff of what is open, and does what is asked in it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import streamlit as st

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.suggestion.by_hand import Offer
from ckpt_explorer.text import visible
from ckpt_explorer.ui import journey, session
from ckpt_explorer.ui.key_diff import component, details, same_thing
from ckpt_explorer.ui.key_diff.sending import to_send
from ckpt_explorer.ui.key_diff.wire import Part, base_of, packed, state_of
from ckpt_explorer.ui.session import Aligned, Session

KEY = "key-diff"

Made = TypeVar("Made")

_made_of: weakref.WeakKeyDictionary[Alignment, dict[object, Any]] = weakref.WeakKeyDictionary()
"""What was made of an alignment for the screen, as long as somebody holds it."""


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
        component.carrier(key="key-diff-base", data=to_send(base, here.sent_parts))
        component.carrier(key="key-diff-state", data=to_send(state, here.sent_parts))
    light = _light(here, now, preview, base, state)
    component.view(key=KEY, data=light, on_asked_change=_asked, on_lacked_change=_lacked)


def show_details() -> None:
    """What is to be said of the selected row, as a message of its own: it may take longer than all the rest, so it is
    made when everything else stands on the screen."""
    here = session.current()
    now = journey.aligned(here)
    selected = here.selected_row
    if selected is None or (place := _place(now.alignment, selected)) == (-1, -1):
        return
    base, state = _messages(now, None)
    said = details.of_row(now.alignment, selected, _offers(now.alignment, selected))
    header = {"base": base.name, "state": state.name, "left": place[0], "right": place[1], **said}
    with st.container(key="key-diff-wire-details"):
        component.carrier(key="key-diff-details", data=to_send(packed("details", header, {}), here.sent_parts))


def _messages(now: Aligned, preview: Aligned | None) -> tuple[Part, Part]:
    base, state = _kept(now.alignment, "messages", lambda: (base_of(now.alignment), state_of(now.alignment)))
    if preview is None:
        return base, state
    return base, state_of(preview.alignment, preview.lit, now.alignment)


def _offers(alignment: Alignment, row: details.Row) -> tuple[details.Row | None, tuple[Offer, ...]]:
    return _kept(alignment, row, lambda: details.offers_of(alignment, row))


def _kept(alignment: Alignment, what: object, make: Callable[[], Made]) -> Made:
    """What was made of an alignment before, or now."""
    kept = _made_of.setdefault(alignment, {})
    if what not in kept:
        kept[what] = make()
    made: Made = kept[what]
    return made


def _light(here: Session, now: Aligned, preview: Aligned | None, base: Part, state: Part) -> dict[str, Any]:
    """What changes with a click: a few hundred bytes."""
    alignment = now.alignment
    selected = here.selected_row
    light: dict[str, Any] = {
        "base": base.name,
        "state": state.name,
        "said": _messages(now, None)[1].name,
        "network": alignment.architecture.name,
        "parts": "blocks" if alignment.architecture.kind in ("named", "custom") else "numbered parts",
        "preview": preview is not None,
        "advice": details.advice(here, now),
        "proposes": details.proposes(now),
        "copies": same_thing.copies(here, alignment),
    }
    if selected is not None and (place := _place(alignment, selected)) != (-1, -1):
        left, right = place
        light["selected"] = {"left": left, "right": right, "seek": here.sought_rows}
    return light


def _place(alignment: Alignment, row: details.Row) -> tuple[int, int]:
    """The numbers of the row's keys in their lists, -1 for none."""
    ours, theirs = row
    left = next((at for at, key in enumerate(alignment.state_dict) if key == ours), -1)
    right = next((at for at, key in enumerate(alignment.architecture.tree) if key == theirs), -1)
    return left, right


def _asked() -> None:
    """Do what was asked in the grid; what was asked of keys that are not shown any more is left alone."""
    asked = session.widget_value(KEY, {}).get("asked")
    here = session.current()
    if not isinstance(asked, dict) or here.checkpoint is None:
        return
    now = journey.aligned(here)
    if asked.get("base") != _messages(now, None)[0].name:
        return
    does = {"select": _select, "pair": _select, "take": _take, "propose": _propose}.get(str(asked.get("do")))
    if does is not None:
        does(here, now, asked)


def _lacked() -> None:
    """Send again what the browser has not got: its run was broken off, or it was long ago."""
    lacked = session.widget_value(KEY, {}).get("lacked")
    here = session.current()
    if isinstance(lacked, list):
        here.sent_parts = [name for name in here.sent_parts if name not in lacked]


def _select(here: Session, now: Aligned, asked: Mapping[str, Any]) -> None:
    ours, theirs = list(now.alignment.state_dict), list(now.alignment.architecture.tree)
    here.select_row(_key(ours, asked.get("left")), _key(theirs, asked.get("right")))


def _take(here: Session, now: Aligned, asked: Mapping[str, Any]) -> None:
    """Put the rules of an offer in force, as one step that can be taken back, and go on to what is still not well."""
    _select(here, now, asked)
    row = here.selected_row
    if row is None:
        return
    pair, offers = _offers(now.alignment, row)
    number = asked.get("offer")
    if pair is None or type(number) is not int or not 0 <= number < len(offers):
        return
    offer = offers[number]
    now.history.commit(f"pair {visible(pair[1] or '', 40)}", offer.rules)
    here.select_row(*(details.next_trouble(journey.aligned(here).alignment, pair[1]) or pair), seek=True)


def _propose(_here: Session, now: Aligned, _asked: Mapping[str, Any]) -> None:
    now.history.commit("take the suggestion", now.suggestion.rules)


def _key(keys: list[str], at: object) -> str | None:
    return keys[at] if type(at) is int and 0 <= at < len(keys) else None
