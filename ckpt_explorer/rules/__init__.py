"""The rename language: rules as data, their text and JSON, and what a list of them makes of keys."""

from ckpt_explorer.rules.rule import KINDS, Kind, Rule, RuleKind, parse_rule, rule_from_json
from ckpt_explorer.rules.rule_set import RenamedKey, Renaming, RuleSet, Touched, rules_from_json

__all__ = [
    "KINDS",
    "Kind",
    "RenamedKey",
    "Renaming",
    "Rule",
    "RuleKind",
    "RuleSet",
    "Touched",
    "parse_rule",
    "rule_from_json",
    "rules_from_json",
]
