"""Every network that can be chosen, by name."""

from __future__ import annotations

from ckpt_explorer.architectures.residual import NAMES
from ckpt_explorer.ui.operator import operator
from ckpt_explorer.ui.session import Session
from ckpt_explorer.ui.target import Target


def targets(here: Session) -> dict[str, tuple[Target, str]]:
    """Every network on offer by name, with what is said of it: those that fit best first.

    What is said stays the same while a file is open: a menu tells its choice by the words that it showed.
    """
    found = {row.name: (Target.of(row), f"{row.score:.0%} agrees") for row in here.candidates}
    own = [here.example.architecture] if here.example and here.example.architecture else []
    seen = here.candidates[0] if here.candidates else None
    classes, channels = (seen.num_classes, seen.in_channels) if seen else (None, None)
    offered: dict[str, tuple[Target, str]] = {}
    for name in (*operator().models, *own):
        offered[name] = (Target("class", name), "your own class")
    offered.update(found)
    for name in NAMES:
        target = Target("custom" if name == "custom" else "named", name, classes, channels)
        if name == "custom" and here.as_custom is not None:
            target = Target.of(here.as_custom)
        offered.setdefault(name, (target, ""))
    offered["another checkpoint's keys"] = (Target("reference", "another checkpoint's keys"), "align and convert only")
    return offered
