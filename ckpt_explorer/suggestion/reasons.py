"""with_reasons(): why each rename is there, by the layers whose names it changes: `the shortcuts' convs have other names`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules import RuleSet
from ckpt_explorer.suggestion.pairing import Pair

LAYERS = "layers have other names"
INSIDE = "the layers of a block have other names"
GENERAL = (LAYERS, INSIDE)
"""Reasons that are said more exactly where it is known which layers a rule touches."""


def with_reasons(rules: RuleSet, pairs: Sequence[Pair]) -> RuleSet:
    """The same rules, the general reasons among them replaced by what the rule touches in this file."""
    if not any(rule.why in GENERAL for rule in rules):
        return rules
    layers = {(pair.file.root, pair.file.layer): pair for pair in pairs}
    places: dict[int, set[str]] = defaultdict(set)
    try:
        rows = rules.apply([pair.file.key for pair in layers.values()], collide=True).keys
    except RuleError:
        return rules
    for row, pair in zip(rows, layers.values(), strict=True):
        for position in row.rules:
            places[position].add(pair.place)
    return RuleSet(
        tuple(
            replace(rule, why=_reason(places[at])) if rule.why in GENERAL and places[at] else rule
            for at, rule in enumerate(rules)
        )
    )


def _reason(places: set[str]) -> str:
    """The reason of a rename that touches layers in these places, such as `block conv1 norm` and `head head`."""
    parts = {place.partition(" ")[0] for place in places}
    if parts == {"head"}:
        return "the last layer has another name"
    if parts == {"block"}:
        shortcuts = {place.startswith("block shortcut") for place in places}
        norms = {place.endswith(" norm") for place in places}
        kinds = "convs and norms" if len(norms) > 1 else "norms" if True in norms else "convs"
        if shortcuts == {True}:
            return f"the {kinds} of the shortcuts have other names"
        return f"the {kinds} in the blocks have other names"
    if parts == {"stem", "head"}:
        return "the first layers and the last one have other names"
    words = {"stem": "the first layers", "block": "the layers of the blocks", "head": "the last layer"}
    return f"{' and '.join(words[part] for part in words if part in parts)} have other names"
