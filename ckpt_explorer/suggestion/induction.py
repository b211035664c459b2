"""induce(): the shortest readable list of rules that gives every paired key its name in the network, and no other key.

Several lists are written, from the shortest kind on: a prefix and the names that differ, block by block, layer by
layer. Each is applied to all keys of the file and checked; the shortest that is right is taken.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Literal, NamedTuple

from ckpt_explorer.anatomy.tokens import letter, number, tokens
from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules import Rule, RuleSet
from ckpt_explorer.rules.pattern import MAX_PATTERN
from ckpt_explorer.rules.rewriting import rename
from ckpt_explorer.suggestion.arithmetic import combining
from ckpt_explorer.suggestion.forms import Form, counted_forms, forms_of, renamed_forms, shortcuts_of
from ckpt_explorer.suggestion.merging import merged
from ckpt_explorer.suggestion.pairing import Pair, Pairing
from ckpt_explorer.suggestion.starts import shared_front, starts
from ckpt_explorer.suggestion.templates import generalise

PROBES = 80
"""Keys on which a list is tried before it is applied to all."""
Kind = Literal["by block", "counted", "by layer"]
KINDS: tuple[Kind, ...] = ("by block", "counted", "by layer")
"""Blocks and the layers in them apart; the whole names of layers, in which all convs are counted; or just whole names."""
FEW_RULES = 5
"""A list that is as short as this is not compared with lists of another kind."""
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
    forms = forms_of(pairs)
    front = shared_front([form.ours for form in forms])

    def length(rules: Sequence[Rule]) -> int:
        return _length(rules, front)

    step = max(len(pairs) // PROBES, 1)
    probes = dict(list(wanted.items())[::step])
    best = Induced(RuleSet(), -1)
    for merge, kind in product((True, False), KINDS):
        if not merge and best.produced == len(wanted):
            break
        lists = {(*_once(listed), *ends): None for listed in _lists(forms, pairs, kind, merge)}
        for rules in sorted(lists, key=length):
            whole = best.produced == len(wanted)
            if len(rules) > MOST_RULES or (whole and length(rules) >= length(best.rules)):
                break
            if best.produced >= 0 and not _fits(rules, probes):
                continue
            found = checked(RuleSet(rules), wanted, all_keys, foreign)
            if found.produced > best.produced or (whole and found.produced == best.produced):
                best = found
            if found.produced == len(wanted):
                break
        if best.produced == len(wanted) and len(best.rules) <= FEW_RULES:
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


def _length(rules: Sequence[Rule], front: str) -> int:
    """Rules count first, then what there is to read in them.

    To cut `front`, behind which the whole network stands, is read at a glance, and hides in no other rule.
    """
    return sum(
        1000 * ((rule.kind, rule.find) != ("strip prefix", front))
        + len(rule.find)
        + len(rule.to)
        + 50 * (rule.kind == "remove segment")
        for rule in rules
    )


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


def _lists(forms: Sequence[Form], pairs: Sequence[Pair], kind: Kind, merge: bool) -> Iterator[list[Rule]]:
    """Rule lists of one kind to try: every start, with the ends of keys held or not."""
    tables = _Tables(merge)
    for start in starts(forms, pairs):
        if any(len(rule.find) > MAX_PATTERN for rule in start):
            continue
        rest = renamed_forms(forms, start)
        given = counted_forms(rest) if kind == "counted" else rest
        if given:
            names = _names(given, kind == "by block", tables)
            for anchored, outward in ((False, False), (True, False), (False, True)):
                if (anchored and not names.roots) or (outward and not names.layers):
                    continue
                yield [*start, *_renames(names, anchored, outward)]


class _Tables:
    """Names and what they become, generalised once each: many starts leave the same names."""

    def __init__(self, merge: bool) -> None:
        self.merge = merge
        self.known: dict[tuple[tuple[str, str], ...], list[tuple[str, str]]] = {}

    def lines(self, names: Mapping[str, str]) -> list[tuple[str, str]]:
        key = tuple(names.items())
        if key not in self.known:
            found = generalise(names)
            self.known[key] = merged(found) if self.merge else found
        return self.known[key]


class _Names(NamedTuple):
    """What has another name in the file: whole layers, roots of blocks, layers of blocks, tensors of layers."""

    whole: list[tuple[str, str]]
    roots: list[tuple[str, str]]
    layers: list[tuple[str, str]]
    leaves: list[tuple[str, str]]
    ends: frozenset[str]


def _names(forms: Sequence[Form], factored: bool, tables: _Tables) -> _Names:
    roots: dict[str, str] = {}
    layers: dict[str, str] = {}
    whole: dict[str, str] = {}
    leaves: dict[str, str] = {}
    ends: dict[str, str] = {}
    for form in forms:
        leaves.update(form.leaves)
        if form.ours == form.theirs:
            continue
        if factored and form.root and form.model_root and form.layer[:1] and form.model_layer[:1]:
            ours, theirs = form.root + form.layer[:1], form.model_root + form.model_layer[:1]
            if ours != theirs:
                roots[ours] = theirs
            ours, theirs = form.layer[1:] + form.behind, form.model_layer[1:] + "."
            if ours != theirs:
                layers[ours] = theirs
        else:
            whole[form.ours] = form.theirs
            ends[form.ours] = form.part
    layers.update(shortcuts_of(forms))
    inside = tables.lines(layers)
    whole = {ours: theirs for ours, theirs in whole.items() if not _renamed_by(inside, ours, theirs)}
    words = [(f"{ours}$", f"{theirs}") for ours, theirs in leaves.items()]
    if tables.merge:
        words = [(f"{find}$", to) for find, to in merged(list(leaves.items()))]
    return _Names(tables.lines(whole), tables.lines(roots), inside, words, frozenset(ends[name] for name in whole))


def _renamed_by(lines: Sequence[tuple[str, str]], ours: str, theirs: str) -> bool:
    """Whether the renames for layers of blocks do this too: `norm1.` where there is `norm{n}.`"""
    try:
        return any(rename(find, to)(f"{ours}x", 1.0) == f"{theirs}x" for find, to in lines)
    except RuleError:  # names with braces, or longer than any pattern
        return False


_WHY_WHOLE = {
    frozenset(("stem",)): "the first layers have other names",
    frozenset(("head",)): "the last layer has another name",
    frozenset(("stem", "head")): "the first layers and the last one have other names",
}


def _renames(names: _Names, anchored: bool, outward: bool) -> Iterator[Rule]:
    """The renames, whole layers and blocks first; `outward`: the layers of a block before these."""
    why = _WHY_WHOLE.get(names.ends, "layers have other names")
    outer = [Rule("rename", _held(find, anchored), to, why=_why_counted(to) or why) for find, to in names.whole]
    for find, to in names.roots:
        reason = _why_counted(to) or "stages and blocks have other names"
        outer.append(Rule("rename", _held(find, anchored), to, why=reason))
    lines = names.layers if anchored else [_without_common_end(find, to) for find, to in names.layers]
    inner = [
        Rule("rename", find, to, why="the layers of a block have other names")
        for find, to in sorted(lines, key=lambda row: _has_numbers(row[0]))  # words before patterns
    ]
    yield from (*inner, *outer) if outward else (*outer, *inner)
    for find, to in names.leaves:
        yield Rule("rename", find, to, why="another framework's words for the tensors of a layer")


def _has_numbers(find: str) -> bool:
    """Whether a pattern has a hole for a number."""
    return any("|" not in hole for hole in re.findall(r"\{([^{}]*)\}", find))


def _why_counted(to: str) -> str:
    """The reason where numbers are divided into groups of several sizes."""
    return "the file counts on through all stages; the network counts anew in each" if "(" in to else ""


def _held(find: str, anchored: bool) -> str:
    """The pattern, held to the start of the key where it begins with no word of its own."""
    first = tokens(find)[0] if find else ""
    plain = not first or number(first) is not None or letter(first) is not None or first.startswith("{")
    return f"^{find}" if anchored or (plain and "|" not in first) else find


def _without_common_end(find: str, to: str) -> tuple[str, str]:
    """`shortcut.` and `downsample.` of `shortcut.{n}.` and `downsample.{n}.`: what is the same behind goes without saying."""
    ours, theirs = find.split("."), to.split(".")
    while len(ours) > 2 and len(theirs) > 2 and ours[-2] == theirs[-2] and "|" not in ours[-2]:
        del ours[-2], theirs[-2]
    return ".".join(ours), ".".join(theirs)
