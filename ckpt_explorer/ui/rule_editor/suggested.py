"""The suggestion, rule by rule: which of its rules are not in force, and where one of them belongs."""

from __future__ import annotations

from collections.abc import Sequence

from ckpt_explorer.rules import Rule, RuleSet


def not_in_force(rules: Sequence[Rule], suggestion: Sequence[Rule]) -> list[Rule]:
    """The suggested rules that are not in the list, or are switched off in it."""
    present = {str(rule) for rule in rules if rule.enabled}
    return [rule for rule in suggestion if str(rule) not in present]


def at_its_place(rules: RuleSet, suggestion: RuleSet, wanted: Rule) -> RuleSet:
    """`rules` with one suggested rule: switched on where it stands, else behind what the suggestion has before it.

    Raises:
        RuleError: the list is full.
    """
    texts = [str(rule) for rule in rules]
    if str(wanted) in texts:
        position = texts.index(str(wanted))
        return rules.replaced(position, rules[position].switched(True))
    order = [str(rule) for rule in suggestion]
    before, after = order[: order.index(str(wanted))], order[order.index(str(wanted)) + 1 :]
    ahead = [at for at, text in enumerate(texts) if text in before]
    behind = [at for at, text in enumerate(texts) if text in after]
    at = ahead[-1] + 1 if ahead else behind[0] if behind else 0
    return rules.added(wanted, at)
