"""induce(): the shortest readable list of rules that gives every paired key its name in the network, and no other key.

Several lists are written, from the shortest kind on: a prefix and the names that differ, block by block, layer by
layer. Each is applied to all keys of the file and checked; the shortest that is right is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ckpt_explorer.anatomy.tokens import letter, number, tokens
from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules import Rule, RuleSet
from ckpt_explorer.suggestion.arithmetic import combining
from ckpt_explorer.suggestion.pairing import Pair, Pairing, Side
from ckpt_explorer.suggestion.prefixes import INNER_WRAPPERS
from ckpt_explorer.suggestion.templates import generalise
from ckpt_explorer.text import plural

MOST_RULES = 60
"""Rules of a list that is still looked at; a longer one nobody reads."""


class Induced(NamedTuple):
    """A rule list and how many of the pairs it produces."""

    rules: RuleSet
    produced: int


def induce(pairing: Pairing, keys: Iterable[str], model_keys: Iterable[str]) -> Induced:
    """The shortest of the lists tried that produces all pairs; where none does, the one that produces the most."""
    pairs, ends = pairing.pairs, tuple(combining(pairing))
    all_keys = list(keys)
    wanted = {pair.file.key: pair.model.key for pair in pairs}
    taken = set(model_keys)
    best = Induced(RuleSet(), -1)
    tried: set[tuple[Rule, ...]] = set()
    for listed in _lists(pairs):
        rules = (*listed, *ends)
        rules = tuple({(rule.kind, rule.find, rule.to): rule for rule in reversed(rules)}.values())[::-1]
        if rules in tried or len(rules) > MOST_RULES:
            continue
        tried.add(rules)
        found = checked(RuleSet(rules), wanted, all_keys, taken)
        if (found.produced, -_length(found.rules)) > (best.produced, -_length(best.rules)):
            best = found
        if found.produced == len(wanted) and len(found.rules) <= 2:
            break
    return best


def _length(rules: RuleSet) -> int:
    """Rules count first, then what there is to read in them."""
    return sum(1000 + len(rule.find) + len(rule.to) + 50 * (rule.kind == "remove segment") for rule in rules)


def checked(rules: RuleSet, wanted: Mapping[str, str], keys: Sequence[str], taken: set[str]) -> Induced:
    """`rules`, with drops in front for unpaired keys that would land on a key of the network, and what they produce."""
    for _ in range(3):
        try:
            rows = rules.apply(keys, collide=True).keys
        except RuleError:
            return Induced(rules, -1)
        named: dict[str, str] = {}
        wrong: list[str] = []
        for row in rows:
            if row.renamed is None:
                continue
            if row.key not in wanted and (row.renamed in taken or row.renamed in named):
                wrong.append(row.key)
            named[row.renamed] = row.key
        if not wrong:
            break
        drops = list(drops_for(wrong, wanted))
        rules = RuleSet((*drops, *rules))
        if not drops or len(rules) > MOST_RULES:
            return Induced(rules, -1)
    else:
        return Induced(rules, -1)
    produced = sum(row.renamed == wanted[row.key] for row in rows if row.key in wanted)
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
    """Rule lists to try, the kinds that are usually shortest first."""
    starts = list(_starts(pairs))
    for factored in (True, False):
        for anchored in (False, True):
            for start in starts:
                yield list(_list(pairs, start, factored, anchored))


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


def _list(pairs: Sequence[Pair], start: list[Rule], factored: bool, anchored: bool) -> Iterator[Rule]:
    yield from start
    steps = [rule.rewrite() for rule in start]
    roots: dict[str, str] = {}
    layers: dict[str, str] = {}
    whole: dict[str, str] = {}
    leaves: dict[str, str] = {}
    for pair in pairs:
        key = pair.file.key
        for step in steps:
            key = step(key, 1.0) or key
        if key == pair.model.key:
            continue
        file = _cut(pair.file, key)
        model = pair.model
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
    yield from _renames(whole, True, anchored, "this layer has another name")
    yield from _renames(roots, True, anchored, "stages and blocks have other names")
    yield from _renames(layers, False, anchored, "the layers of a block have other names")
    for find, to in leaves.items():
        yield Rule("rename", f"{find}$", to, why="another framework's word for this tensor")


def _renames(names: Mapping[str, str], from_start: bool, anchored: bool, why: str) -> Iterator[Rule]:
    for find, to in generalise(names):
        first = tokens(find)[0] if find else ""
        plain = not first or number(first) is not None or letter(first) is not None or first.startswith("{")
        front = "^" if from_start and (anchored or plain) else ""
        if not from_start and not anchored:
            find, to = _without_common_end(find, to)
        yield Rule("rename", front + find, to, why=why)


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
