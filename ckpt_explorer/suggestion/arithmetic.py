"""The rules of arithmetic that pairs need: tensors made of two, kernels with other axes, statistics that were folded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ckpt_explorer.anatomy.leaves import Leaf
from ckpt_explorer.architectures.architecture import Architecture
from ckpt_explorer.rules import Rule
from ckpt_explorer.rules.arithmetic import OPERATIONS, Shape
from ckpt_explorer.suggestion.pairing import Pair, Pairing, filled_by
from ckpt_explorer.text import plural

FOLDED_WORDS = frozenset(("s",))
"""Leaves of a norm's scale that say that its statistics were folded into scale and bias: caffe2's AffineChannel."""

WHY = {
    "HWIO to OIHW": "kernels are stored with their spatial axes first, as in TensorFlow",
    "OHWI to OIHW": "kernels are stored with their channels last, as in MLX",
    "transpose": "the last layer is stored with its inputs first",
    "1x1 conv to linear": "the last layer is a 1x1 conv in the file and linear in the network",
    "linear to 1x1 conv": "the last layer is linear in the file and a 1x1 conv in the network",
    "sum RGB to gray": "the network takes gray pictures: the sum answers as for the same picture in RGB",
    "gray to RGB, a third each": "the network takes RGB: a third in each channel answers as for the gray picture",
}
"""Why each operation is there, for the operations that are proposed by themselves; the others are for a person to choose."""

KERNELS_TURNED = ("HWIO to OIHW", "OHWI to OIHW")
"""Those that every kernel of a file needs, or none."""

COMBINED: dict[tuple[str, ...], str] = {
    ("orig", "mask"): "{0} * {1}",
    ("g", "v"): "{0} * {1} / |{1}|",
    ("orig", "u", "v"): "{0} / ({1} {0} {2})",
}
WHY_COMBINED: dict[tuple[str, ...], str] = {
    ("orig", "mask"): "pruning keeps a tensor and its mask apart",
    ("g", "v"): "weight norm keeps length and direction apart",
    ("orig", "u", "v"): "spectral norm divides a weight by its largest singular value, which the two vectors find",
}


def arithmetic_rules(pairing: Pairing, shapes: Mapping[str, Shape], architecture: Architecture) -> Iterator[Rule]:
    """The rules, for names as they are behind the renaming."""
    by_key = filled_by(pairing)
    yield from combining(pairing)
    needed: dict[str, list[str]] = {}
    for key, pairs in by_key.items():
        shape, wanted = shapes[pairs[-1].file.key], architecture.tree[key].shape
        name = operation_between(shape, wanted, pairing.turned)
        if name:
            needed.setdefault(name, []).append(key)
        turned = OPERATIONS[name].shape(shape) if name in KERNELS_TURNED else None
        if turned and (then := operation_between(turned, wanted, "")):
            needed.setdefault(then, []).append(key)
    for name, keys in sorted(needed.items(), key=lambda row: row[0] not in KERNELS_TURNED):
        if name in KERNELS_TURNED:
            yield Rule("transform", "weight$", name, why=WHY[name])
        else:
            for key in keys[:4]:
                yield Rule("transform", f"^{key}$", name, why=WHY[name])
    yield from _folded(pairing)


def operation_between(shape: Shape, wanted: Shape, turned: str) -> str | None:
    """The operation that is proposed for a tensor of this shape where that one is wanted; None where none is needed."""
    if turned and len(shape) == 4:
        return turned
    if turned == "HWIO to OIHW" and len(shape) == 2:
        return "transpose"
    if shape == wanted:
        return None
    for name in WHY:
        after = OPERATIONS[name].shape(shape)
        if after is not None and after == wanted:
            return name
    if len(shape) == 2 and len(wanted) == 2 and shape[0] == wanted[1] != wanted[0]:
        return "transpose"
    return None


def combining(pairing: Pairing) -> Iterator[Rule]:
    """One rule for every two or three leaves that make one tensor in this file."""
    halves: dict[tuple[str, str], dict[str, Pair]] = {}
    for pair in pairing.pairs:
        if pair.operand:
            halves.setdefault((pair.file.key[: -len(pair.file.leaf)], pair.role), {})[pair.operand] = pair
    seen: set[str] = set()
    for parts in halves.values():
        for names, text in COMBINED.items():
            if set(names) != set(parts):
                continue
            ends = [parts[name].file.leaf.lstrip("._/") for name in names]
            find = text.format(*ends)
            if find not in seen:
                seen.add(find)
                why = WHY_COMBINED[names]
                yield Rule("combine", find, parts[names[0]].model.leaf.lstrip("."), why=why)


def _folded(pairing: Pairing) -> Iterator[Rule]:
    """Constants for running statistics, where the file's words say that they were folded into scale and bias."""
    norms = [row.layer for row in pairing.anatomy.placed.values() if row.place.norm]
    if not norms or any(Leaf("mean") in norm.keys or Leaf("var") in norm.keys for norm in norms):
        return
    scales = [norm.keys[Leaf("weight")] for norm in norms if Leaf("weight") in norm.keys]
    words = {key.replace("_", ".").rsplit(".", 1)[-1] for key in scales}
    if len(scales) == len(norms) and words <= FOLDED_WORDS:
        why = f"{plural(len(norms), 'norm')} of the file keep scale and bias only: the statistics were folded into them"
        yield Rule("fill", "running_mean$", "0", why=why)
        yield Rule("fill", "running_var$", "1 - eps", why=why)
