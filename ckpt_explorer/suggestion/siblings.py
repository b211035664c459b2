"""The other tensors of a layer, when one of them was paired by hand: their words for bias and mean, and their halves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ckpt_explorer.anatomy.leaves import Leaf, split
from ckpt_explorer.rules import Rule
from ckpt_explorer.suggestion.arithmetic import COMBINED, WHY_COMBINED


def leaf_renames(names: Iterable[str], tree: Mapping[str, object], name: str, wanted: str) -> tuple[Rule, ...]:
    """Renames of the last words of the other tensors of the layer of `name`, by what each is in the layer of `wanted`."""
    ours, theirs = split(name), split(wanted)
    if ours is None or theirs is None or ours[1].role != theirs[1].role or ours[1].operand:
        return ()
    words: dict[str, str] = {}
    for other in names:
        if other == name or not other.startswith(ours[0]):
            continue
        found = split(other)
        if found is None or found[0] != ours[0] or found[1].operand:
            continue
        last = other[len(ours[0]) :].lstrip("._/")
        for key in _leaves_of(tree, theirs[0], found[1]):
            place = key[len(theirs[0]) :].lstrip(".")
            if place != last:
                words[last] = place
    return tuple(Rule("rename", f"{last}$", place) for last, place in words.items())


def _leaves_of(tree: Mapping[str, object], front: str, leaf: Leaf) -> Iterable[str]:
    for word in _WORDS.get(leaf.role, ()):
        if (key := f"{front}.{word}" if front else word) in tree:
            yield key


_WORDS = {
    "weight": ("weight",),
    "bias": ("bias",),
    "mean": ("running_mean",),
    "var": ("running_var",),
    "count": ("num_batches_tracked",),
}
"""PyTorch's words for the tensors of a layer."""


def parts_combined(names: Iterable[str], name: str, wanted: str) -> Rule | None:
    """The rule that makes the tensor of two, where `name` is one half of it: a mask, or weight norm's length."""
    ours, theirs = split(name), split(wanted)
    if ours is None or theirs is None or not ours[1].operand or theirs[1].operand:
        return None
    halves = {ours[1].operand: name}
    for other in names:
        found = split(other) if other != name and other.startswith(ours[0]) else None
        if found is not None and found[0] == ours[0] and found[1].role == ours[1].role and found[1].operand:
            halves[found[1].operand] = other
    for pair, text in COMBINED.items():
        if set(pair) == set(halves):
            ends = [halves[part][len(ours[0]) :].lstrip("._/") for part in pair]
            return Rule("combine", text.format(*ends), wanted[len(theirs[0]) :].lstrip("."), why=WHY_COMBINED[pair])
    return None
