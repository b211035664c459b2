"""Learned tensors of the file that the network has no place for, although they lie inside of it: then it is another one.

Told from where they lie beside the tensors that were placed, under the names that the file gave them, so that no
rule can hide them by renaming the rest.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence

from ckpt_explorer.key_pair import KeyPair, Status, shared_front

MOST_LOOSE = 4
"""Convs at the side of the trunk that may belong to its stem; where there are more, they are a decoder of their own."""

MOST_PARTS = 40
"""Parts of a name that are looked at."""

MOST_IN_FRONT = 8
"""Convs of a part that makes a picture for the network out of the one given, as a learned resizer does."""

MOST_PLANES = 16
"""Channels of a picture: colours, or the bands of a satellite."""

ACTIVATIONS = ("relu", "prelu", "act", "activation")
"""Names under which a network keeps what stands behind its first norm."""

_NO_WEIGHT = re.compile(r"(^|[._])(total_ops|total_params|queue|queue_ptr|filt)$")
_STATISTIC = re.compile(r"(running|moving)_mean$")


def strangers_among(pairs: Sequence[KeyPair], head: Iterable[str], first_conv: str | None) -> tuple[str, ...]:
    """The unexpected keys of `pairs`, as saved, that lie inside the network.

    `head` are the keys of the model's last layer, `first_conv` the key of the conv that takes the image.
    """
    placed = {pair.checkpoint: pair.model for pair in pairs if pair.model and pair.checkpoint}
    left = [
        pair
        for pair in pairs
        if pair.status is Status.UNEXPECTED and pair.checkpoint and not belongs_to_a_variable(pair.checkpoint, placed)
    ]
    if not left or not placed:
        return ()
    separator = _separators(placed)
    parts = _parts(placed, set(head), separator)
    known: dict[str, bool] = {}
    heads = _heads(left, pairs, parts, separator)
    found = {
        pair.checkpoint: None
        for pair in left
        if pair.checkpoint
        and not pair.is_counter
        and pair.checkpoint not in heads
        and not _NO_WEIGHT.search(pair.checkpoint)
        and _lies_inside(pair.checkpoint, parts, separator, known)
    }
    found.update(dict.fromkeys(_loose(left, pairs, placed, first_conv, separator)))
    found.update(dict.fromkeys(_between(left, pairs, placed, set(head), separator)))
    return tuple(found)


def belongs_to_a_variable(key: str, placed: Container[str]) -> bool:
    """Whether TensorFlow keeps it for a placed tensor, below the tensor's own name: `conv1/weights/Momentum`."""
    front, mark, _ = key.rpartition("/")
    return bool(mark) and front in placed


def _separators(placed: Iterable[str]) -> str:
    """What separates the parts of a name in this file: dots and slashes, and underscores where there are few of these."""
    keys = list(placed)
    low, high = min(keys), max(keys)
    front = next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    marks = sum(key.count(".", front) + key.count("/", front) for key in keys)
    return "./" if marks * 2 >= len(keys) * 3 else "./_"


def _fronts(key: str, separators: str) -> Iterable[str]:
    """Every front of a key that ends at a separator, the longest first; of a very long key the last ones only."""
    end = len(key)
    for _ in range(MOST_PARTS):
        end = max(key.rfind(mark, 0, end) for mark in separators)
        if end < 0:
            return
        yield key[: end + 1]


def _parts(placed: Mapping[str, str], head: set[str], separator: str) -> dict[str, set[str]]:
    """For every front of a placed key: the parts of the model, by their first name, that stand behind it."""
    first = _first_names(placed.values())
    parts: dict[str, set[str]] = {}
    for key, model in placed.items():
        name = "head" if model in head else first[model]
        for front in _fronts(key, separator):
            parts.setdefault(front, set()).add(name)
    return parts


def _first_names(keys: Iterable[str]) -> dict[str, str]:
    """The first segment of each key in which the keys differ."""
    split = {key: key.split(".") for key in keys}
    depth = 0
    while all(len(names) > depth + 1 for names in split.values()) and len({n[depth] for n in split.values()}) == 1:
        depth += 1
    return {key: names[depth] for key, names in split.items()}


def _lies_inside(key: str, parts: Mapping[str, set[str]], separator: str, known: dict[str, bool]) -> bool:
    """Whether the nearest front that holds placed keys is a part of the trunk and not the whole of it.

    `known` are the fronts for which this was found out before: the keys of one layer have the same ones.
    """
    passed: list[str] = []
    inside = False
    for front in _fronts(key, separator):
        if front in known:
            inside = known[front]
            break
        passed.append(front)
        found = parts.get(front)
        if found:
            inside = len(found) < 3 and found != {"head"} and not ("head" in found and len(found) > 1)
            break
    known.update(dict.fromkeys(passed, inside))
    return inside


def _heads(
    left: Sequence[KeyPair], pairs: Sequence[KeyPair], parts: Mapping[str, set[str]], separator: str
) -> frozenset[str]:
    """Keys of linear layers that take the trunk's features beside its last stage, as where a detector keeps that stage.

    They are heads where nothing else lies there that has no place, where the stage has a name of its own, and where no
    layer gives as many channels as it takes: what does may stand between two blocks.
    """
    filled = [pair for pair in pairs if pair.model and pair.checkpoint]
    features = max((pair.checkpoint_shape[0] for pair in filled if pair.checkpoint_shape), default=0)
    linear = [pair for pair in left if pair.checkpoint_shape and len(pair.checkpoint_shape) == 2]
    taking = [
        pair.checkpoint for pair in linear if pair.checkpoint and (pair.checkpoint_shape or ())[1:] == (features,)
    ]
    nearest = {next((front for front in _fronts(key, separator) if front in parts), "") for key in taking}
    homes = {home for home in nearest if home and len(parts[home]) == 1}
    found: list[str] = []
    for home in homes:
        members = [pair for pair in left if pair.checkpoint and pair.checkpoint.startswith(home)]
        shapes = [pair.checkpoint_shape or () for pair in members]
        outs = {shape[0] for shape in shapes if len(shape) == 2}
        linears = all(shape[1:] == (features,) or (len(shape) == 1 and shape[0] in outs) for shape in shapes)
        if not linears or features in outs:
            continue
        below = [pair for pair in filled if pair.checkpoint and pair.checkpoint.startswith(home)]
        names = {(pair.checkpoint or "")[len(home) :].partition(".")[0] for pair in below}
        wide = any(pair.checkpoint_shape and pair.checkpoint_shape[0] == features for pair in below)
        if len(names) == 1 and wide and not home.rstrip(separator).endswith(tuple("0123456789")):
            found += [pair.checkpoint for pair in members if pair.checkpoint]
    return frozenset(found)


def _loose(
    left: Sequence[KeyPair],
    pairs: Sequence[KeyPair],
    placed: Mapping[str, str],
    first_conv: str | None,
    separator: str,
) -> Iterable[str]:
    """Convs and norms beside the trunk that would fit in front of it, into its stem or behind its last block."""
    stem = next((pair for pair in pairs if pair.model == first_conv and pair.checkpoint), None)
    if stem is None or stem.checkpoint is None or not stem.checkpoint_shape or len(stem.checkpoint_shape) < 4:
        return
    home = _home(stem.checkpoint, placed, separator)
    turned = stem.checkpoint_shape != stem.model_shape and _turned(stem.checkpoint_shape) == stem.model_shape
    width, channels = (_turned(stem.checkpoint_shape) if turned else stem.checkpoint_shape)[:2]
    features = max((pair.checkpoint_shape[0] for pair in pairs if pair.model and pair.checkpoint_shape), default=0)
    near = [pair for pair in left if pair.checkpoint and pair.checkpoint.startswith(home)]
    convs = [pair for pair in near if pair.checkpoint_shape and len(pair.checkpoint_shape) >= 4]
    for pair in convs:
        shape = pair.checkpoint_shape or ()
        shape = _turned(shape) if turned else shape
        feeds = shape[0] == channels
        follows = shape[0] == shape[1] == width and max(shape[2:]) > 1 and len(convs) <= MOST_LOOSE
        if pair.checkpoint and (feeds or follows):
            yield pair.checkpoint
    norms = [pair for pair in near if pair.checkpoint and _STATISTIC.search(pair.checkpoint)]
    yield from (pair.checkpoint for pair in norms if pair.checkpoint and pair.checkpoint_shape == (channels,))
    if not convs and len(norms) <= 2 and not any(len(pair.checkpoint_shape or ()) == 2 for pair in near):
        for pair in norms:
            if pair.checkpoint and pair.checkpoint_shape in ((features,), (width,)):
                yield pair.checkpoint


def _between(
    left: Sequence[KeyPair], pairs: Sequence[KeyPair], placed: Mapping[str, str], head: set[str], separator: str
) -> Iterable[str]:
    """What stands beside the parts of a whole network, and can only work between two of them.

    That is a learned activation in the network's own module and, where the file fills the last layer, so that no
    other part is to come, an attention, one of a few convs that keep the width of their stage, a conv from one width to
    another of a network whose own shortcuts have none, or a few layers that look at the picture as well.
    """
    home = shared_front(placed, separator)
    near = {
        pair.checkpoint: pair.checkpoint_shape or ()
        for pair in left
        if pair.checkpoint and pair.checkpoint.startswith(home)
    }
    filled = [pair.model_shape for pair in pairs if pair.model and pair.checkpoint and pair.model_shape]
    widths = {shape[0] for shape in filled}
    projects = any(max(shape[2:]) == 1 for shape in filled if len(shape) == 4)
    parts: dict[str, list[str]] = {}
    for key in near:
        parts.setdefault(key[len(home) :].partition(".")[0], []).append(key)
    sizes = {(), (1,), *((width,) for width in widths)}
    channels = next((shape[1] for shape in filled if len(shape) == 4), 0)
    whole = head <= set(placed.values())
    if whole and home:
        yield from _in_front(left, home, channels)
    few = sum(len(shape) == 4 for shape in near.values()) <= MOST_LOOSE
    for name, keys in parts.items():
        part = {key: near[key] for key in keys}
        activation = name.rstrip("0123456789_") in ACTIVATIONS and len(keys) == 1 and part[keys[0]] in sizes
        looks = [shape for shape in part.values() if len(shape) == 4]
        in_front = 0 < len(looks) <= MOST_LOOSE and looks[0][1] == channels
        kernels = [shape for shape in part.values() if len(shape) == 4 and {*shape[:2]} <= widths]
        widens = not projects and any(shape[1] < shape[0] for shape in kernels[:1])
        keeps = few and len(kernels) == 1 and kernels[0][0] == kernels[0][1] and max(kernels[0][2:]) > 1
        if activation or (whole and (in_front or widens or keeps or _gives_back(part, widths))):
            yield from keys


def _in_front(left: Sequence[KeyPair], home: str, channels: int) -> Iterable[str]:
    """The parts in the modules around a network that take a picture and give one of as many channels as it takes."""
    parts: dict[str, list[KeyPair]] = {}
    for pair in left:
        if pair.checkpoint and pair.checkpoint_shape and not pair.checkpoint.startswith(home):
            around = shared_front((pair.checkpoint, home), ".")
            parts.setdefault(around + pair.checkpoint[len(around) :].partition(".")[0], []).append(pair)
    for part in parts.values():
        kernels = [shape for pair in part if len(shape := pair.checkpoint_shape or ()) == 4]
        if 0 < len(kernels) <= MOST_IN_FRONT and kernels[0][1] <= MOST_PLANES and kernels[-1][0] == channels:
            yield from (pair.checkpoint for pair in part if pair.checkpoint)


def _gives_back(part: Mapping[str, tuple[int, ...]], widths: set[int]) -> bool:
    """Whether a part of the file is an attention: a conv over two maps, or layers that see single pixels.

    Of these, some take as many channels as the network has somewhere, and the others give back as many. Linear layers with
    a norm between them are a head of their own, as a predictor is.
    """
    kernels = [shape for shape in part.values() if len(shape) in (2, 4)]
    if any(shape[:2] == (1, 2) and max(shape[2:], default=1) > 1 for shape in kernels):
        return True
    if len(kernels) < 2 or any(max(shape[2:], default=1) > 1 for shape in kernels):
        return False
    if any(len(shape) == 2 for shape in kernels) and any(map(_STATISTIC.search, part)):
        return False
    channels = max(max(shape[:2]) for shape in kernels)
    taking = {shape[0] for shape in kernels if shape[1] == channels}
    giving = {shape[1] for shape in kernels if shape[0] == channels}
    paired = sum(channels in shape[:2] for shape in kernels) == len(kernels)
    return channels in widths and paired and bool(taking) and taking == giving and channels not in taking


def _turned(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a kernel with its spatial axes behind, of one that has them in front."""
    return (*shape[:-3:-1], *shape[:-2])


def _home(stem: str, placed: Mapping[str, str], separator: str) -> str:
    """The longest front of the first conv's key that most placed keys share: where the network lies."""
    fronts = (front for front in _fronts(stem, separator))
    return next((front for front in fronts if sum(key.startswith(front) for key in placed) * 10 >= len(placed) * 9), "")
