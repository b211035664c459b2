"""What is done in the rule editor, as a table: each act a row of the browser's log, each a step that can be undone.

An act comes as a JSON object with its number. What the browser says is checked like any other input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules import Rule, RuleSet, rules_from_json
from ckpt_explorer.ui.history import IMPORT, History
from ckpt_explorer.ui.journey import drafted
from ckpt_explorer.ui.rule_editor.offers import offers_for
from ckpt_explorer.ui.rule_editor.suggested import at_its_place
from ckpt_explorer.ui.session import Editing, RuleDraft, Session

PASTED = "pasted"
"""The name under which pasted rules that can't be used are kept."""

Act = Mapping[str, Any]


def set_aside(rule: Rule | None) -> str:
    """The name under which a draft for `rule`, or for a new one, is kept while another is written."""
    return "new rule" if rule is None else f"rule {rule}"


def take_draft(here: Session, value: Any) -> None:
    """Note what is being typed; None of it when the editor was left without a change."""
    if not isinstance(value, Mapping) or not _heard(here, value):
        return
    number = _number(value, "number")
    if number <= here.editing.closed:
        return
    _keep_the_other(here, value)
    text = value.get("text")
    if not isinstance(text, str):
        if here.draft is not None:
            here.drafts.pop(set_aside(_edited(here)), None)
        here.draft = None
        return
    here.draft = RuleDraft(_position(value, "position"), text[:20_000], _position(value, "at"))


def _keep_the_other(here: Session, value: Act) -> None:
    """A draft that another one takes the place of is set aside, and comes back when its line is edited again."""
    draft = here.draft
    if draft is None or (draft.position, draft.at) == (_position(value, "position"), _position(value, "at")):
        return
    if value.get("text") is None:
        return
    rule = _edited(here)
    if draft.text.strip() and (rule is None or draft.text != str(rule)):
        here.drafts[set_aside(rule)] = (draft.text, "")


def _edited(here: Session) -> Rule | None:
    history, draft = here.histories.get(here.place), here.draft
    if history is None or draft is None or draft.position is None or draft.position >= len(history.rules):
        return None
    rule: Rule = history.rules[draft.position]
    return rule


def take_acts(here: Session, value: Any) -> None:
    """Do the acts of the log that were not done yet, in order. One that can't be done is answered with the reason."""
    if not isinstance(value, Mapping) or not _heard(here, value):
        return
    history = here.histories.get(here.place)
    log = value.get("log")
    if history is None or not isinstance(log, list):
        return
    new = [act for act in log if isinstance(act, Mapping) and _number(act, "id") > here.editing.done]
    if new:
        here.editing.refused = {}
    for act in new:
        here.editing.done = max(_number(act, "id"), here.editing.done)
        try:
            ACTS.get(str(act.get("act")), _unknown)(here, history, act)
        except RuleError as error:
            here.editing.refused[here.editing.done] = str(error)


def _heard(here: Session, value: Act) -> bool:
    """Whether `value` says which editor it is from; one that was not heard before begins anew."""
    client = value.get("client")
    if not isinstance(client, str) or value.get("place") != place_name(here):
        return False
    if client != here.editing.client:
        here.editing = Editing(client, shown=here.editing.shown)
    return True


def place_name(here: Session) -> str:
    """The open file, state dict and network, as a short text that tells them from any others."""
    return f"{here.opened} {here.place[0]} {here.place[1]}"


def _number(value: Act, name: str) -> int:
    number = value.get(name)
    return int(number) if isinstance(number, int | float) and not isinstance(number, bool) else 0


def _position(value: Act, name: str) -> int | None:
    return max(_number(value, name), 0) if value.get(name) is not None else None


def _text(act: Act, name: str = "text") -> str:
    text = act.get(name)
    return text if isinstance(text, str) else ""


def _where(history: History, act: Act) -> int:
    """The position of the rule that is meant: where it was seen, or, if the list has changed, where it is now."""
    position, seen = _number(act, "position"), act.get("rule")
    if position < len(history.rules) and seen in (None, str(history.rules[position])):
        return position
    same = [at for at, rule in enumerate(history.rules) if str(rule) == seen]
    if len(same) != 1:
        raise RuleError("The list has changed since: look where the rule is now, and do it again.")
    return same[0]


def _unknown(_here: Session, _history: History, _act: Act) -> None:
    raise RuleError("The page is older than the server: reload it.")


def _write(here: Session, history: History, act: Act) -> None:
    """Put a draft in force: in place of a rule, or as a new one. An emptied rule is deleted."""
    here.editing.closed = max(here.editing.closed, _number(act, "number"))
    _keep_the_other(here, act)
    position = None if act.get("position") is None else _where(history, act)
    draft = RuleDraft(position, _text(act)[:20_000], _position(act, "at"), tried=True)
    old = None if position is None else history.rules[position]
    if not draft.text.strip():
        if position is not None:
            _delete(here, history, act)
    else:
        here.draft = draft
        rules, at = drafted(history.rules, draft)
        history.commit(f"edit rule {at + 1}" if old is not None else f"add rule {at + 1}", rules)
    here.draft = None
    here.drafts.pop(set_aside(old), None)


def _delete(here: Session, history: History, act: Act) -> None:
    position = _where(history, act)
    here.drafts.pop(set_aside(history.rules[position]), None)
    history.commit(f"delete rule {position + 1}", history.rules.without(position))


def _switch(_here: Session, history: History, act: Act) -> None:
    position, on = _where(history, act), act.get("on") is True
    rules = history.rules.replaced(position, history.rules[position].switched(on))
    history.commit(f"switch rule {position + 1} {'on' if on else 'off'}", rules)


def _move(_here: Session, history: History, act: Act) -> None:
    position, to = _where(history, act), _number(act, "to")
    way = "up" if to < position else "down"
    history.commit(f"move rule {position + 1} {way}", history.rules.moved(position, to - position))


def _duplicate(_here: Session, history: History, act: Act) -> None:
    position = _where(history, act)
    history.commit(f"duplicate rule {position + 1}", history.rules.added(history.rules[position], position + 1))


def _take_one(here: Session, history: History, act: Act) -> None:
    assert here.aligned is not None
    wanted = next((rule for rule in here.aligned.suggestion.rules if str(rule) == act.get("rule")), None)
    if wanted is None:
        raise RuleError("This rule is not suggested any more.")
    history.commit("add a suggested rule", at_its_place(history.rules, here.aligned.suggestion.rules, wanted))


def _take_all(here: Session, history: History, _act: Act) -> None:
    assert here.aligned is not None
    history.commit("take the suggestion", here.aligned.suggestion.rules)


def _clear(_here: Session, history: History, _act: Act) -> None:
    history.commit("start from nothing", RuleSet())


def _import(here: Session, history: History, act: Act) -> None:
    text, added = _text(act), history.rules
    try:
        rules = rules_from_json(text)
        if not rules:
            raise RuleError("There is no rule in it: write one a line, or paste the JSON of an export.")
        if act.get("behind") is True:
            for rule in rules:
                added = added.added(rule)
    except RuleError as error:
        here.drafts[PASTED] = (text[: 1 << 20], str(error))
        raise
    here.drafts.pop(PASTED, None)
    history.commit(IMPORT, added if act.get("behind") is True else rules)


def _offer(here: Session, history: History, act: Act) -> None:
    """Do what was offered beside a complaint; it is found again, so that what was shown is what is done."""
    position = _where(history, act)
    assert here.aligned is not None and here.checkpoint is not None
    for offer in offers_for(here.aligned, here.checkpoint, position):
        if offer.label == act.get("offer"):
            history.commit(offer.step, offer.rules)
            return
    raise RuleError("This is not offered any more.")


def _export(here: Session, _history: History, act: Act) -> None:
    here.editing.shown = _text(act)[:20]


ACTS: dict[str, Callable[[Session, History, Act], None]] = {
    "write": _write,
    "delete": _delete,
    "switch": _switch,
    "move": _move,
    "duplicate": _duplicate,
    "undo": lambda _here, history, _act: history.undo(),
    "redo": lambda _here, history, _act: history.redo(),
    "go to": lambda _here, history, act: history.go_to(_number(act, "to")),
    "take": _take_one,
    "take all": _take_all,
    "clear": _clear,
    "import": _import,
    "offer": _offer,
    "export": _export,
}
