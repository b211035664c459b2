"""Random but consistent ways to name a residual network: as projects do it that nobody has seen yet.

A scheme is drawn from a seed: names of stages, blocks, layers and tensors, numbers from 0, 1 or more, letters,
separators, nesting, wrappers, further heads, copies, and the axes of kernels. `renamed` gives a key tree's entries
under a scheme, with the truth: which key of the file is which of the network.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ckpt_explorer.architectures.architecture import ModelTensor

Shape = tuple[int, ...]
Entries = dict[str, tuple[Shape, str]]

SYLLABLES = ("ba", "ko", "ri", "mu", "ten", "sol", "vex", "pi", "lar", "gom", "dus", "fi")
TORCH = {
    "weight": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
    "count": "num_batches_tracked",
}
LEAVES: tuple[tuple[Mapping[str, str], Mapping[str, str]], ...] = (
    ({"weight": "weight", "bias": "bias"}, TORCH),
    (
        {"weight": "kernel", "bias": "bias"},
        {"weight": "gamma", "bias": "beta", "mean": "moving_mean", "var": "moving_variance"},
    ),
    ({"weight": "w", "bias": "b"}, {"weight": "s", "bias": "b", "mean": "rm", "var": "riv"}),
    ({"weight": "weights", "bias": "biases"}, {"weight": "scale", "bias": "offset", "mean": "mean", "var": "variance"}),
    ({"weight": "kernel", "bias": "bias"}, {"weight": "scale", "bias": "bias", "mean": "mean", "var": "var"}),
    (
        {"weight": "weight", "bias": "bias"},
        {"weight": "gamma", "bias": "beta", "mean": "running_mean", "var": "running_var"},
    ),
)
_BLOCK = re.compile(r"layer(\d+)\.(\d+)\.(?:(conv|bn)(\d)|downsample\.(\d))\.(.+)$")
_INSIDE = re.compile(r"layer(\d+)\.(\d+)\.(?:(.+)\.)?([^.]+)$")
_ROLES = {
    "weight": "weight",
    "bias": "bias",
    "running_mean": "mean",
    "running_var": "var",
    "num_batches_tracked": "count",
}


@dataclass(frozen=True)
class Renamed:
    """A file's entries, which of its keys is which of the network's, and what the scheme was, for a failure's text."""

    entries: Entries
    truth: dict[str, str]
    has_head: bool
    says: str


def word(rng: random.Random) -> str:
    """A word that no framework uses."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 3)))


def counter(rng: random.Random, offset: int = 0) -> Callable[[int], str]:
    """How numbers are written: from 0, 1 or another start, or as letters."""
    kind = rng.random()
    base = rng.choice((0, 1, 1, offset))
    if kind < 0.12:
        return lambda number: chr(ord("a") + number) if number < 26 else f"z{number}"
    return lambda number: str(number + base)


class Scheme:
    """One way to name everything, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        rng = self.rng = random.Random(seed)
        self.separator = rng.choice((".", ".", ".", ".", "_", "/"))
        dot = self.separator
        self.stage_of = self._index(rng, ("layer", "stage", "res", "stages.", "blocks.", "group", word(rng), ""), 2)
        self.block_of = self._index(rng, ("", "", "block", "unit", "layers.", word(rng)), 1)
        if self.separator == "." and rng.random() < 0.1:
            self.stage_of = lambda stage: str(stage + 4)
        style = rng.choice(("numbers", "numbers", "nested", "inside", "sequence", "letters", "suffix"))
        base = rng.choice((0, 1, 1))
        conv = rng.choice(("conv", "conv", "convolution", "c", word(rng)))
        norm = rng.choice(("bn", "norm", "batchnorm", "n", word(rng)))
        body = rng.choice(("", "", f"body{dot}", f"{word(rng)}{dot}"))
        hole = rng.choice((2, 3))
        join = rng.choice(("", "", dot))
        makers: dict[str, Callable[[int, bool], str]] = {
            "numbers": lambda at, is_norm: f"{norm if is_norm else conv}{join}{at + base}",
            "nested": lambda at, is_norm: f"{body or 'conv'}{at + base}{dot}{norm if is_norm else conv}",
            "inside": lambda at, is_norm: f"{conv}{at + base}" + (f"{dot}{norm}" if is_norm else ""),
            "sequence": lambda at, is_norm: f"{body or 'body' + dot}{at * hole + is_norm}",
            "letters": lambda at, is_norm: f"{body}{'abc'[at]}" + (f"{dot}{norm}" if is_norm else f"{dot}{conv}"),
            "suffix": lambda at, is_norm: f"{conv}{at + base}" + (f"_{norm}" if is_norm else ""),
        }
        self.slot_of = makers[style]
        short = rng.choice(("downsample", "shortcut", "skip", "proj", word(rng)))
        self.short_of: Callable[[bool], str] = rng.choice(
            (
                lambda is_norm: f"{short}{dot}{int(is_norm)}",
                lambda is_norm: f"{short}{dot}{norm if is_norm else conv}",
                lambda is_norm: f"{short}" + (f"{dot}{norm}" if is_norm else ""),
                lambda is_norm: f"{short}_{norm if is_norm else conv}",
            )
        )
        stem = rng.choice(("", f"stem{dot}", f"{word(rng)}{dot}"))
        self.stem_of: Callable[[bool], str] = rng.choice(
            (
                lambda is_norm: f"{stem or 'stem' + dot}{int(is_norm)}",
                lambda is_norm: f"{stem}{norm if is_norm else conv}{base}",
                lambda is_norm: f"{stem}{norm if is_norm else conv}",
                lambda is_norm: f"{stem or 'stem' + dot}{conv}" + (f"{dot}{norm}" if is_norm else ""),
            )
        )
        self.container = rng.choice(("", "", "", f"trunk{dot}", f"{word(rng)}{dot}"))
        self.head = rng.choice(
            ("fc", "linear", "classifier", "head", "logits", f"head{dot}fc", f"classifier{dot}1", word(rng))
        )
        self.prefix = rng.choice(("", "", "", "module.", "model.", "backbone.", "net.module.", f"{word(rng)}."))
        self.head_outside = rng.random() < 0.2
        self.has_head = rng.random() < 0.85
        self.has_counts = rng.random() < 0.7
        self.conv_leaves, self.norm_leaves = rng.choice(LEAVES)
        self.turned = self.conv_leaves["weight"] == "kernel" and rng.random() < 0.5
        self.style = style

    def _index(self, rng: random.Random, words: tuple[str, ...], offset: int) -> Callable[[int], str]:
        chosen, count = rng.choice(words), counter(rng, offset)
        join = "" if not chosen or chosen.endswith(".") else rng.choice(("", "", "_"))
        front = chosen.replace(".", self.separator)
        return lambda number: f"{front}{join}{count(number)}"

    def name(self, key: str) -> str:
        """The file's name for a key of the network."""
        dot = self.separator
        found = _BLOCK.match(key)
        if found:
            stage, block, kind, at, part, leaf = found.groups()
            is_norm = kind == "bn" or part == "1"
            inside = self.short_of(is_norm) if part is not None else self.slot_of(int(at) - 1, is_norm)
            layer = f"{self.container}{self.stage_of(int(stage) - 1)}{dot}{self.block_of(int(block))}{dot}{inside}"
        elif inside_block := _INSIDE.match(key):
            stage, block, inside, leaf = inside_block.groups()
            is_norm = False
            front = f"{self.container}{self.stage_of(int(stage) - 1)}{dot}{self.block_of(int(block))}"
            layer = f"{front}{dot}{inside.replace('.', dot)}" if inside else front
        else:
            front, leaf = key.split(".")
            is_norm = front.startswith("bn1")
            second = "2" if front.endswith("b") else ""
            layer = self.head if front == "fc" else f"{self.container}{self.stem_of(is_norm)}{second}"
        words = self.norm_leaves if is_norm else self.conv_leaves
        role = _ROLES.get(leaf, leaf)
        outside = key.startswith("fc.") and self.head_outside
        return f"{'' if outside else self.prefix}{layer}{dot}{words.get(role, leaf)}"

    def renamed(self, tree: Mapping[str, ModelTensor]) -> Renamed:
        """The entries of a file in which `tree` has this scheme's names, with what else the scheme puts there."""
        rng = self.rng
        entries: Entries = {}
        truth: dict[str, str] = {}
        for key, wanted in tree.items():
            if (key.startswith("fc.") and not self.has_head) or (key.endswith("_tracked") and not self.has_counts):
                continue
            name = self.name(key)
            entries[name] = (self._stored(wanted.shape), wanted.dtype)
            truth[name] = key
        assert len(entries) == len(truth)
        copy = rng.choice(("", "", "", "ema.", "teacher.", "momentum_encoder."))
        if copy and self.prefix and not self.head_outside:
            entries.update({copy + name[len(self.prefix) :]: row for name, row in list(entries.items())})
        if rng.random() < 0.2:
            features = tree["fc.weight"].shape[1]
            for at, shape in ((0, (features, features)), (2, (64, features))):
                entries[f"projector.{at}.weight"] = (shape, "float32")
                entries[f"projector.{at}.bias"] = (shape[:1], "float32")
        rows = list(entries.items())
        rng.shuffle(rows)
        shown = [
            self.name(key) for key in ("conv1.weight", "bn1.weight", "layer2.0.conv2.weight", "layer2.0.bn2.weight")
        ]
        says = f"{self.style}; {'; '.join(shown)}; head {self.head}; turned {self.turned}; copy {copy!r}"
        return Renamed(dict(rows), truth, self.has_head, says)

    def _stored(self, shape: Shape) -> Shape:
        if not self.turned:
            return shape
        return (shape[2], shape[3], shape[1], shape[0]) if len(shape) == 4 else shape[::-1]


NEAR_MISSES = ("gate", "scale", "shortcut bias", "second stem", "no statistics", "pre-activation", "conv bias")


def near_miss(kind: str, tree: Mapping[str, ModelTensor]) -> dict[str, ModelTensor]:
    """The key tree of a network that is nearly `tree`'s: a step away from plain in the way that `kind` says."""
    found: dict[str, ModelTensor] = {}
    for key, wanted in tree.items():
        if kind == "no statistics" and key.rsplit(".", 1)[-1] in ("running_mean", "running_var", "num_batches_tracked"):
            continue
        block = key.rsplit(".", 2)[0]
        if kind == "pre-activation" and ".bn1." in key and key.rsplit(".", 1)[-1] != "num_batches_tracked":
            channels = tree[f"{block}.conv1.weight"].shape[1]
            groups = 1
            wanted = ModelTensor((channels * groups,), wanted.dtype, wanted.is_parameter)
        found[key] = wanted
        if kind == "gate" and key.endswith(".conv2.weight"):
            channels = wanted.shape[0]
            less = max(channels // 4, 1)
            found[f"{block}.gate.fc1.weight"] = ModelTensor((less, channels, 1, 1), "float32", True)
            found[f"{block}.gate.fc2.weight"] = ModelTensor((channels, less, 1, 1), "float32", True)
        if kind == "scale" and key.endswith(".conv2.weight"):
            found[f"{block}.alpha"] = ModelTensor((1,), "float32", True)
        if kind == "shortcut bias" and key.endswith("downsample.0.weight"):
            found[key.replace("weight", "bias")] = ModelTensor((wanted.shape[0],), "float32", True)
        if kind == "conv bias" and key.endswith(".conv1.weight") and key.startswith("layer"):
            found[key.replace("weight", "bias")] = ModelTensor((wanted.shape[0],), "float32", True)
        if kind == "second stem" and key == "conv1.weight":
            width = wanted.shape[0]
            found["conv1b.weight"] = ModelTensor((width, width, 3, 3), "float32", True)
            for leaf in ("weight", "bias", "running_mean", "running_var"):
                found[f"bn1b.{leaf}"] = ModelTensor((width,), "float32", leaf in ("weight", "bias"))
    return found
