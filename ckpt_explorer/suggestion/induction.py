"""induce(): the shortest readable list of rules that gives every paired key its name in the network, and no other key.

Several lists are written, from the shortest kind on: a prefix and the names that differ, block by block, layer by
layer. Each is applied to all keys of the file and checked; the shortest that is right is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ckpt_explorer.anatomy.tokens import letter, number, tokens
from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules import Rule, RuleSet
from ckpt_explorer.rules.pattern import MAX_PATTERN
from ckpt_explorer.suggestion.arithmetic import combining
from ckpt_explorer.suggestion.pairing import Pair, Pairing, Side
from ckpt_explorer.suggestion.prefixes import INNER_WRAPPERS
from ckpt_explorer.suggestion.templates import generalise
from ckpt_explorer.text import plural

PROBES = 80
"""Keys on which a list is tried before it is applied to all."""
MOST_TRIED = 30
"""Rules of a list in which needless ones are looked for."""
MOST_RULES = 200
"""Rules of a list that is still looked at; a longer one nobody reads."""


class Induced(NamedTuple):
    """A rule list and how many of the pairs it produces."""

    rules: RuleSet
    produced: int


def induce(pairing: Pairing, keys: Iterable[str]) -> Induced:
    """The shortest of the lists tried that produces all pairs; where none does, the one that produces the most."""
    pairs, ends = pairing.pairs, tuple(combining(pairing))
    wanted = {pair.file.key: pair.model.key for pair in pairs}
    all_keys, foreign = list(keys), pairing.anatomy.belongs_to_another
    lists = {(*_once(listed), *ends): None for listed in _lists(pairs)}
    step = max(len(pairs) // PROBES, 1)
    probes = dict(list(wanted.items())[::step])
    best = Induced(RuleSet(), -1)
    for rules in sorted(lists, key=_length):
        if len(rules) > MOST_RULES or (best.produced >= 0 and not _fits(rules, probes)):
            continue
        found = checked(RuleSet(rules), wanted, all_keys, foreign)
        if found.produced > best.produced:
            best = found
        if found.produced == len(wanted):
            break
    return _without_idle(best, wanted, all_keys, foreign, probes)


def _without_idle(
    found: Induced,
    wanted: Mapping[str, str],
    keys: Sequence[str],
    foreign: Callable[[str], bool],
    probes: Mapping[str, str],
) -> Induced:
    """The list without rules that another one makes needless: `norm1.` where there is `norm{n}.`"""
    if found.produced != len(wanted) or len(found.rules) > MOST_TRIED:
        return found
    at = 0
    while at < len(found.rules):
        fewer = found.rules.without(at)
        if found.rules[at].kind == "rename" and _fits(fewer.rules, probes):
            again = checked(fewer, wanted, keys, foreign)
            if again.produced == len(wanted) and len(again.rules) < len(found.rules):
                found = again
                continue
        at += 1
    return found


def _once(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules without those that say the same as one before."""
    return tuple({(rule.kind, rule.find, rule.to): rule for rule in reversed(rules)}.values())[::-1]


def _fits(rules: tuple[Rule, ...], probes: Mapping[str, str]) -> bool:
    """Whether a list is right for a few of the keys: most wrong lists are wrong for some of them."""
    try:
        return RuleSet(rules).names(probes) == list(probes.values())
    except RuleError:
        return False


def _length(rules: Sequence[Rule]) -> int:
    """Rules count first, then what there is to read in them."""
    return sum(1000 + len(rule.find) + len(rule.to) + 50 * (rule.kind == "remove segment") for rule in rules)


def checked(rules: RuleSet, wanted: Mapping[str, str], keys: Sequence[str], foreign: Callable[[str], bool]) -> Induced:
    """`rules` with what they produce, and with drops in front for keys of another network that would take a name.

    A key of this network is never dropped for a name: it is learned, and a person must see it.
    """
    for _ in range(3):
        try:
            names = rules.names(keys)
        except RuleError:
            return Induced(rules, -1)
        places = {name for key, name in zip(keys, names, strict=True) if key in wanted}
        seen: set[str] = set()
        wrong: list[str] = []
        for key, name in zip(keys, names, strict=True):
            if name is None or key in wanted:
                continue
            if name in places or name in seen:
                wrong.append(key)
            seen.add(name)
        if not wrong:
            break
        drops = tuple(drops_for(wrong, wanted)) if all(map(foreign, wrong)) else ()
        rules = RuleSet((*drops, *rules))
        if not drops or len(rules) > MOST_RULES:
            return Induced(rules, -1)
    else:
        return Induced(rules, -1)
    produced = sum(name == wanted[key] for key, name in zip(keys, names, strict=True) if key in wanted)
    return Induced(rules, produced)


def drops_for(keys: Sequence[str], wanted: Mapping[str, str]) -> Iterator[Rule]:
    """Rules that leave these keys out and none that is wanted, the shortest common fronts first."""
    left = list(dict.fromkeys(keys))
    for depth in range(1, 6):
        fronts = Counter(front for key in left if (front := _front(key, depth)) is not None)
        kept = {_front(key, depth) for key in wanted}
        names = {front: front for front in fronts if front not in kept}
        if not names:
            continue
        for find, _ in generalise(names):
            yield Rule("drop", f"^{find}", why="the same part of the network stands under another name too")
        left = [key for key in left if _front(key, depth) not in names]
        if not left:
            return
    for key in left[:MOST_RULES]:
        yield Rule("drop", f"^{key}$", why="the network has its place filled by another key")


def _front(key: str, depth: int) -> str | None:
    parts = key.split(".")
    return ".".join(parts[:depth]) + "." if len(parts) > depth else None


def _lists(pairs: Sequence[Pair]) -> Iterator[list[Rule]]:
    """Rule lists to try: every start, block by block or layer by layer, with the ends of keys held or not."""
    for start in _starts(pairs):
        if any(len(rule.find) > MAX_PATTERN for rule in start):
            continue
        for factored in (True, False):
            names = _names(pairs, start, factored)
            for anchored in (False, True):
                yield [*start, *_renames(names, anchored)]


def _starts(pairs: Sequence[Pair]) -> Iterator[list[Rule]]:
    """How a list may begin: with the prefix that a wrapper left, with nothing, or with the front that all keys share."""
    cut = Counter(
        pair.file.key[: -len(pair.model.key)]
        for pair in pairs
        if pair.file.key.endswith(pair.model.key) and pair.file.key[: -len(pair.model.key)].endswith((".", "/", "_"))
    )
    added = Counter(
        pair.model.key[: -len(pair.file.key)]
        for pair in pairs
        if pair.model.key != pair.file.key and pair.model.key.endswith("." + pair.file.key)
    )
    inner = [
        segment
        for segment in INNER_WRAPPERS
        if any(f".{segment}." in f".{pair.file.key}" for pair in pairs)
        and not any(f".{segment}." in f".{pair.model.key}" for pair in pairs)
    ]
    removing = [Rule("remove segment", segment, why="a wrapper left it inside of keys") for segment in inner]
    for prefix, count in cut.most_common(1):
        yield [Rule("strip prefix", prefix, why=f"{plural(count, 'key')} of the network stand behind it")]
    for prefix, _ in added.most_common(1):
        yield [Rule("add prefix", prefix, why="the model keeps the network behind it")]
    yield []
    if removing:
        yield removing
        names = [_removed(pair.file.key, inner) for pair in pairs]
        fronts = Counter(
            name[: -len(pair.model.key)]
            for pair, name in zip(pairs, names, strict=True)
            if name.endswith("." + pair.model.key)
        )
        for prefix, count in fronts.most_common(1):
            yield [
                *removing,
                Rule("strip prefix", prefix, why=f"{plural(count, 'key')} of the network stand behind it"),
            ]
    front = _shared([pair.file.key for pair in pairs if not pair.place.startswith("head")])
    if front:
        yield [Rule("strip prefix", front, why="every key of the network stands behind it")]


def _removed(key: str, segments: Sequence[str]) -> str:
    return ".".join(part for part in key.split(".") if part not in segments)


def _shared(keys: Sequence[str]) -> str:
    """The segments that all keys share in front, with the dot behind them."""
    if not keys:
        return ""
    low, high = min(keys).split("."), max(keys).split(".")
    same = 0
    while same < min(len(low), len(high)) - 1 and low[same] == high[same]:
        same += 1
    return "".join(part + "." for part in low[:same])


class _Names(NamedTuple):
    """What has another name in the file: whole layers, roots of blocks, layers of blocks, tensors of layers."""

    whole: list[tuple[str, str]]
    roots: list[tuple[str, str]]
    layers: list[tuple[str, str]]
    leaves: list[tuple[str, str]]


def _names(pairs: Sequence[Pair], start: Sequence[Rule], factored: bool) -> _Names:
    steps = [rule.rewrite() for rule in start]
    roots: dict[str, str] = {}
    layers: dict[str, str] = {}
    whole: dict[str, str] = {}
    leaves: dict[str, str] = {}
    for pair in pairs:
        key = pair.file.key
        for step in steps:
            key = step(key, 1.0) or key
        model = pair.model
        if key == model.key:
            continue
        file = _cut(pair.file, key)
        if pair.operand == "" and file.leaf[1:] != model.leaf[1:]:
            leaves[file.leaf[1:]] = model.leaf[1:]
        behind = file.leaf[:1]
        if factored and file.root and model.root and file.layer[:1] and model.layer[:1]:
            ours, theirs = file.root + file.layer[:1], model.root + model.layer[:1]
            if ours != theirs:
                roots[ours] = theirs
            ours, theirs = file.layer[1:] + behind, model.layer[1:] + model.leaf[:1]
            if ours != theirs:
                layers[ours] = theirs
        else:
            ours, theirs = file.root + file.layer + behind, model.root + model.layer + model.leaf[:1]
            if ours != theirs:
                whole[ours] = theirs
    return _Names(generalise(whole), generalise(roots), generalise(layers), list(leaves.items()))


def _renames(names: _Names, anchored: bool) -> Iterator[Rule]:
    for find, to in names.whole:
        yield Rule("rename", _held(find, anchored), to, why="this layer has another name")
    for find, to in names.roots:
        yield Rule("rename", _held(find, anchored), to, why="stages and blocks have other names")
    layers = names.layers if anchored else [_without_common_end(find, to) for find, to in names.layers]
    for find, to in sorted(layers, key=lambda row: "{" in row[0]):  # words before patterns
        yield Rule("rename", find, to, why="the layers of a block have other names")
    for find, to in names.leaves:
        yield Rule("rename", f"{find}$", to, why="another framework's word for this tensor")


def _held(find: str, anchored: bool) -> str:
    """The pattern, held to the start of the key where it begins with no word of its own."""
    first = tokens(find)[0] if find else ""
    plain = not first or number(first) is not None or letter(first) is not None or first.startswith("{")
    return f"^{find}" if anchored or plain else find


def _without_common_end(find: str, to: str) -> tuple[str, str]:
    """`shortcut.` and `downsample.` of `shortcut.{n}.` and `downsample.{n}.`: what is the same behind goes without saying."""
    ours, theirs = find.split("."), to.split(".")
    while len(ours) > 2 and len(theirs) > 2 and ours[-2] == theirs[-2]:
        del ours[-2], theirs[-2]
    return ".".join(ours), ".".join(theirs)


def _cut(side: Side, key: str) -> Side:
    """A side of a pair whose key has lost its front, or segments inside of it."""
    if side.key == key:
        return side
    if side.key.endswith(key):
        lost = len(side.key) - len(key)
        if lost <= len(side.root):
            return Side(key, side.root[lost:], side.layer, side.leaf)
        lost -= len(side.root)
        return Side(key, "", side.layer[lost:], side.leaf)
    layer = key[: len(key) - len(side.leaf)] if key.endswith(side.leaf) else key
    return Side(key, "", layer, key[len(layer) :])
