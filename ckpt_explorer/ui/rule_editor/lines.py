"""What the rule editor shows, as data: plain texts and numbers, made visible, for a component that knows nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.errors import RuleError
from ckpt_explorer.export import as_code, as_revise_keys
from ckpt_explorer.rules import KINDS, Rule, Touched, parse_rule
from ckpt_explorer.rules.arithmetic import OPERATIONS
from ckpt_explorer.rules.pattern import HOLE
from ckpt_explorer.rules.vocabulary import vocabulary
from ckpt_explorer.text import visible
from ckpt_explorer.ui import journey
from ckpt_explorer.ui.rule_editor.acts import PASTED, place_name, set_aside
from ckpt_explorer.ui.rule_editor.offers import offers_for
from ckpt_explorer.ui.rule_editor.suggested import not_in_force
from ckpt_explorer.ui.session import Aligned, Session

KEY_SHOWN = 200
"""Characters of a key that an example shows."""

MOST_CHOICES = 20
"""Texts of a choice that are written out one below the other."""

FORMS = {
    "lines": "one rule a line",
    "json": "JSON",
    "pytorch": "PyTorch script",
    "openmmlab": "revise_keys of OpenMMLab",
}


def as_data(here: Session, aligned: Aligned) -> dict[str, Any]:
    """Everything that the component draws."""
    assert here.checkpoint is not None
    history, suggestion = aligned.history, aligned.suggestion.rules
    editing = here.editing
    return {
        "place": place_name(here),
        "rules": [_line(here, aligned, position, rule) for position, rule in enumerate(history.rules)],
        "draft": _draft(here, aligned),
        "aside": here.drafts.get(set_aside(None), ("", ""))[0],
        "answered": {"client": editing.client, "done": editing.done, "refused": editing.refused},
        "steps": history.steps,
        "at": len(history.done),
        "suggested": [
            {"text": str(rule), "why": visible(rule.why, 500)} for rule in not_in_force(history.rules, suggestion)
        ],
        "differs": history.rules != suggestion,
        "has_suggestion": bool(suggestion),
        "words": _words(here, aligned),
        "forms": FORMS,
        "exported": _exported(here, aligned),
        "pasted": list(here.drafts.get(PASTED, ("", ""))),
    }


def _line(here: Session, aligned: Aligned, position: int, rule: Rule) -> dict[str, Any]:
    touched, complaint = aligned.alignment.renaming.touched[position], aligned.complaints.get(position, "")
    line = {"text": str(rule), "on": rule.enabled, "why": visible(rule.why, 500), **_done(rule, touched, complaint)}
    if chosen := choices_of(rule):
        line["choices"] = chosen
    aside, _ = here.drafts.get(set_aside(rule), ("", ""))
    if aside:
        line["aside"] = aside
    if complaint or line["state"] == "nothing":
        assert here.checkpoint is not None
        line["offers"] = [offer.label for offer in offers_for(aligned, here.checkpoint, position)]
    return line


def choices_of(rule: Rule) -> list[list[str]]:
    """A rename with a choice, such as `{gamma|beta} -> {weight|bias}`, as one plain rename for each of its texts."""
    from_one = [found for found in HOLE.finditer(rule.find) if "|" in found[1]]
    if rule.kind != "rename" or len(from_one) != 1:
        return []
    texts = from_one[0][1].split("|")
    front, back = rule.find[: from_one[0].start()], rule.find[from_one[0].end() :]

    def chosen(to: str, at: int) -> str:
        def one(found: re.Match[str]) -> str:
            others = found[1].split("|")
            return others[at] if len(others) == len(texts) else found[0]

        return HOLE.sub(one, to)

    return [
        [visible(f"{front}{text}{back}", KEY_SHOWN), visible(chosen(rule.to, at), KEY_SHOWN)]
        for at, text in enumerate(texts[:MOST_CHOICES])
    ]


def _done(rule: Rule, touched: Touched, complaint: str) -> dict[str, Any]:
    """What the rule does to this file: how many keys, and the first of them before and after."""
    if complaint:
        return {"state": "wrong", "complaint": visible(complaint, 1000)}
    if not rule.enabled:
        return {"state": "off"}
    if rule.kind == "take from":
        return {"state": "help", "says": KINDS[rule.kind].help}
    if not touched.count:
        return {"state": "nothing"}
    return {
        "state": "fills" if rule.kind == "fill" else "does",
        "count": touched.count,
        "before": visible(touched.before or "", KEY_SHOWN),
        "after": None if touched.after is None else visible(touched.after, KEY_SHOWN),
    }


def _draft(here: Session, aligned: Aligned) -> dict[str, Any] | None:
    """The rule that is being typed, with what it would do, or why it is none yet."""
    draft = here.draft
    if draft is None:
        return None
    shown: dict[str, Any] = {
        "client": here.editing.client,
        "position": draft.position,
        "at": draft.at,
        "text": draft.text,
        "tried": draft.tried,
        "wrong": "",
        "state": "typing",
    }
    if not draft.text.strip():
        return shown
    try:
        rule = parse_rule(draft.text)
        journey.drafted(aligned.history.rules, draft)
    except RuleError as error:
        return {**shown, "wrong": visible(str(error), 1000)}
    preview = journey.previewed(here)
    assert preview is not None and preview.drafted is not None
    touched = preview.alignment.renaming.touched[preview.drafted]
    return {**shown, **_done(rule, touched, preview.complaints.get(preview.drafted, ""))}


def _words(here: Session, aligned: Aligned) -> dict[str, Any]:
    """What is offered while one types, for the open file and network: computed once for both."""
    assert here.checkpoint is not None
    wanted = here.place
    if here.words is None or here.words[0] != wanted:
        here.words = (wanted, _new_words(here.checkpoint, aligned))
    words: dict[str, Any] = here.words[1]
    return words


def _new_words(checkpoint: Checkpoint, aligned: Aligned) -> dict[str, Any]:
    file = vocabulary(checkpoint.state_dict)
    model = vocabulary(aligned.alignment.architecture.tree)
    return {
        "kinds": [{"name": name, "help": kind.help, "example": kind.example} for name, kind in KINDS.items()],
        "prefixes": list(file.prefixes),
        "segments": list(file.segments),
        "targets": list(model.segments),
        "operations": [{"name": name, "help": row.help} for name, row in OPERATIONS.items()],
        "paths": [row.path for row in checkpoint.state_dicts if row.path.isprintable()][:50],
    }


def _exported(here: Session, aligned: Aligned) -> dict[str, str] | None:
    """The rules as they go out, in the form that is being looked at."""
    form = here.editing.shown
    if form not in FORMS:
        return None
    try:
        text, name = _in_form(form, aligned)
    except RuleError as error:
        text, name = f"# {error}\n", "rules.txt"
    return {"form": form, "text": text, "name": name}


def _in_form(form: str, aligned: Aligned) -> tuple[str, str]:
    """The text and the name of its file."""
    rules = aligned.history.rules
    if form == "json":
        return json.dumps(rules.as_json(), indent=1), "rules.json"
    if form == "pytorch":
        return as_code(aligned.alignment), "rename.py"
    if form == "openmmlab":
        return as_revise_keys(aligned.alignment.rules), "revise_keys.py"
    return f"{rules}\n" if rules else "", "rules.txt"
