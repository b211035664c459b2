"""Relatives of the ResNet that are no plain one, each with what gives it away.

A table of words and shapes: what a network is called is said only where something of it was found in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ckpt_explorer.anatomy import Anatomy
from ckpt_explorer.anatomy.leaves import Leaf
from ckpt_explorer.anatomy.tokens import bare, tokens
from ckpt_explorer.checkpoint import TensorInfo

MOST_KEYS = 20_000
"""Keys whose words are looked at."""


@dataclass(frozen=True)
class Evidence:
    """What a test may look at: the words of all keys, their tensors, and the residual network if there is one."""

    words: Mapping[str, str]
    tensors: Mapping[str, TensorInfo]
    anatomy: Anatomy | None

    def says(self, *wanted: str) -> str | None:
        """The first key that has one of these words."""
        return next((self.words[word] for word in wanted if word in self.words), None)


@dataclass(frozen=True)
class Relative:
    """A family of networks: its name, and a test that gives what was seen, or None."""

    name: str
    seen: Callable[[Evidence], str | None]


def _squeezed(case: Evidence) -> str | None:
    """Two 1x1 layers in a block that make a channel count smaller and large again."""
    if case.anatomy is None:
        return None
    for block in case.anatomy.network.blocks[:4]:
        extra = [conv for conv in block.extra if conv.kernel == 1]
        inside = [
            layer
            for layer in case.anatomy.layers.linears
            if block.nested and layer.path[: len(block.root)] == block.root
        ]
        for one in (*extra, *inside):
            for other in (*extra, *inside):
                if one is not other and one.out == other.inputs < one.inputs == other.out:
                    return one.name
    return None


def _spatial_gate(case: Evidence) -> str | None:
    if case.anatomy is None:
        return None
    extra = (conv for block in case.anatomy.network.blocks[:4] for conv in block.extra)
    return next((conv.name for conv in extra if conv.out == 1 and conv.inputs == 2 and conv.kernel > 1), None)


def _one_axis(case: Evidence) -> str | None:
    if case.anatomy is None:
        return None
    roots = {block.root for block in case.anatomy.network.blocks if block.nested}
    depths = {len(root) for root in roots}
    convs = (conv for conv in case.anatomy.layers.convs if conv.dims == 1)
    return next((conv.name for conv in convs if any(conv.path[:depth] in roots for depth in depths)), None)


def _deep_stem(case: Evidence) -> str | None:
    stem = case.anatomy.stem if case.anatomy else None
    return stem.more[0].name if stem and stem.more else None


def _norm_before_conv(case: Evidence) -> str | None:
    """In a block that changes its width, a norm of the size that arrives and not of any that a conv gives."""
    if case.anatomy is None:
        return None
    changing = {
        block.root: block for block in case.anatomy.network.blocks if block.nested and block.inputs != block.out
    }
    for norm in case.anatomy.layers.norms:
        for depth in {len(root) for root in changing}:
            block = changing.get(norm.path[:depth])
            if (
                block
                and norm.out == block.inputs
                and norm.out not in {conv.out for conv in (*block.members, *block.extra)}
            ):
                return norm.name
    return None


def _axes(case: Evidence) -> str | None:
    return case.anatomy.network.blocks[0].members[0].name if case.anatomy and case.anatomy.network.dims == 3 else None


def _quantised(case: Evidence) -> str | None:
    kinds = ((key, info.dtype) for key, info in case.tensors.items())
    return next((key for key, dtype in kinds if dtype.startswith(("qint", "quint"))), None)


def _uneven(case: Evidence) -> str | None:
    """Widths inside of blocks that are no multiple of 4 and differ within a stage: channels were cut out."""
    if case.anatomy is None:
        return None
    for stage in case.anatomy.network.stages:
        inner = {block.convs["conv1"].out for block in stage if "conv1" in block.convs}
        if len(inner) > 1 and any(width % 4 for width in inner):
            return stage[0].members[0].name
    return None


def _without_norms(case: Evidence) -> str | None:
    norms = case.anatomy.layers.norms if case.anatomy else ()
    return case.says("gain") if not any(Leaf("mean") in norm.keys for norm in norms) else None


RELATIVES: tuple[Relative, ...] = (
    Relative("a quantised network", _quantised),
    Relative("a 3-D ResNet", _axes),
    Relative("a network with CBAM gates", lambda case: case.says("cbam", "spatialgate") or _spatial_gate(case)),
    Relative("ResNeSt (split attention)", lambda case: case.says("rsoftmax", "radix") if case.anatomy else None),
    Relative("an SE-ResNet (squeeze and excitation)", _squeezed),
    Relative("an ECA-ResNet", lambda case: case.says("eca") or _one_axis(case)),
    Relative("an IResNet (face recognition, PReLU)", lambda case: case.says("prelu")),
    Relative("Res2Net", lambda case: case.says("bns") and case.says("convs")),
    Relative("a network with deformable convs (DCN)", lambda case: case.says("offset") if case.says("conv") else None),
    Relative("a normaliser-free network (NFNet)", lambda case: case.says("skipinit") or _without_norms(case)),
    Relative("an anti-aliased network (blur pooling)", lambda case: case.says("filt")),
    Relative("a pre-activation ResNet", _norm_before_conv),
    Relative("a ResNet-C or -D (stem of several convs)", _deep_stem),
    Relative("a pruned network", _uneven),
    Relative("DenseNet", lambda case: case.says("denselayer", "denseblock")),
    Relative("Inception", lambda case: case.says("mixed", "inception", "inceptiona")),
    Relative("a Vision Transformer (ViT)", lambda case: case.says("qkv", "cls")),
)
"""In the order in which they are tested: what is told by more comes first."""


def relatives_of(tensors: Mapping[str, TensorInfo], anatomy: Anatomy | None) -> Iterator[tuple[str, str]]:
    """The families that this file shows signs of, each with the name of a layer or tensor that shows it."""
    words: dict[str, str] = {}
    for key in sorted(tensors)[:MOST_KEYS]:
        if len(key) <= 300:
            for token in tokens(key):
                words.setdefault(bare(token), key)
    case = Evidence(words, tensors, anatomy)
    for relative in RELATIVES:
        if seen := relative.seen(case):
            yield relative.name, seen
