"""What a state dict's shapes say of the network behind it, as the numbers of a ResNetSpec; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from ckpt_explorer.anatomy import Anatomy, anatomies_of
from ckpt_explorer.anatomy.blocks import Block
from ckpt_explorer.anatomy.ends import Stem
from ckpt_explorer.anatomy.tokens import number
from ckpt_explorer.architectures.spec import Block as BlockKind
from ckpt_explorer.architectures.spec import ResNetSpec, Shortcut
from ckpt_explorer.checkpoint import StateDict, TensorInfo
from ckpt_explorer.text import listed


@dataclass(frozen=True)
class Structure:
    """A residual network as its tensors show it: `spec` with what had to be guessed named in `guessed`.

    `strangers` are parts of blocks that a plain ResNet does not have, `oddities` what no ResNetSpec describes.
    `stem_convs` counts the convs in front of the blocks, which stand for one where there are more. `num_classes` is None where the file has no last linear layer for these features.
    """

    spec: ResNetSpec
    num_classes: int | None
    strangers: tuple[str, ...]
    oddities: tuple[str, ...]
    guessed: tuple[str, ...]
    stem_convs: int = 1


_KNOWN: WeakKeyDictionary[StateDict, list[Anatomy]] = WeakKeyDictionary()


def networks_in(tensors: Mapping[str, TensorInfo]) -> list[Anatomy]:
    """The residual networks in `tensors`, the one that convention prefers first; looked for once a state dict.

    A network has one block at least of which no conv is missing.
    """
    if isinstance(tensors, StateDict) and tensors in _KNOWN:
        return _KNOWN[tensors]
    read = anatomies_of({key: info.shape for key, info in tensors.items()})
    found = [anatomy for anatomy in read if _whole(anatomy.network.stages)]
    if isinstance(tensors, StateDict):
        _KNOWN[tensors] = found
    return found


def structure_of(tensors: Mapping[str, TensorInfo]) -> Structure | None:
    """The residual network in `tensors`, or None where there are no stages of blocks."""
    found = networks_in(tensors)
    return read_structure(found[0]) if found else None


def read_structure(anatomy: Anatomy) -> Structure:
    """The numbers of a network that was taken apart, and what no plain ResNet has."""
    network = anatomy.network
    stages = network.stages
    spec = _spec(stages, anatomy.stem, _shortcut(stages))
    classes = anatomy.head.out if anatomy.head else None
    if classes is not None:
        spec = replace(spec, num_classes=classes)
    guessed = (
        ("stem stride and max-pool (keys do not show them)",)
        if spec.stem_kernel not in (3, 7) or spec.stem_kernel == 3
        else ()
    )
    convs = 1 + len(anatomy.stem.more) if anatomy.stem else 0
    return Structure(spec, classes, strangers_in(anatomy), tuple(_oddities(anatomy, spec)), guessed, convs)


def _stem_kernel(stem: Stem) -> int:
    """The side of the stem's kernel; 7 for convs one behind the other that widen, or see 7 pixels or more together.

    A CIFAR network has one 3x3 conv there. Source: He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks" (2018), section 4.2:
    three 3x3 convs stand in the place of the 7x7 one, in ResNet-C and -D.
    """
    seen = 1 + sum(conv.kernel - 1 for conv in (stem.conv, *stem.more))
    widens = any(conv.out < stem.conv.out for conv in stem.more)
    return 7 if widens or (stem.more and seen >= 7) else stem.conv.kernel


def _whole(stages: list[list[Block]]) -> list[tuple[int, Block]]:
    """The blocks of which no conv is missing, each with its stage."""
    return [(at, block) for at, stage in enumerate(stages) for block in stage if block.channels is None]


def _spec(stages: list[list[Block]], stem: Stem | None, shortcut: Shortcut) -> ResNetSpec:
    """The numbers that the first whole block and the stem give."""
    stage, first = _whole(stages)[0]
    kind: BlockKind = "bottleneck" if first.is_bottleneck else "basic"
    inner, grouped = first.convs["conv1"].out, first.convs["conv2"].inputs
    width = stem.conv.out if stem else stages[0][0].inputs
    groups = max(inner // max(grouped, 1), 1)
    inner, out = inner >> stage, first.out >> stage
    kernel = _stem_kernel(stem) if stem else 7
    small = kernel == 3
    return ResNetSpec(
        block=kind,
        blocks=tuple(map(len, stages)),
        width=width,
        groups=groups,
        width_per_group=max(round(inner * 64 / (width * groups)), 1),
        expansion=max(out // width, 1),
        stem_kernel=kernel,
        shortcut=shortcut,
        in_channels=min(conv.inputs for conv in (stem.conv, *stem.more)) if stem else 3,
        stem_stride=1 if small else 2,
        max_pool=not small,
    )


def _shortcut(stages: list[list[Block]]) -> Shortcut:
    """A without any projection, C where blocks project whose shape does not change, else B."""
    if not any("shortcut" in block.convs for stage in stages for block in stage):
        return "A"
    return "C" if any("shortcut" in block.convs for stage in stages for block in stage[1:]) else "B"


def _oddities(anatomy: Anatomy, spec: ResNetSpec) -> list[str]:
    odd = []
    stages = anatomy.network.stages
    if anatomy.network.dims != 2:
        odd.append(f"its convs have {anatomy.network.dims} spatial axes")
    if anatomy.stem is None:
        odd.append("it has no first conv that fits its blocks")
    elif anatomy.stem.more:
        odd.append(f"its stem has {len(anatomy.stem.more) + 1} convs in the place of one{_pooled_shortcuts(stages)}")
    kinds = {block.is_bottleneck for stage in stages for block in stage if block.channels is None}
    gaps = ["".join(block.root) for stage in stages for block in stage if block.channels]
    if gaps:
        odd.append(f"convs are missing in {listed(gaps)}")
    if len(kinds) > 1:
        odd.append("its blocks are of two kinds")
    for index, stage in enumerate(stages):
        inner = sorted({block.convs["conv1"].out for block in stage if "conv1" in block.convs})
        if inner and inner != [spec.inner_width(index)]:
            seen = ", ".join(map(str, inner[:4]))
            odd.append(
                f"stage {index + 1} has {seen} channels inside its blocks, a plain ResNet would have {spec.inner_width(index)}"
            )
        if stage[0].out != spec.out_width(index):
            odd.append(f"stage {index + 1} gives {stage[0].out} channels, a plain ResNet {spec.out_width(index)}")
    norms = sum(place.norm for place in anatomy.placed)
    convs = sum(not place.norm and place.part != "head" for place in anatomy.placed)
    if norms < convs:
        odd.append(f"{convs - norms} of its convs have no norm behind them")
    elif not any(row.layer.has_statistics for row in anatomy.placed.values() if row.place.norm):
        odd.append("its norms keep no running statistics")
    return odd


def _pooled_shortcuts(stages: list[list[Block]]) -> str:
    """What is to be said of shortcuts whose conv stands second in them, as behind the average pool of ResNet-D."""
    convs = [block.convs["shortcut"] for stage in stages for block in stage if "shortcut" in block.convs]
    if not convs or any(number(conv.path[-1]) != 1 for conv in convs):
        return ""
    return ", and its shortcuts begin with something that has no weights, as ResNet-D's average pool"


def strangers_in(anatomy: Anatomy) -> tuple[str, ...]:
    """The parts of blocks, by the first word below the block, that a plain ResNet does not have."""
    nested = {block.root for block in anatomy.network.blocks if block.nested}
    depths = sorted({len(root) for root in nested})
    placed = {id(row.layer) for row in anatomy.placed.values()}
    layers = anatomy.layers
    found: dict[str, None] = {}
    for layer in (*layers.convs, *layers.norms, *layers.linears, *layers.others):
        if id(layer) in placed:
            continue
        for depth in depths:
            if layer.path[:depth] in nested and len(layer.path) > depth:
                found["".join(layer.path[depth:]).strip("._/-").split(".")[0]] = None
                break
    return tuple(found)
