"""anatomy_of(): a residual network in a state dict, taken apart: what every one of its tensors is, whatever its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ckpt_explorer.anatomy.blocks import blocks_of, with_shortcuts
from ckpt_explorer.anatomy.ends import Stem, head_of, stem_of
from ckpt_explorer.anatomy.gaps import blocks_with_gaps
from ckpt_explorer.anatomy.layers import Layer, Layers, Shape, layers_of
from ckpt_explorer.anatomy.networks import Network, networks_of
from ckpt_explorer.anatomy.norms import Match, norms_of_blocks
from ckpt_explorer.anatomy.slots import settle
from ckpt_explorer.anatomy.tokens import shared_front, tokens
from ckpt_explorer.copies import is_averaged, is_copy


class Place(NamedTuple):
    """Where a layer stands in a residual network: `part` is stem, block or head; stages and blocks count from 0.

    `slot` is conv1, conv2, conv3 or shortcut in a block, `norm` whether it is the norm behind that conv.
    """

    part: str
    stage: int
    block: int
    slot: str
    norm: bool


class Placed(NamedTuple):
    """A layer in its place, the root that its block has in the name tree, and whether only order put it there."""

    place: Place
    layer: Layer
    root: str
    by_order: bool


@dataclass(frozen=True, eq=False)
class Anatomy:
    """One residual network of a state dict, and `siblings`: the other networks in it."""

    layers: Layers
    network: Network
    stem: Stem | None
    head: Layer | None
    norms: Mapping[int, Match]
    siblings: tuple[Network, ...]

    @cached_property
    def placed(self) -> dict[Place, Placed]:
        """Every layer of the network by its place."""
        return {row.place: row for row in self._walk()}

    def belongs_to_another(self, key: str) -> bool:
        """Whether a key of the file lies in another network of it: in its blocks, or nearer to it by name."""
        path = tokens(key)
        mine = shared_front(path, self.network.root)
        return any(
            shared_front(path, other.root) > mine
            or any(path[: len(block.root)] == block.root for block in other.blocks if block.nested)
            for other in self.siblings
        )

    def lies_behind(self, key: str) -> bool:
        """Whether a key is of a layer beside the network's own root that takes its features, as a detector's first one."""
        return key in self._behind

    @cached_property
    def _behind(self) -> frozenset[str]:
        root, features = self.network.root, self.network.blocks[-1].out
        taken = {id(row.layer) for row in self.placed.values()}
        return frozenset(
            key
            for layer in (*self.layers.convs, *self.layers.linears)
            if layer.inputs >= features and layer.path[: len(root)] != root and id(layer) not in taken
            for key in layer.keys.values()
        )

    def _walk(self) -> Iterator[Placed]:
        if self.stem:
            yield Placed(Place("stem", 0, 0, "conv", False), self.stem.conv, "", False)
            if self.stem.norm:
                yield Placed(Place("stem", 0, 0, "conv", True), self.stem.norm.norm, "", self.stem.norm.by_order)
        for stage, blocks in enumerate(self.network.stages):
            for number, block in enumerate(blocks):
                root = "".join(block.root) if block.nested else ""
                doubted = id(block) in self.network.by_order
                for slot, conv in block.convs.items():
                    yield Placed(Place("block", stage, number, slot, False), conv, root, block.by_order or doubted)
                    if match := self.norms.get(id(conv)):
                        unsure = block.by_order or doubted or match.by_order
                        yield Placed(Place("block", stage, number, slot, True), match.norm, root, unsure)
        if self.head:
            yield Placed(Place("head", 0, 0, "head", False), self.head, "", False)


def anatomies_of(shapes: Mapping[str, Shape]) -> list[Anatomy]:
    """The residual networks in a state dict of these shapes, by convention the one to load first.

    Of several, the largest come first; of equals, what does not read like an averaged or momentum copy, then what has
    a stem and a head, then the shorter name.
    """
    layers = layers_of(shapes)
    blocks, left = blocks_of(layers.convs)
    if not blocks:
        return []
    settle(blocks)
    left = with_shortcuts(blocks, left)
    with_gaps, left = blocks_with_gaps(left, blocks)
    blocks += with_gaps
    networks = [network for network in networks_of(blocks) if network.dims]
    largest = len(networks[0].blocks)
    chosen = [network for network in networks if len(network.blocks) * 5 >= largest * 4]
    found = [_anatomy(network, networks, layers, left) for network in chosen[:16]]
    return sorted(found, key=_standing)


def anatomy_of(shapes: Mapping[str, Shape]) -> Anatomy | None:
    """The residual network in a state dict of these shapes that convention prefers; None where there is none."""
    found = anatomies_of(shapes)
    return found[0] if found else None


def _standing(found: Anatomy) -> tuple[object, ...]:
    front = "".join(found.network.root)
    return (
        -len(found.network.blocks),
        is_copy(front) + is_averaged(front),
        found.stem is None,
        found.head is None,
        len(found.network.root),
        front,
    )


def _anatomy(network: Network, networks: Sequence[Network], layers: Layers, left: Sequence[Layer]) -> Anatomy:
    others = tuple(other for other in networks if other is not network)
    norms = norms_of_blocks(network.blocks, layers.norms)
    taken = {id(match.norm) for match in norms.values()}
    mine = _Relatives(network, others)
    free = [norm for norm in layers.norms if id(norm) not in taken and mine(norm)]
    stem = stem_of(network, [conv for conv in left if mine(conv)], free)
    flat = [*layers.linears, *(conv for conv in left if conv.kernel == 1)]
    head = head_of(network, [layer for layer in flat if mine(layer)])
    return Anatomy(layers, network, stem, head, norms, others)


class _Relatives:
    """Whether a layer outside of all blocks may belong to a network: no other one is nearer to it by name."""

    def __init__(self, network: Network, others: Sequence[Network]) -> None:
        self.root = network.root
        self.others = {other.root for other in others} - {network.root}
        self.nested = {block.root for one in (network, *others) for block in one.blocks if block.nested}
        self.depths = sorted({len(root) for root in self.nested})

    def __call__(self, layer: Layer) -> bool:
        near = shared_front(layer.path, self.root)
        return all(shared_front(layer.path, root) <= near for root in self.others) and not any(
            layer.path[:depth] in self.nested for depth in self.depths
        )
