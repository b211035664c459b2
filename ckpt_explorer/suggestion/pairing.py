"""pairs_between(): which tensor of the file is which of the network, by their places in two anatomies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from ckpt_explorer.anatomy import Anatomy, Placed, anatomy_of
from ckpt_explorer.anatomy.layers import Shape
from ckpt_explorer.anatomy.leaves import Leaf, Role, split
from ckpt_explorer.architectures.architecture import Architecture

_ROLES: tuple[Role, ...] = ("weight", "bias", "mean", "var", "count")


class Side(NamedTuple):
    """One side of a pair: its key, cut into the block's root, the layer below it, and the tensor of the layer.

    The three texts together are the key; separators stand at the front of a text.
    """

    key: str
    root: str
    layer: str
    leaf: str


class Pair(NamedTuple):
    """A tensor of the file and the tensor of the network that it is, or a part of; `by_order`: only order says so."""

    file: Side
    model: Side
    place: str
    role: Role
    operand: str
    by_order: bool


@dataclass(frozen=True)
class Pairing:
    """All pairs between a network found in a file and the network wanted; `turned` is the operation that kernels need, or empty."""

    pairs: tuple[Pair, ...]
    anatomy: Anatomy
    turned: str


def model_anatomy(architecture: Architecture) -> Anatomy | None:
    """The network's own key tree, taken apart; None where it is no residual network."""
    return _known_anatomy(tuple((key, wanted.shape) for key, wanted in architecture.tree.items()))


@lru_cache(maxsize=16)
def _known_anatomy(tree: tuple[tuple[str, Shape], ...]) -> Anatomy | None:
    return anatomy_of(dict(tree))


def pairs_between(file: Anatomy, model: Anatomy) -> Pairing:
    """The tensors that stand in the same place in both, by the file's order of names."""
    pairs: list[Pair] = []
    theirs = model.placed
    for place, ours in file.placed.items():
        wanted = theirs.get(place)
        if wanted is None or not _one_size(ours, wanted):
            continue
        kind = f"{place.part} {place.slot}{' norm' if place.norm else ''}"
        for leaf, key in sorted(ours.layer.keys.items(), key=lambda row: (_ROLES.index(row[0].role), row[0].operand)):
            model_key = wanted.layer.keys.get(Leaf(leaf.role))
            if model_key is not None:
                pairs.append(
                    Pair(_side(key, ours), _side(model_key, wanted), kind, leaf.role, leaf.operand, ours.by_order)
                )
    axes, wanted_axes = file.layers.axes, model.layers.axes
    return Pairing(tuple(pairs), file, f"{axes} to OIHW" if axes != wanted_axes == "OIHW" else "")


def exchanged(pairing: Pairing, moves: Mapping[str, str]) -> Pairing:
    """The pairing with tensors in each other's place: what stands at the value of a module in `moves` belongs at its key."""
    targets = {source: module for module, source in moves.items()}
    known = {pair.model.key: pair for pair in pairing.pairs}
    pairs = []
    for pair in pairing.pairs:
        module, dot, leaf = pair.model.key.rpartition(".")
        there = known.get(f"{targets[module]}{dot}{leaf}") if module in targets else None
        pairs.append(pair if there is None else pair._replace(model=there.model, place=there.place))
    return replace(pairing, pairs=tuple(pairs))


def _one_size(ours: Placed, wanted: Placed) -> bool:
    """Whether two layers of one place can be each other; the ends may differ in classes and in input channels."""
    one, other = ours.layer, wanted.layer
    if ours.place.norm:
        return one.out == other.out
    if ours.place.part == "head":
        return one.inputs == other.inputs
    return (
        one.out == other.out
        and one.kernel == other.kernel
        and (ours.place.part == "stem" or one.inputs == other.inputs)
    )


def _side(key: str, placed: Placed) -> Side:
    name, root = placed.layer.name, placed.root
    if not key.startswith(name):
        name = _common(key, name)
    if not root or not name.startswith(root):
        root = ""
    return Side(key, root, name[len(root) :], key[len(name) :])


def _common(key: str, name: str) -> str:
    """The name of a layer whose tensor lies under another name, as its own key has it: all but its last words."""
    found = split(key)
    return found[0] if found else key[: len(name)]


def filled_by(pairing: Pairing) -> Mapping[str, list[Pair]]:
    """The pairs by the network's key; two where a tensor is made of two."""
    found: dict[str, list[Pair]] = {}
    for pair in pairing.pairs:
        found.setdefault(pair.model.key, []).append(pair)
    return found
