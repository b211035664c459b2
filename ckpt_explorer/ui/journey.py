"""What every page behind Open begins with: the alignment of what is chosen, and the network if it was loaded."""

from __future__ import annotations

import streamlit as st

from ckpt_explorer.alignment import Alignment, align_despite
from ckpt_explorer.errors import ArchitectureError, RuleError
from ckpt_explorer.loading import LoadedModel
from ckpt_explorer.proposal import suggestion_for
from ckpt_explorer.rules import RuleSet, parse_rule
from ckpt_explorer.suggestion import Suggestion
from ckpt_explorer.ui import plain
from ckpt_explorer.ui.history import RECALL, History
from ckpt_explorer.ui.session import Aligned, RuleDraft, Session


def aligned(here: Session) -> Aligned:
    """Hold the chosen state dict against the chosen network; where that can't be built, say so and stop the page.

    The result is kept in the session while nothing of it changes. Scripts and callbacks ask for it here and hold
    nothing themselves: Streamlit keeps them, and with them the file, after the tab was closed.
    """
    assert here.checkpoint is not None
    try:
        architecture = here.target.architecture(here.reference)
    except ArchitectureError as error:
        plain.say(str(error), "error", key="architecture")
        st.stop()
    if here.place not in here.suggestions:
        here.suggestions[here.place] = suggestion_for(here.checkpoint, architecture)
    suggestion = here.suggestions[here.place]
    history = here.histories.setdefault(here.place, History(suggestion.rules))
    if here.pending_rules is not None:
        history.commit(RECALL, here.pending_rules)
        here.pending_rules = None
    wanted = (here.place, history.rules)
    if here.aligned is None or here.aligned_for != wanted:
        by_order = _by_order(suggestion, history.rules)
        alignment, complaints = align_despite(here.checkpoint, architecture, history.rules, by_order)
        here.aligned, here.aligned_for = Aligned(alignment, complaints, suggestion, history), wanted
    if here.loaded is not None and here.loaded_as != (here.place, here.aligned.alignment.rules):
        here.forget_loaded()
    return here.aligned


def previewed(here: Session) -> Aligned | None:
    """The alignment as it would be with the rule that is being typed; None without one, or while it can't be read.

    Kept in the session like `aligned`, while neither the rules nor the draft change. Nothing is in force by it.
    """
    now = aligned(here)
    draft = here.draft
    if draft is None:
        return None
    wanted = (here.place, now.history.rules, draft)
    if here.previewed_for != wanted:
        here.previewed, here.previewed_for = _with_draft(here, now, draft), wanted
    return here.previewed


def _with_draft(here: Session, now: Aligned, draft: RuleDraft) -> Aligned | None:
    assert here.checkpoint is not None
    try:
        rules, at = drafted(now.history.rules, draft)
    except RuleError:
        return None
    alignment, complaints = now.alignment, now.complaints
    if rules != now.history.rules:
        alignment, complaints = align_despite(
            here.checkpoint, alignment.architecture, rules, _by_order(now.suggestion, rules)
        )
    return Aligned(alignment, complaints, now.suggestion, now.history, at, _lit(alignment, at))


def _by_order(suggestion: Suggestion, rules: RuleSet) -> frozenset[str]:
    """The keys that only order puts in their place: as long as the suggested rules are in force and others follow them."""
    goes_on = tuple(rules)[: len(suggestion.rules)] == tuple(suggestion.rules)
    return suggestion.by_order if goes_on else frozenset()


def drafted(rules: RuleSet, draft: RuleDraft) -> tuple[RuleSet, int]:
    """`rules` with the draft in its place, and the position that it has then.

    Raises:
        RuleError: it is no rule yet, or the list is full, or the rule that it was for is gone.
    """
    rule = parse_rule(draft.text)
    if draft.position is None:
        at = len(rules) if draft.at is None else min(draft.at, len(rules))
        return rules.added(rule, at), at
    if draft.position >= len(rules):
        raise RuleError("The rule that was being edited is not in the list any more.")
    old = rules[draft.position]
    return rules.replaced(draft.position, old if str(old) == str(rule) else rule.switched(old.enabled)), draft.position


def _lit(alignment: Alignment, position: int) -> frozenset[int]:
    """The rows of the alignment that the rule at `position` touches."""
    keys = {row.key for row in alignment.renaming.keys if position in row.rules}
    return frozenset(
        at
        for at, pair in enumerate(alignment.pairs)
        if (pair.checkpoint in keys if pair.checkpoint is not None else pair.rule == position)
    )


def require_loaded(here: Session) -> LoadedModel:
    """The loaded network; without one, the page says so, with the way there, and stops."""
    aligned(here)
    if here.loaded is None:
        st.text("No network is loaded with the rules as they are now.")
        st.page_link("pages/load.py", label="Load it")
        st.stop()
    return here.loaded
