"""Other readings of a file: further copies of the network in it, each one click away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_explorer.anatomy import Anatomy
from ckpt_explorer.anatomy.tokens import shared_front
from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.rules import RuleSet
from ckpt_explorer.text import plural

if TYPE_CHECKING:
    from ckpt_explorer.suggestion.second_opinion import SecondOpinion

ANOTHER_COPY = 0.8
"""A second place counts as a copy of the network when it holds at least this share of the first."""


@dataclass(frozen=True)
class Alternative:
    """Another reading of the file: a second copy of the network, at a state dict's path and below a prefix."""

    state_dict: str
    prefix: str
    says: str

    def as_json(self) -> dict[str, str]:
        """The alternative as `align --json` lists it."""
        return {"state_dict": self.state_dict, "prefix": self.prefix, "says": self.says}


@dataclass(frozen=True)
class Suggestion:
    """Rules that make the file fit, other readings of it, and the file's keys that only order put in their place.

    `second_opinion` is what the values say of those, where they were asked.
    """

    rules: RuleSet
    alternatives: tuple[Alternative, ...] = ()
    by_order: frozenset[str] = frozenset()
    second_opinion: SecondOpinion | None = None


def prefix_apart(anatomy: Anatomy, other: Anatomy) -> str:
    """What stands in front of `anatomy` and not of `other`: the shortest front that tells the two apart."""
    mine, theirs = anatomy.network.root, other.network.root
    at = shared_front(mine, theirs)
    if at == len(mine):
        return _with_separator(anatomy, "".join(mine)) if mine and at < len(theirs) else ""
    until = at + 1
    while until < len(mine) and (mine[until][0].isalnum() or mine[until][0] == "_"):
        until += 1
    return _with_separator(anatomy, "".join(mine[:until]))


def _with_separator(anatomy: Anatomy, front: str) -> str:
    """`front` with what separates it from the blocks behind it."""
    behind = "".join(anatomy.network.blocks[0].root)[len(front) :]
    return front + (behind[0] if behind[:1] in ("_", "/", ".") else ".")


def copies_beside(chosen: Anatomy, networks: Sequence[Anatomy], path: str) -> Iterator[Alternative]:
    """The other networks of a state dict that are as large as the chosen one."""
    least = ANOTHER_COPY * len(chosen.network.blocks)
    for other in networks:
        if other is not chosen and len(other.network.blocks) >= least:
            keys = sum(len(row.layer.keys) for row in other.placed.values())
            yield Alternative(path, prefix_apart(other, chosen), f"another copy of the network, {plural(keys, 'key')}")


def other_state_dicts(checkpoint: Checkpoint) -> Iterator[Alternative]:
    """State dicts of the file that hold as many tensors as the selected one."""
    chosen = checkpoint.state_dict
    for other in checkpoint.state_dicts:
        if other is not chosen and len(other) >= ANOTHER_COPY * len(chosen):
            yield Alternative(other.path, "", f"another state dict of {plural(len(other), 'tensor')}")
