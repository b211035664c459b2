"""The rule list, live: each rule a line that can be edited, switched off, moved and deleted, with undo and redo."""

from __future__ import annotations

import json

import streamlit as st

from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules import KINDS, Rule, RuleSet, Touched, parse_rule, rules_from_json
from ckpt_explorer.text import plural, visible
from ckpt_explorer.ui import plain
from ckpt_explorer.ui.history import History
from ckpt_explorer.ui.session import Aligned, Session, controlled
from ckpt_explorer.ui.uploads import upload_field

NEW = "new rule"


def show(here: Session, aligned: Aligned) -> None:
    """The list, the line for a new rule, and what can be done with the whole list."""
    history, touched = aligned.history, aligned.alignment.renaming.touched
    plain.heading("Rules, in order")
    if not history.rules:
        plain.quiet("No rule: the keys are compared as they are.")
    for position, rule in enumerate(history.rules):
        _rule(here, history, position, rule, touched[position], aligned.complaints.get(position, ""))
    _new_rule(here, history)
    _whole_list(here, history, aligned.suggestion.rules)


def _rule(here: Session, history: History, position: int, rule: Rule, touched: Touched, complaint: str) -> None:
    text, wrong = here.drafts.get(str(rule), (str(rule), ""))

    def edit(typed: str) -> None:
        if not typed.strip():
            _delete(here, history, position)
            return
        try:
            written = parse_rule(typed).switched(rule.enabled)
            history.commit(f"edit rule {position + 1}", history.rules.replaced(position, written))
            here.drafts.pop(str(rule), None)
        except RuleError as error:
            here.drafts[str(rule)] = (typed, str(error))

    def switch(on: bool) -> None:
        history.commit(
            f"switch rule {position + 1} {'on' if on else 'off'}", history.rules.replaced(position, rule.switched(on))
        )

    with st.container(key=f"rule-{position}"):
        columns = st.columns([1.1, 11, 1.2, 1.2, 1.2], vertical_alignment="center")
        columns[0].checkbox(
            f"Rule {position + 1} is on",
            label_visibility="collapsed",
            **controlled(f"on-{position}", rule.enabled, switch),
        )
        columns[1].text_input(
            f"Rule {position + 1}", label_visibility="collapsed", **controlled(f"rule-text-{position}", text, edit)
        )
        columns[2].button(
            "↑",
            key=f"up-{position}",
            help="Move up",
            disabled=position == 0,
            on_click=_move,
            args=(history, position, -1),
        )
        columns[3].button(
            "↓",
            key=f"down-{position}",
            help="Move down",
            disabled=position == len(history.rules) - 1,
            on_click=_move,
            args=(history, position, 1),
        )
        columns[4].button(
            "✕", key=f"delete-{position}", help="Delete", on_click=_delete, args=(here, history, position)
        )
        if wrong or complaint:
            after = "" if wrong else " Until then it is left out."
            plain.say(f"{wrong or complaint}{after}", "error", key=f"rule-{position}")
        else:
            plain.quiet(_done(rule, touched))


def _done(rule: Rule, touched: Touched) -> str:
    """What the rule does to this file: how many keys, the first before and after, and why it is there."""
    why = f"\n{rule.why[:1].upper()}{rule.why[1:]}." if rule.why else ""
    if rule.kind == "take from":
        return f"{KINDS[rule.kind].help}{why}"
    if not rule.enabled:
        return "switched off"
    if not touched.count:
        return f"touches nothing in this file{why}"
    after = "left out" if touched.after is None else visible(touched.after, 90)
    return f"{plural(touched.count, 'key')}: {visible(touched.before or '', 90)} → {after}{why}"


def _move(history: History, position: int, by: int) -> None:
    history.commit(f"move rule {position + 1} {'up' if by < 0 else 'down'}", history.rules.moved(position, by))


def _delete(here: Session, history: History, position: int) -> None:
    here.drafts.pop(str(history.rules[position]), None)
    history.commit(f"delete rule {position + 1}", history.rules.without(position))


def _new_rule(here: Session, history: History) -> None:
    text, wrong = here.drafts.get(NEW, ("", ""))

    def add(typed: str) -> None:
        if not typed.strip():
            here.drafts.pop(NEW, None)
            return
        try:
            history.commit("add a rule", history.rules.added(parse_rule(typed)))
            here.drafts.pop(NEW, None)
        except RuleError as error:
            here.drafts[NEW] = (typed, str(error))

    with st.container(key="rule-new"):
        st.text_input(
            "Write a rule and press Enter",
            placeholder="strip prefix module.   or   linear. -> fc.",
            **controlled("new-rule", text, add),
        )
        if wrong:
            plain.say(wrong, "error", key="rule-new")


def _whole_list(here: Session, history: History, suggested: RuleSet) -> None:
    with st.container(key="rule-actions", horizontal=True):
        undo, redo = history.next_undo, history.next_redo
        st.button(f"Undo: {undo}" if undo else "Undo", key="undo", disabled=not undo, on_click=history.undo)
        st.button(f"Redo: {redo}" if redo else "Redo", key="redo", disabled=not redo, on_click=history.redo)
        if history.rules != suggested:
            st.button(
                "Take the suggestion", key="suggest", on_click=history.commit, args=("take the suggestion", suggested)
            )
        with st.popover("Import, export, help", key="rule-files"):
            _files(here, history)


def _files(here: Session, history: History) -> None:
    def import_text(typed: str) -> None:
        if typed.strip():
            _import(here, history, typed)

    st.download_button(
        "Download the rules",
        json.dumps(history.rules.as_json(), indent=1),
        "rules.json",
        "application/json",
        key="download-rules",
        on_click="ignore",
    )
    upload_field(here, "rules-file", "Import a rules file", lambda _name, data: _import(here, history, data))
    text, wrong = here.drafts.get("pasted", ("", ""))
    st.text_area("Or paste rules, one a line or as JSON", **controlled("paste-rules", text, import_text))
    if wrong:
        plain.say(wrong, "error", key="pasted")
    plain.heading("Kinds of rule")
    for kind in KINDS.values():
        plain.quiet(f"{kind.example}\n{kind.help}")


def _import(here: Session, history: History, given: str | bytes) -> None:
    try:
        history.commit("import rules", rules_from_json(given))
        here.drafts.pop("pasted", None)
    except RuleError as error:
        if isinstance(given, str):
            here.drafts["pasted"] = (given, str(error))
        else:
            here.message = ("error", str(error))
