"""The command line and the Python that do what the Align page shows, for copying."""

from __future__ import annotations

import json
import shlex
from typing import Any

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.ui.session import Session

END = "END_OF_RULES"


def copies(here: Session, alignment: Alignment) -> dict[str, str]:
    """By the label of the button: the text that it copies."""
    if here.target.kind == "reference" or here.checkpoint is None:
        return {}
    return {"the command": command(here, alignment), "the Python": python(here, alignment)}


def command(here: Session, alignment: Alignment) -> str:
    """`convert` with the same file, state dict, network and rules; the rules come from a here-document."""
    assert here.checkpoint is not None
    target = here.target
    words = ["python", "-m", "ckpt_explorer", "convert", here.checkpoint.name, "converted.pth"]
    if here.checkpoint.member:
        words += ["--member", here.checkpoint.member]
    if alignment.state_dict.path:
        words += ["--state-dict", alignment.state_dict.path]
    words += ["--model" if target.kind == "class" else "--arch", target.name]
    if target.num_classes:
        words += ["--num-classes", str(target.num_classes)]
    if target.in_channels:
        words += ["--in-channels", str(target.in_channels)]
    for name, value in target.options.items():
        words += ["--option", f"{name}={_option(value)}"]
    return f"{shlex.join(words)} --rules /dev/stdin <<'{END}'\n{_rules(alignment)}\n{END}"


def python(here: Session, alignment: Alignment) -> str:
    """The same alignment by the Python interface."""
    assert here.checkpoint is not None
    target = here.target
    given = {"num_classes": target.num_classes, "in_channels": target.in_channels, "options": dict(target.options)}
    named = "".join(f", {name}={value!r}" for name, value in given.items() if value)
    network = "own_class" if target.kind == "class" else "architecture"
    return f"""from ckpt_explorer import align, {network}, open_checkpoint, rules_from_json

rules = rules_from_json({_rules(alignment)!r})
checkpoint = open_checkpoint({here.checkpoint.name!r})
alignment = align(checkpoint.state_dict_at({alignment.state_dict.path!r}), {network}({target.name!r}{named}), rules)
print(alignment.verdict, alignment.says)
"""


def _rules(alignment: Alignment) -> str:
    return json.dumps([{**rule.as_json(), "why": rule.why} for rule in alignment.rules])


def _option(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
