"""What a state dict's shapes say of the network behind it, read from stages, blocks and convs; needs no torch."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from ckpt_explorer.architectures.spec import Block, ResNetSpec, Shortcut
from ckpt_explorer.checkpoint import TensorInfo
from ckpt_explorer.suggestion.names import canonical_names
from ckpt_explorer.suggestion.prefixes import is_copy, without_inner_wrappers

_CONV = re.compile(r"^(.*\.)?layer(\d{1,2})\.(\d{1,4})\.conv(\d)\.weight$")
_BLOCK = re.compile(r"layer\d+\.\d+\.")
_PLAIN_PARTS = frozenset({"conv1", "conv2", "conv3", "bn1", "bn2", "bn3", "downsample"})


@dataclass(frozen=True)
class Structure:
    """A residual network as its tensors show it: `spec` with what had to be guessed named in `guessed`.

    `strangers` are parts of blocks that a plain ResNet does not have, `oddities` what no ResNetSpec describes.
    `num_classes` is None where the file has no last linear layer for these features.
    """

    spec: ResNetSpec
    num_classes: int | None
    strangers: tuple[str, ...]
    oddities: tuple[str, ...]
    guessed: tuple[str, ...]


def structure_of(tensors: Mapping[str, TensorInfo]) -> Structure | None:
    """The residual network in `tensors`, or None where there are no stages of blocks."""
    bare = without_inner_wrappers(tensors)
    names = canonical_names(bare.values())
    shapes = {names[bare[key]]: info.shape for key, info in tensors.items()}
    prefix = _best_prefix(shapes)
    if prefix is None:
        return None
    below = {name[len(prefix) :]: shape for name, shape in shapes.items() if name.startswith(prefix)}
    convs: dict[int, dict[int, dict[int, tuple[int, ...]]]] = defaultdict(lambda: defaultdict(dict))
    for name, shape in below.items():
        found = _CONV.match(name) if ".conv" in name else None
        if found and not found[1]:
            convs[int(found[2])][int(found[3])][int(found[4])] = shape
    oddities = _numbering(convs)
    first = convs[min(convs)]
    conv_shapes = first[min(first)]
    if 1 not in conv_shapes or 2 not in conv_shapes or any(len(shape) != 4 for shape in conv_shapes.values()):
        return None
    spec, more, guessed = _spec(convs, conv_shapes, below)
    classes = _classes(shapes, prefix, spec)
    strangers = dict.fromkeys(
        parts[2]
        for name in below
        if len(parts := name.split(".", 3)) > 3 and _BLOCK.match(name) and parts[2] not in _PLAIN_PARTS
    )
    if classes is not None:
        spec = ResNetSpec(**{**spec.__dict__, "num_classes": classes})
    return Structure(spec, classes, tuple(strangers), (*oddities, *more), guessed)


def _best_prefix(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    counts = Counter(found[1] or "" for name in shapes if ".conv" in name and (found := _CONV.match(name)))
    return min(counts, key=lambda prefix: (-counts[prefix], is_copy(prefix), len(prefix), prefix)) if counts else None


def _numbering(convs: Mapping[int, Mapping[int, object]]) -> tuple[str, ...]:
    odd = []
    if sorted(convs) != list(range(1, len(convs) + 1)):
        odd.append(f"its stages are numbered {', '.join(map(str, sorted(convs)))}")
    for stage, blocks in sorted(convs.items()):
        if sorted(blocks) != list(range(len(blocks))):
            odd.append(f"blocks of layer{stage} are missing")
    return tuple(odd)


def _spec(
    convs: Mapping[int, Mapping[int, Mapping[int, tuple[int, ...]]]],
    first: Mapping[int, tuple[int, ...]],
    below: Mapping[str, tuple[int, ...]],
) -> tuple[ResNetSpec, tuple[str, ...], tuple[str, ...]]:
    """The spec that the shapes of the first block and of the stem give, what contradicts it, and what was guessed."""
    block: Block = "bottleneck" if 3 in first else "basic"
    inner, grouped = first[1][0], first[2][1]
    out = first[max(first)][0]
    stem = below.get("conv1.weight", ())
    width = stem[0] if len(stem) == 4 else first[1][1]
    groups = max(inner // max(grouped, 1), 1)
    spec = ResNetSpec(
        block=block,
        blocks=tuple(len(convs[stage]) for stage in sorted(convs)),
        width=width,
        groups=groups,
        width_per_group=max(round(inner * 64 / (width * groups)), 1),
        expansion=max(out // width, 1),
        stem_kernel=stem[2] if len(stem) == 4 else 7,
        shortcut=_shortcut(below),
        in_channels=stem[1] if len(stem) == 4 else 3,
    )
    small = spec.stem_kernel == 3
    if small:
        spec = ResNetSpec(**{**spec.__dict__, "stem_stride": 1, "max_pool": False})
    odd = [
        f"layer{stage} has {shapes[1][0]} channels inside its blocks, a plain ResNet would have {spec.inner_width(index)}"
        for index, stage in enumerate(sorted(convs))
        if 1 in (shapes := convs[stage][min(convs[stage])]) and shapes[1][0] != spec.inner_width(index)
    ]
    if len(stem) != 4:
        odd.append("it has no first conv of a known name")
    elif stem[2] != stem[3]:
        odd.append(f"its first conv is {stem[2]}x{stem[3]}")
    guessed = ("stem stride and max-pool (keys do not show them)",) if spec.stem_kernel not in (3, 7) or small else ()
    return spec, tuple(odd), guessed


def _shortcut(below: Mapping[str, tuple[int, ...]]) -> Shortcut:
    projected = {name.split(".downsample.")[0] for name in below if name.endswith(".downsample.0.weight")}
    if not projected:
        return "A"
    return "C" if any(not name.endswith(".0") for name in projected) else "B"


def _classes(shapes: Mapping[str, tuple[int, ...]], prefix: str, spec: ResNetSpec) -> int | None:
    features = spec.out_width(len(spec.blocks) - 1)
    heads = [name for name in shapes if name == "fc.weight" or name.endswith(".fc.weight")]
    fitting = [name for name in heads if len(shapes[name]) == 2 and shapes[name][1] == features]
    best = min(fitting, key=lambda name: (not name.startswith(prefix), name.count("."), name), default=None)
    return shapes[best][0] if best else None
