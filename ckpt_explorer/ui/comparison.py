"""What each choice would do, side by side: state dicts, networks with what speaks for and against them, and any other."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ckpt_explorer.outlook import Outlook
from ckpt_explorer.suggestion import Candidate
from ckpt_explorer.text import bytes_as_text, plural, visible
from ckpt_explorer.ui import outlooks, plain
from ckpt_explorer.ui.offered import targets
from ckpt_explorer.ui.session import Session, current, widget_value
from ckpt_explorer.ui.target import Target
from ckpt_explorer.ui.verdict import BADGES

WAITING = "being looked at"
ANOTHER = "another-network"
_COLUMNS = [3, 2.1, 7.3, 1.5]


def show(here: Session) -> None:
    """The comparison; while the choices are still being looked at, it draws itself again."""
    with st.container(key="comparison", border=True):
        if outlooks.are_known(here):
            _rows()
        else:
            _watched_rows()
        _another(here)


@st.fragment(run_every=0.4)
def _watched_rows() -> None:
    _rows()
    if outlooks.are_known(current()):
        st.rerun()


def _rows() -> None:
    here = current()
    checkpoint = here.checkpoint
    if checkpoint is None:
        return
    if len(checkpoint.state_dicts) > 1:
        plain.heading("State dicts of the file, each with the network that it looks most like")
        for number, row in enumerate(checkpoint.state_dicts):
            about = f"{plural(len(row), 'tensor')}, {bytes_as_text(row.size)}"
            known = outlooks.for_state_dict(here, row.path)
            waiting = WAITING if not outlooks.are_known(here) else "looks like no residual network"
            lines = [f"{visible(known.network)}: {known.counts}" if known else waiting]
            chosen = row.path == checkpoint.selected
            _row(f"dict-{number}", visible(row.path) or "the top", about, known, lines, chosen, _use_dict, number)
    if here.candidates:
        plain.heading("Networks that it could be")
        plain.quiet(f"Its shapes show {here.candidates[0].why}.")
    for number, candidate in enumerate(here.candidates):
        target = Target.of(candidate)
        known = outlooks.for_target(here, target)
        chosen = here.target == target
        about = f"{candidate.score:.0%} of its structure agrees"
        lines = _reasons(candidate, known)
        _row(f"candidate-{number}", visible(candidate.name), about, known, lines, chosen, _use_candidate, number)


def _reasons(candidate: Candidate, known: Outlook | None) -> list[str]:
    """What a network would get of the file, and what speaks against it."""
    counts = known.counts or known.says if known else WAITING
    rules = f", with {plural(len(known.rules), 'rule')}" if known and known.rules else ""
    against = (
        f"against it: {candidate.against}" if candidate.against else "nothing in shapes and nesting speaks against it"
    )
    return [counts + rules, against]


def _row(
    key: str,
    name: str,
    about: str,
    known: Outlook | None,
    lines: list[str],
    chosen: bool,
    use: Callable[[int], None],
    number: int,
) -> None:
    with st.container(key=f"choice-{key}"):
        left, verdict, middle, right = st.columns(_COLUMNS, vertical_alignment="top")
        with left:
            with st.container(key=f"mono-{key}"):
                st.text(name)
            plain.quiet(about)
        if known is not None and known.verdict is not None:
            verdict.html(f"<span class='badge {known.verdict}'>{BADGES[known.verdict]}</span>", width="content")
        with middle:
            plain.quiet("\n".join(lines))
        with right:
            label = "In use" if chosen else "Use"
            st.button(label, key=f"use-{key}", disabled=chosen, on_click=use, args=(number,), width="stretch")


def _use_dict(number: int) -> None:
    here = current()
    assert here.checkpoint is not None
    here.select_state_dict(here.checkpoint.state_dicts[number].path)


def _use_candidate(number: int) -> None:
    here = current()
    here.choose(Target.of(here.candidates[number]))


def _another(here: Session) -> None:
    """Any other network by name: what it would do is said before it is used."""
    offered = {name: target for name, (target, _) in targets(here).items() if target.kind != "reference"}
    plain.heading("Any other network")
    left, middle, right = st.columns([_COLUMNS[0], sum(_COLUMNS[1:3]), _COLUMNS[3]], vertical_alignment="center")
    with left:
        name = st.selectbox(
            "Another network",
            list(offered),
            index=None,
            format_func=visible,
            placeholder="search all names",
            label_visibility="collapsed",
            key=ANOTHER,
        )
    if name not in offered:
        return
    found = outlooks.looked_at(here, offered[name])
    with middle:
        plain.quiet(found.line)
    with right:
        chosen = here.target == offered[name]
        label = "In use" if chosen else "Use"
        st.button(label, key="use-another", disabled=chosen, on_click=_use_another, width="stretch")


def _use_another() -> None:
    here = current()
    name = widget_value(ANOTHER)
    offered = targets(here)
    if name in offered:
        here.choose(offered[name][0])
