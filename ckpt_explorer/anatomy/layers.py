"""layers_of(): the convs, norms and linear layers of a state dict, found by their leaves and shapes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ckpt_explorer.anatomy.leaves import Leaf, split
from ckpt_explorer.anatomy.tokens import Tokens, bare, natural, tokens

Shape = tuple[int, ...]
Kind = Literal["conv", "norm", "linear", "other"]
Axes = Literal["OIHW", "HWIO", "OHWI"]
"""The order in which a kernel keeps outputs, inputs, height and width: PyTorch's, TensorFlow's, and that of channels last."""

LARGEST_KERNEL = 15


@dataclass(slots=True, eq=False)
class Layer:
    """A layer of the file: its name, what it is, and its tensors' keys by leaf.

    `out` and `inputs` are channels (inputs of one group), `kernel` the side of a conv's kernel and `dims` the number
    of its spatial axes; a norm has `out` alone. `bias` is the length of the bias, 0 where there is none.
    """

    name: str
    path: Tokens
    kind: Kind
    keys: dict[Leaf, str]
    out: int = 0
    inputs: int = 0
    kernel: int = 0
    dims: int = 0
    bias: int = 0

    @property
    def has_statistics(self) -> bool:
        """Whether it is a norm with mean and variance of its own."""
        return Leaf("mean") in self.keys and Leaf("var") in self.keys


@dataclass(frozen=True)
class Layers:
    """All layers of a state dict in the order of their names, and the `axes` of its kernels in the order they are stored.

    `unknown` are keys that end in no word for a tensor of a layer.
    """

    convs: tuple[Layer, ...]
    norms: tuple[Layer, ...]
    linears: tuple[Layer, ...]
    others: tuple[Layer, ...]
    unknown: tuple[str, ...]
    axes: Axes


def layers_of(shapes: Mapping[str, Shape]) -> Layers:
    """The layers in a state dict of these shapes."""
    named: dict[str, dict[Leaf, str]] = defaultdict(dict)
    unknown: list[str] = []
    for key in sorted(shapes):  # of two keys for one tensor, the same one is taken whatever the file's order
        found = split(key)
        if found is None or found[1] in named[found[0]]:
            unknown.append(key)
        else:
            named[found[0]][found[1]] = key
    axes = _axes(shapes, named)
    layers = [_layer(name, keys, shapes, axes) for name, keys in named.items() if keys]
    layers = list(_joined(layers))
    layers.sort(key=lambda layer: natural(layer.path))
    by_kind: dict[Kind, list[Layer]] = {"conv": [], "norm": [], "linear": [], "other": []}
    for layer in layers:
        by_kind[layer.kind].append(layer)
    return Layers(
        tuple(by_kind["conv"]),
        tuple(by_kind["norm"]),
        tuple(by_kind["linear"]),
        tuple(by_kind["other"]),
        tuple(sorted(unknown)),
        axes,
    )


_KERNELS = (Leaf("weight"), Leaf("weight", "orig"), Leaf("weight", "v"))


def _kernel(keys: Mapping[Leaf, str], shapes: Mapping[str, Shape]) -> Shape | None:
    for leaf in _KERNELS:
        if leaf in keys:
            return shapes[keys[leaf]]
    return None


def _axes(shapes: Mapping[str, Shape], named: Mapping[str, Mapping[Leaf, str]]) -> Axes:
    """Where most kernels have their two spatial axes: behind, in front, or in between."""
    seen: dict[Axes, int] = {"OIHW": 0, "HWIO": 0, "OHWI": 0}
    for keys in named.values():
        shape = _kernel(keys, shapes) if keys else None
        if shape is None or len(shape) != 4:
            continue
        places: tuple[tuple[Axes, int], ...] = (("OIHW", 2), ("HWIO", 0), ("OHWI", 1))
        for axes, at in places:
            if shape[at] == shape[at + 1] <= LARGEST_KERNEL:
                seen[axes] += 1
                break
    return max(seen, key=seen.__getitem__)


def _layer(name: str, keys: dict[Leaf, str], shapes: Mapping[str, Shape], axes: Axes) -> Layer:
    turned = axes == "HWIO"
    path = tokens(said_once(name))
    shape = _kernel(keys, shapes)
    if shape is not None and len(shape) == 4 and axes == "OHWI":
        return Layer(name, path, "conv", keys, shape[0], shape[3], max(shape[1:3]), 2)
    if shape is not None and len(shape) >= 3:
        dims = len(shape) - 2
        sides = shape[:dims] if turned and dims == 2 else shape[2:]
        out, inputs = (shape[-1], shape[-2]) if turned and dims == 2 else (shape[0], shape[1])
        return Layer(name, path, "conv", keys, out, inputs, max(sides), dims)
    if shape is not None and len(shape) == 2:
        out, inputs = (shape[1], shape[0]) if turned else (shape[0], shape[1])
        bias = shapes[keys[Leaf("bias")]] if Leaf("bias") in keys else ()
        return Layer(name, path, "linear", keys, out, inputs, bias=bias[0] if len(bias) == 1 else 0)
    sizes = {shapes[key] for leaf, key in keys.items() if leaf.role != "count"}
    if len(sizes) == 1 and len(size := next(iter(sizes))) == 1 and _is_norm(keys):
        return Layer(name, path, "norm", keys, size[0])
    return Layer(name, path, "other", keys, shape[0] if shape else 0)


def said_once(name: str) -> str:
    """A layer's name, of one that says it twice: Keras keeps `conv1/conv1/kernel:0`."""
    half = len(name) // 2
    return name[:half] if name[half : half + 1] == "/" and name[:half] == name[half + 1 :] else name


def _is_norm(keys: Mapping[Leaf, str]) -> bool:
    statistics = Leaf("mean") in keys and Leaf("var") in keys
    affine = Leaf("weight") in keys and Leaf("bias") in keys
    return statistics or affine


def _joined(layers: list[Layer]) -> Iterator[Layer]:
    """The layers, with norms put together whose statistics lie under another name than their scale and bias.

    The two names differ in one token, or one has a token more: `batch_stats.bn1` and `params.bn1`, `scale2a` and
    `bn2a`, `bn1` and `bn1.stats`.
    """
    affine = [row for row in layers if row.kind == "norm" and not row.has_statistics]
    bare_statistics = [row for row in layers if row.kind == "norm" and Leaf("weight") not in row.keys]
    if not affine or not bare_statistics:
        yield from layers
        return
    by_shorter: dict[tuple[str, ...], list[Layer]] = defaultdict(list)
    for row in affine:
        for shorter in without_one(row.path):
            by_shorter[shorter].append(row)
    gone: set[int] = set()
    taken: set[int] = set()
    for row in bare_statistics:
        fitting = {
            id(other): other
            for shorter in without_one(row.path)
            for other in by_shorter.get(shorter, ())
            if other.out == row.out and id(other) not in taken
        }
        if len(fitting) >= 1:
            other = min(fitting.values(), key=lambda found: _unlike(found.path, row.path))
            other.keys.update({leaf: key for leaf, key in row.keys.items() if leaf not in other.keys})
            taken.add(id(other))
            gone.add(id(row))
    yield from (row for row in layers if id(row) not in gone)


def _unlike(one: Tokens, other: Tokens) -> tuple[int, int]:
    same = sum(bare(a) == bare(b) for a, b in zip(one, other, strict=False))
    ending = sum(bare(a) == bare(b) for a, b in zip(reversed(one), reversed(other), strict=False))
    return (-max(same, ending), abs(len(one) - len(other)))


def without_one(path: Tokens) -> list[tuple[str, ...]]:
    """The bare words of a path as they are, and with each of its tokens, or each of its dotted parts, left out."""
    words = tuple(map(bare, path))
    if len(words) > 40:
        return [words]
    starts = [at for at, token in enumerate(path) if at == 0 or token[0] in "./"]
    parts = [
        words[:start] + words[end:]
        for start, end in zip(starts, [*starts[1:], len(words)], strict=True)
        if 1 < end - start < len(words)
    ]
    return [words, *(words[:position] + words[position + 1 :] for position in range(len(words))), *parts]
