"""The two ends of a network: the conv that takes the image, and the layer that names the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ckpt_explorer.anatomy.layers import Layer
from ckpt_explorer.anatomy.leaves import Leaf
from ckpt_explorer.anatomy.networks import Network
from ckpt_explorer.anatomy.norms import Match, nearest
from ckpt_explorer.anatomy.tokens import Tokens, bare, natural, number, rank, shared_front

HEAD_WORDS = [
    "fc",
    "linear",
    "classifier",
    "classif",
    "head",
    "logits",
    "output",
    "out",
    "last_linear",
    "cls",
    "predictions",
    "predict",
    "dense",
    "pred",
    "score",
    "top",
]
NO_HEAD_WORDS = frozenset(
    [
        "projection",
        "projector",
        "proj",
        "predictor",
        "embed",
        "embedding",
        "embeddings",
        "embedder",
        "bbox",
        "box",
        "mask",
        "rpn",
    ]
)


@dataclass(frozen=True, eq=False)
class Stem:
    """The first conv with its norm, and `more` convs beside it where the stem is deeper than one conv."""

    conv: Layer
    norm: Match | None
    more: tuple[Layer, ...] = ()


def stem_of(network: Network, left: Sequence[Layer], norms: Sequence[Layer]) -> Stem | None:
    """The conv in front of the first block: it gives what the block takes, and is the blocks' nearest relative.

    A conv that has a norm of its own comes before one that has none, and one that takes few channels before others.
    """
    width = network.blocks[0].inputs
    possible = [conv for conv in left if conv.out == width and conv.kernel > 1 and conv.dims == network.dims]
    if not possible:
        return None
    free = [norm for norm in norms if norm.out == width]
    near = {id(conv): nearest(conv, free) for conv in possible}

    def standing(conv: Layer) -> tuple[object, ...]:
        kin = shared_front(conv.path, network.root)
        return (-kin, conv.inputs > 16, near[id(conv)] is None, -conv.kernel, natural(conv.path))

    conv = min(possible, key=standing)
    home = network.root[: shared_front(conv.path, network.root)]
    before = [
        other
        for other in left
        if other is not conv
        and other.path[: len(home)] == home
        and other.kernel > 1
        and other.dims == conv.dims
        and (other.out == conv.inputs or (other.inputs == width == other.out and _same_part(other, conv, home)))
    ]
    return Stem(conv, near[id(conv)], tuple(before))


def _same_part(one: Layer, other: Layer, home: Tokens) -> bool:
    """Whether two layers share the first word below `home`."""
    at = len(home)
    return len(one.path) > at and len(other.path) > at and bare(one.path[at]) == bare(other.path[at])


def head_of(network: Network, flat: Sequence[Layer]) -> Layer | None:
    """The last layer: it takes the network's features, and no layer of its own kind stands before or behind it.

    Of a list whose first layers take fewer features, it is the last one: the others are exits on the way.
    `flat` are the linear layers and 1x1 convs outside of all blocks. A layer of a projection head is none.
    """
    features = network.blocks[-1].out
    possible = [
        layer for layer in flat if layer.inputs == features and not _in_chain(layer, flat) and _may_name_classes(layer)
    ]
    if not possible:  # a last layer may be stored with its inputs first
        possible = [
            replace(layer, out=layer.inputs, inputs=layer.out)
            for layer in flat
            if layer.kind == "linear"
            and layer.out == features
            and layer.bias == layer.inputs != layer.out
            and _is_called_head(layer)
            and not any(other is not layer and _parent(other.name) == _parent(layer.name) for other in flat)
        ]
    if not possible:
        return None

    def standing(layer: Layer) -> tuple[object, ...]:
        words = [bare(token) for token in layer.path]
        called = next((at for at, word in enumerate(HEAD_WORDS) if word in words), len(HEAD_WORDS))
        inside = shared_front(layer.path, network.root) >= len(network.root)
        return (
            layer.kind == "conv",
            called == len(HEAD_WORDS),
            not inside,
            len(layer.path),
            called,
            natural(layer.path),
        )

    best = min(possible, key=standing)
    alike = [layer for layer in flat if _words(layer) == _words(best)]
    if any(layer.inputs < features and natural(layer.path) < natural(best.path) for layer in alike):
        return max((layer for layer in possible if layer in alike), key=lambda layer: natural(layer.path))
    return best


def _words(layer: Layer) -> tuple[str, ...]:
    """The words of a layer's name, whatever its numbers: those of a list of exits have the same ones."""
    return tuple("#" if number(token) is not None else bare(token) for token in layer.path)


def _in_chain(layer: Layer, flat: Sequence[Layer]) -> bool:
    """Whether the layer is part of a head of several layers: one beside it takes what it gives, or the other way."""
    parent = _parent(layer.name)
    return any(
        other is not layer
        and parent
        and _parent(other.name) == parent
        and (layer.out == other.inputs or (other.out == layer.inputs and natural(other.path) < natural(layer.path)))
        for other in flat
    )


def _is_called_head(layer: Layer) -> bool:
    return any(bare(token) in HEAD_WORDS for token in layer.path) and _may_name_classes(layer)


def _may_name_classes(layer: Layer) -> bool:
    """Whether the name allows it: no projection, and a 1x1 conv only where it is called a head and has a bias."""
    words = [bare(token) for token in layer.path if rank(token)[0] == 1]
    if NO_HEAD_WORDS.intersection(words):
        return False
    return layer.kind == "linear" or (bool(words) and words[-1] in HEAD_WORDS and Leaf("bias") in layer.keys)


def _parent(name: str) -> str:
    """The name of the module that a layer is a part of; empty for a layer at the top."""
    return name.rpartition(".")[0]
