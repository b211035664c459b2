"""Rules in the form that the loaders of the OpenMMLab take: `load_checkpoint(model, file, revise_keys=[...])`."""

from __future__ import annotations

from collections.abc import Iterable

from ckpt_explorer.export.code import GROUPING, needs_grouping, pattern_and_replacement
from ckpt_explorer.rules import Rule

_LEFT = {
    "drop": "leaves keys out: the loader will list them as unexpected, which does no harm",
    "transform": "changes tensors, which revise_keys can't: convert the file instead",
    "combine": "makes one tensor of two, which revise_keys can't: convert the file instead",
    "fill": "fills in constants, which revise_keys can't: convert the file instead",
    "take from": "chooses a state dict, which the loader does by its own rule",
}


def as_revise_keys(rules: Iterable[Rule]) -> str:
    """Python text that defines `revise_keys`; what it can't say stands in it as a comment."""
    lines = ["revise_keys = ["]
    for rule in rules:
        if not rule.enabled:
            continue
        found = pattern_and_replacement(rule)
        if found is None:
            lines.append(f"    # {_one_line(str(rule))}: {_LEFT[rule.kind]}")
        else:
            lines.append(f"    ({found[0]!r}, {found[1]}),")
    lines.append("]")
    text = "\n".join(lines) + "\n"
    if "number(" in text:
        text = "def number(value):\n    return max(value, 0)\n\n\n" + text
    if needs_grouping(text):
        text = GROUPING.lstrip() + "\n" + text
    return text


def _one_line(text: str) -> str:
    return " ".join(text.split())
