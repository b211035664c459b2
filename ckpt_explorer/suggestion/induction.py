"""induce(): the shortest readable list of rules that gives every paired key its name in the network, and no other key.

Several lists are written, from the shortest kind on: a prefix and the names that differ, block by block, layer by
layer. Each is applied to all keys of the file and checked; the shortest that is right is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from ckpt_explorer.anatomy import Anatomy
from ckpt_explorer.anatomy.tokens import letter, number, tokens
from ckpt_explorer.errors import RuleError
from ckpt_explorer.key_pair import shared_front
from ckpt_explorer.rules import Rule
from ckpt_explorer.rules.pattern import MAX_PATTERN
from ckpt_explorer.rules.rewriting import rename
from ckpt_explorer.suggestion.arithmetic import combining
from ckpt_explorer.suggestion.forms import Form, counted_forms, forms_of, renamed_forms, shortcuts_of
from ckpt_explorer.suggestion.merging import merged
from ckpt_explorer.suggestion.pairing import Pair, Pairing
from ckpt_explorer.suggestion.reasons import INSIDE, LAYERS, with_reasons
from ckpt_explorer.suggestion.search import Induced, Search
from ckpt_explorer.suggestion.starts import SEPARATORS, starts
from ckpt_explorer.suggestion.templates import generalise

Kind = Literal["by block", "counted", "by layer"]
KINDS: tuple[Kind, ...] = ("by block", "counted", "by layer")
"""Blocks and the layers in them apart; the whole names of layers, in which all convs are counted; or just whole names."""
FEW_RULES = 5
"""A list that is as short as this is not compared with lists of another kind."""


def induce(pairing: Pairing, keys: Iterable[str], copies: Sequence[Anatomy] = ()) -> Induced:
    """The shortest of the lists tried that produces all pairs; where none does, the one that produces the most.

    `copies` are the other networks that were taken apart: what is theirs may be dropped where it would take a name.
    """
    pairs, ends = pairing.pairs, tuple(combining(pairing))
    wanted = {pair.file.key: pair.model.key for pair in pairs}
    forms = forms_of(pairs)
    front = shared_front([form.ours for form in forms], SEPARATORS)

    def length(rules: Sequence[Rule]) -> int:
        return _length(rules, front)

    theirs = {key for copy in copies for row in copy.placed.values() for key in row.layer.keys.values()} - set(wanted)

    def foreign(key: str) -> bool:
        anatomy = pairing.anatomy
        return key in theirs or anatomy.belongs_to_another(key) or anatomy.lies_behind(key)

    search = Search(wanted, list(keys), foreign)
    kinds = KINDS if any(form.root for form in forms) else KINDS[1:]
    every: dict[tuple[Rule, ...], None] = {}
    for merge in (True, False):
        lists: dict[tuple[Rule, ...], None] = {}
        for kind in kinds:
            lists.update({(*_once(listed), *ends): None for listed in _lists(forms, pairs, kind, merge)})
            found = search.first_whole(sorted(lists, key=length), None if kind is kinds[-1] else FEW_RULES)
            if found is not None:
                whole = search.without_idle(found)
                return whole._replace(rules=with_reasons(whole.rules, pairs))
        every.update(lists)
    return search.fullest(sorted(every, key=length))


def _once(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules without those that say the same as one before."""
    return tuple({(rule.kind, rule.find, rule.to): rule for rule in reversed(rules)}.values())[::-1]


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
    why = _WHY_WHOLE.get(names.ends, LAYERS)
    outer = [Rule("rename", _held(find, anchored), to, why=_why_counted(to) or why) for find, to in names.whole]
    for find, to in names.roots:
        reason = _why_counted(to) or "stages and blocks have other names"
        outer.append(Rule("rename", _held(find, anchored), to, why=reason))
    lines = names.layers if anchored else [_without_common_end(find, to) for find, to in names.layers]
    inner = [
        Rule("rename", find, to, why=INSIDE)
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
