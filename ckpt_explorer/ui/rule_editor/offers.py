"""What can be done about a complaint, where it is obvious: each offer is a list of rules that was tried out before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ckpt_explorer.alignment import align_despite
from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.rules import Rule, RuleSet
from ckpt_explorer.ui.session import Aligned

MOST_KEYS = 10_000
"""Keys of a file up to which offers are tried out: each costs an alignment."""


@dataclass(frozen=True)
class Offer:
    """A button's words, the name of the step, and the rules that it leads to."""

    label: str
    step: str
    rules: RuleSet


def offers_for(aligned: Aligned, checkpoint: Checkpoint, position: int) -> tuple[Offer, ...]:
    """What is offered for the rule at `position` of the list, which is complained of or touches nothing; at most two.

    Tried out once, and kept with the alignment.
    """
    if position not in aligned.offers:
        aligned.offers[position] = _found(aligned, checkpoint, position)
    found: tuple[Offer, ...] = aligned.offers[position]
    return found


def _found(aligned: Aligned, checkpoint: Checkpoint, position: int) -> tuple[Offer, ...]:
    rules = aligned.history.rules
    complaint = aligned.complaints.get(position, "")
    rule: Rule = rules[position]
    if not complaint and not rule.enabled:
        return ()
    tried = [] if len(aligned.alignment.state_dict) > MOST_KEYS else list(_worth_trying(rules, position, complaint))
    good = [offer for offer in tried if _helps(aligned, checkpoint, offer, rule)]
    last = Offer("delete it", f"delete rule {position + 1}", rules.without(position))
    if complaint:
        last = Offer("switch it off", f"switch rule {position + 1} off", rules.replaced(position, rule.switched(False)))
    return (*good[:1], last)


def _worth_trying(rules: RuleSet, position: int, complaint: str) -> Iterator[Offer]:
    rule: Rule = rules[position]
    if not complaint and position:
        yield Offer("move it to the top", f"move rule {position + 1} up", rules.moved(position, -position))
    if not complaint and position < len(rules) - 1:
        yield Offer("move it to the end", f"move rule {position + 1} down", rules.moved(position, len(rules)))
    if not complaint and rule.kind == "strip prefix":
        cut = replace(rule, kind="remove segment", find=rule.find.strip("."), why="")
        yield Offer(f"{cut} instead", f"edit rule {position + 1}", rules.replaced(position, cut))
    if complaint and rule.kind in ("rename", "drop") and not rule.find.startswith("^"):
        held = replace(rule, find=f"^{rule.find}", why="")
        yield Offer("hold it to the start of the key", f"edit rule {position + 1}", rules.replaced(position, held))
    if complaint and position:
        yield Offer("move it to the top", f"move rule {position + 1} up", rules.moved(position, -position))


def _helps(aligned: Aligned, checkpoint: Checkpoint, offer: Offer, rule: Rule) -> bool:
    """Whether, with the offer, nothing more is complained of, and the rule or what came of it touches something."""
    alignment, complaints = align_despite(checkpoint, aligned.alignment.architecture, offer.rules)
    if len(complaints) > max(len(aligned.complaints) - 1, 0) or len(alignment.filled) < len(aligned.alignment.filled):
        return False
    mine = {at for at, row in enumerate(offer.rules) if row.find.removeprefix("^").strip(".") == rule.find.strip(".")}
    return any(alignment.renaming.touched[at].count for at in mine)
