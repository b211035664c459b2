"""The verdict in words: what is wrong, and what can be trusted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckpt_explorer.key_pair import Status, Verdict, is_counter, named
from ckpt_explorer.text import plural, visible

if TYPE_CHECKING:
    from ckpt_explorer.alignment import Alignment

_NUMBERED = re.compile(r"^(.*?)\d+$")


def explain(alignment: Alignment) -> str:
    """The verdict and its reason, in one or two sentences for a person."""
    return " ".join(part for part in (_first(alignment), _also(alignment)) if part)


def _first(alignment: Alignment) -> str:
    name = visible(alignment.architecture.name)
    wanted = [key for key in alignment.architecture.tree if not is_counter(key)]
    filled = len(alignment.filled)
    share = f"{filled:,} of {plural(len(wanted), 'tensor')}"
    if alignment.verdict is Verdict.COMPLETE:
        return f"Every parameter and buffer of {name} comes from the file ({share})."
    if alignment.verdict is Verdict.PARTIAL and not alignment.unfilled:
        return f"All weights of {name} come from the file ({share}); {plural(len(alignment.fills), 'tensor')} ({named(list(alignment.fills))}) are constants that a rule puts there."
    if alignment.verdict is Verdict.PARTIAL:
        return f"The trunk of {name} is filled ({share}); {named(alignment.unfilled)} would be random, so class answers mean nothing."
    if not filled and alignment.rows(Status.SHAPE_MISMATCH):
        named_alike = plural(len(alignment.rows(Status.SHAPE_MISMATCH)), "key")
        return f"Nothing of {name} is filled: {named_alike} of the file have the network's names, and every one another shape."
    if not filled:
        return f"Nothing of {name} is filled: no key of the file, with these rules, is a key of the network."
    if alignment.strangers:
        kept = "" if alignment.unfilled else " although every key of the network is filled"
        lie = "lies inside it and has" if len(alignment.strangers) == 1 else "lie inside it and have"
        return (
            f"This is another network than {name}{kept}: {named(alignment.strangers)} of the file {lie} no place there."
        )
    return f"{share.capitalize()} of {name} come from the file; {named(alignment.unfilled)} would be random inside the trunk, so no answer could be trusted."


def _also(alignment: Alignment) -> str:
    notes = []
    beyond = continues_beyond(alignment)
    if beyond and alignment.verdict is not Verdict.INCOMPATIBLE:
        notes.append(
            f"The file goes on with {named(beyond)}, which this network does not have: its features are those of an earlier stage."
        )
    counters = [pair for pair in alignment.rows(Status.MISSING) if pair.is_counter]
    if counters and alignment.verdict is not Verdict.INCOMPATIBLE:
        notes.append(f"{plural(len(counters), 'counter')} num_batches_tracked, which no output depends on, start at 0.")
    if alignment.by_order and alignment.verdict is not Verdict.INCOMPATIBLE:
        doubted = alignment.doubted
        notes.append(
            f"Nothing but the order of names decides the places of {plural(len(doubted), 'tensor')} ({named(doubted)}): compare with the code that trained them."
        )
    return " ".join(notes)


def continues_beyond(alignment: Alignment) -> tuple[str, ...]:
    """Numbered parts of the file that follow on parts of the model: `layer3` where the model ends with `layer2`."""
    tops = dict.fromkeys(name.split(".")[0] for name in alignment.architecture.tree)
    stems = {found[1] for top in tops if (found := _NUMBERED.match(top))}
    beyond = dict.fromkeys((pair.renamed or "").split(".")[0] for pair in alignment.rows(Status.UNEXPECTED))
    return tuple(
        top for top in beyond if top not in tops and (found := _NUMBERED.match(top)) and found[1] and found[1] in stems
    )
