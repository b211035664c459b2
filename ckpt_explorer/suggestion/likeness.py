"""candidates_for(): which keys could be the other half of a row, by shape, by place in the network and by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from math import prod
from typing import Literal, NamedTuple
from weakref import WeakKeyDictionary

from ckpt_explorer.alignment import Alignment, KeyPair, Status
from ckpt_explorer.anatomy import Anatomy
from ckpt_explorer.anatomy.anatomy import Place
from ckpt_explorer.anatomy.leaves import split
from ckpt_explorer.anatomy.tokens import bare, number, tokens
from ckpt_explorer.architectures.architecture import Architecture
from ckpt_explorer.rules.arithmetic import OPERATIONS, Shape
from ckpt_explorer.suggestion.pairing import model_anatomy
from ckpt_explorer.suggestion.structure import networks_in
from ckpt_explorer.text import listed, shape_as_text

MOST_LOOKED_AT = 60
"""Keys of one bucket of the index that are compared by name."""

Side = Literal["checkpoint", "model"]


@dataclass(frozen=True)
class PlaceCandidate:
    """A key that could be the other half of a row, and on which side it is free.

    `score` goes from 0 to 1; `shape_says`, `place_says` and `name_says` are what speaks for it or against, "" for nothing.
    """

    side: Side
    key: str
    shape: Shape
    score: float
    shape_says: str
    place_says: str
    name_says: str

    @property
    def says(self) -> str:
        """All that speaks for it, in one line."""
        return "; ".join(part for part in (self.shape_says, self.place_says, self.name_says) if part)


class Role(NamedTuple):
    """What a tensor is in a residual network: where its layer stands, and which of the layer's tensors it is."""

    place: Place
    role: str
    operand: str = ""

    @property
    def says(self) -> str:
        """`norm behind conv2, block 3 of stage 2`, counted from 1."""
        place = self.place
        if place.part == "head":
            return "the last layer"
        layer = f"the norm behind {place.slot}" if place.norm else place.slot
        if place.part == "stem":
            return "the stem's norm" if place.norm else "the stem's conv"
        return f"{layer}, block {place.block + 1} of stage {place.stage + 1}"


class _Free:
    """The keys of one side that have no partner, by shape, by count of values and by place in the network."""

    def __init__(self, side: Side, shapes: dict[str, Shape], names: dict[str, str], roles: dict[str, Role]) -> None:
        self.side, self.shapes, self.names, self.roles = side, shapes, names, roles
        self.by_shape: dict[object, list[str]] = defaultdict(list)
        self.by_role: dict[Role, str] = {}
        for key, shape in shapes.items():
            name = names[key]
            numbers, words = _numbers(name), _words(name)
            for bucket in ((shape,), (shape, numbers), (shape, words[-1:]), (shape, numbers[-1:], words[-1:])):
                self.by_shape[bucket].append(key)
            self.by_shape[prod(shape)].append(key)
            if key in roles:
                self.by_role.setdefault(roles[key], key)

    def near(self, name: str, shape: Shape, role: Role | None) -> Iterable[str]:
        """Keys to compare with: that in the same place, then those of the same shape with like numbers or words."""
        numbers, words = _numbers(name), _words(name)
        found: dict[str, None] = {}
        if role is not None and (there := self.by_role.get(role)):
            found[there] = None
        buckets: tuple[object, ...] = (
            (shape, numbers),
            (shape, numbers[-1:], words[-1:]),
            (shape, words[-1:]),
            (shape,),
            prod(shape),
        )
        for bucket in buckets:
            found.update(dict.fromkeys(self.by_shape.get(bucket, ())[:MOST_LOOKED_AT]))
        return found


class _Index(NamedTuple):
    file: _Free
    model: _Free
    file_roles: dict[str, Role]
    model_roles: dict[str, Role]


_KNOWN: WeakKeyDictionary[Alignment, _Index] = WeakKeyDictionary()


def candidates_for(alignment: Alignment, pair: KeyPair, limit: int = 5) -> tuple[PlaceCandidate, ...]:
    """What could be the other half of a row, best first: free keys of the file for a place that is missing, free places
    for a key that is unexpected or left out, both for a pair that does not fit.

    The first call for an alignment looks at all its keys, later ones at a few. No tensor is read.
    """
    index = _indexed(alignment)
    found: list[PlaceCandidate] = []
    if pair.model is not None and pair.status in (Status.MISSING, Status.SHAPE_MISMATCH):
        shape = alignment.architecture.tree[pair.model].shape
        found += _compared(index.file, pair.model, shape, index.model_roles.get(pair.model))
    if pair.checkpoint is not None and pair.status in (Status.UNEXPECTED, Status.IGNORED, Status.SHAPE_MISMATCH):
        shape = alignment.state_dict[pair.checkpoint].shape
        name = pair.renamed or pair.checkpoint
        found += _compared(index.model, name, shape, index.file_roles.get(pair.checkpoint))
    return tuple(sorted(found, key=lambda row: -row.score)[:limit])


def _indexed(alignment: Alignment) -> _Index:
    if alignment not in _KNOWN:
        file_roles, model_roles = roles_of(alignment)
        left = alignment.rows(Status.UNEXPECTED, Status.IGNORED)
        files = {
            pair.checkpoint: alignment.state_dict[pair.checkpoint].shape for pair in left if pair.checkpoint is not None
        }
        names = {pair.checkpoint: (pair.renamed or pair.checkpoint) for pair in left if pair.checkpoint is not None}
        missing = [pair.model for pair in alignment.rows(Status.MISSING) if pair.model]
        models = {key: alignment.architecture.tree[key].shape for key in missing}
        _KNOWN[alignment] = _Index(
            _Free("checkpoint", files, names, file_roles),
            _Free("model", models, {key: key for key in models}, model_roles),
            file_roles,
            model_roles,
        )
    return _KNOWN[alignment]


_ROLES: WeakKeyDictionary[Architecture, dict[str, Role]] = WeakKeyDictionary()


def roles_of(alignment: Alignment) -> tuple[dict[str, Role], dict[str, Role]]:
    """What structure says that each key of the file is, and each of the network; empty where it says nothing."""
    file_roles = _roles(networks_in(alignment.state_dict)[:1])
    architecture = alignment.architecture
    if file_roles and architecture not in _ROLES:
        model = model_anatomy(architecture)
        _ROLES[architecture] = _roles([model] if model else [])
    return file_roles, _ROLES.get(architecture, {})


def _roles(networks: Iterable[Anatomy]) -> dict[str, Role]:
    return {
        key: Role(row.place, leaf.role, leaf.operand)
        for network in networks
        for row in network.placed.values()
        for leaf, key in row.layer.keys.items()
    }


def _compared(free: _Free, name: str, shape: Shape, role: Role | None) -> Iterator[PlaceCandidate]:
    for key in free.near(name, shape, role):
        theirs = free.shapes[key]
        shape_score, shape_says = _shape_likeness(shape, theirs, free.side)
        name_score, name_says = _name_likeness(name, free.names[key])
        other = free.roles.get(key)
        if role is None or other is None:
            score, place_says = 0.5 * shape_score + 0.5 * name_score, ""
        else:
            place_score, place_says = _place_likeness(role, other)
            score = 0.4 * shape_score + 0.4 * place_score + 0.2 * name_score
        yield PlaceCandidate(free.side, key, theirs, round(score, 3), shape_says, place_says, name_says)


def _shape_likeness(one: Shape, other: Shape, side: Side) -> tuple[float, str]:
    if one == other:
        return 1.0, f"the same shape {shape_as_text(one)}"
    ours, wanted = (other, one) if side == "checkpoint" else (one, other)
    for name, operation in OPERATIONS.items():
        if operation.shape(ours) == wanted:
            return 0.8, f"the shape fits after {name}: {shape_as_text(ours)} to {shape_as_text(wanted)}"
    if sorted(one) == sorted(other):
        return 0.5, f"the same sides in another order: {shape_as_text(ours)} for {shape_as_text(wanted)}"
    if prod(one) == prod(other):
        return 0.3, f"as many values, another shape: {shape_as_text(ours)} for {shape_as_text(wanted)}"
    return 0.0, f"another shape: {shape_as_text(ours)} for {shape_as_text(wanted)}"


def _place_likeness(role: Role, other: Role) -> tuple[float, str]:
    if role == other:
        return 1.0, f"the same place by structure: {role.says}"
    same_layer = role.place == other.place
    if same_layer:
        return 0.5, f"another tensor of the same layer: {role.says}"
    kind = (role.place.part, role.place.slot, role.place.norm, role.role)
    if kind == (other.place.part, other.place.slot, other.place.norm, other.role):
        return 0.4, f"the same layer of another block: {other.says}"
    return 0.0, f"another place by structure: {other.says}"


def _name_likeness(one: str, other: str) -> tuple[float, str]:
    ours, theirs = ([bare(token) for token in tokens(name[:400])] for name in (one, other))
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    common = [word for block in blocks for word in ours[block.a : block.a + block.size] if word]
    score = 2 * len(common) / max(len(ours) + len(theirs), 1)
    leaf = [found[1].role for name in (one, other) if (found := split(name))]
    if len(leaf) == 2 and leaf[0] == leaf[1] and (not common or common[-1] != ours[-1]):
        score += 0.2
        common.append(f"both a {leaf[0]}")
    return min(score, 1.0), f"names share {listed(common, 6)}" if common else ""


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(found for token in tokens(name[:400]) if (found := number(token)) is not None)


def _words(name: str) -> tuple[str, ...]:
    return tuple(bare(token) for token in tokens(name[:400]) if number(token) is None)
