"""What the browser keeps of the work on one file: the rules, and the network and state dict that they are for.

It goes out as text and comes back as text that anybody could have written, so it is read like any other input. It can
choose among what is on offer here, and nothing else: a class of one's own, for one, only where the operator offers it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.errors import ArchitectureError, RuleError
from ckpt_explorer.rules import RuleSet, rules_from_json
from ckpt_explorer.ui.target import Target

MOST_CHARACTERS = 200_000
"""Characters of one record: what is longer is not kept, and not read."""


@dataclass(frozen=True)
class Remembered:
    """Rules, with the state dict and the network that they were written for, and the name that the file had then."""

    rules: RuleSet
    state_dict: str
    target: Target
    name: str

    def as_text(self) -> str:
        """The record as the browser keeps it; empty where it is too long to be kept."""
        target = self.target
        text = json.dumps(
            {
                "rules": self.rules.as_json(),
                "state_dict": self.state_dict,
                "kind": target.kind,
                "network": target.name,
                "num_classes": target.num_classes,
                "in_channels": target.in_channels,
                "options": target.options,
                "name": self.name,
            },
            default=list,
        )
        return text if len(text) <= MOST_CHARACTERS else ""


def remembered_from(text: Any, checkpoint: Checkpoint, own_classes: Collection[str]) -> Remembered | None:
    """Read a record for `checkpoint`; None where it is none, or what it names is not on offer (any more)."""
    if not isinstance(text, str) or not 0 < len(text) <= MOST_CHARACTERS:
        return None
    try:
        given = json.loads(text)
        if not isinstance(given, dict):
            return None
        rules = rules_from_json(json.dumps(given.get("rules")))
        target = _target(given, own_classes)
    except (ValueError, RecursionError, RuleError, ArchitectureError):
        return None
    path = given.get("state_dict")
    if path not in [row.path for row in checkpoint.state_dicts]:
        return None
    return Remembered(rules, path, target, str(given.get("name", ""))[:300])


def _target(given: dict[str, Any], own_classes: Collection[str]) -> Target:
    """The network of a record, which can be built.

    Raises:
        ArchitectureError, ValueError: it is not on offer, or can't be built as it is said.
    """
    kind: Any = given.get("kind")
    name, options = given.get("network"), given.get("options", {})
    classes, channels = given.get("num_classes"), given.get("in_channels")
    for count in (classes, channels):
        if count is not None and (not isinstance(count, int) or isinstance(count, bool)):
            raise ValueError("no count")
    if not isinstance(name, str) or not isinstance(options, dict):
        raise ValueError("no network")
    offered = {
        "class": name in own_classes and not options,
        "named": name != "custom",
        "custom": name == "custom",
    }
    if not offered.get(str(kind)):
        raise ValueError("no network on offer")
    target = Target(kind, name, classes, channels, options)
    target.architecture()
    return target
