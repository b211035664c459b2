"""rewritings(): the rules that a person may mean who puts one name in another's place, from the most general on.

`module.layer1.0.norm2.weight` in the place of `layer1.0.bn2.weight` may mean that `module.` goes and every `norm{n}.`
is `bn{n}.`, that every block's `norm{n}.` is, that this layer is, or this one key. Names alone are compared here: what
a rule does to the rest of the file is for the caller to see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import islice, product
from typing import NamedTuple

from ckpt_explorer.anatomy.tokens import letter, number, tokens
from ckpt_explorer.rules import Rule
from ckpt_explorer.rules.pattern import MAX_PATTERN, compiled
from ckpt_explorer.suggestion.templates import HOLES

MOST_LISTS = 120
"""Lists of rules that one pair of names gives at most."""

MOST_LISTS_OF_ONE_DIVISION = 14
FARTHEST = 4
"""How far two numbers may be apart that are taken for the same count with another start."""

_PIECE = re.compile(r"[^./_]*[./_]+|[^./_]+")
_SEPARATORS = "./_"


class Part(NamedTuple):
    """A run of two names that differs (`same` where it does not), and whether it begins or ends them."""

    ours: str
    theirs: str
    same: bool
    first: bool
    last: bool


def rewritings(name: str, wanted: str) -> list[tuple[Rule, ...]]:
    """Lists of rules each of which makes `wanted` of `name`, as far as their kinds can say; the general ones first."""
    if name == wanted or not name or not wanted:
        return []
    lists: dict[tuple[Rule, ...], None] = {}
    for parts in _divisions(name, wanted):
        lists.update(dict.fromkeys(islice(_of_parts(parts), MOST_LISTS_OF_ONE_DIVISION)))
        if len(lists) >= MOST_LISTS:
            break
    return [rules for rules in lists if rules and all(_can_be_written(rule) for rule in rules)]


def whole_names(name: str, wanted: str) -> list[tuple[Rule, ...]]:
    """Single rules for this form of name: every tensor of the layer in all blocks, this tensor in all, this layer."""
    front, last = _layer_of(name)
    to_front, to_last = _layer_of(wanted)
    forms = [Part(name, wanted, False, True, True)]
    if front and to_front and last == to_last:
        forms.insert(0, Part(front, to_front, False, True, False))
    found: dict[tuple[Rule, ...], None] = {}
    for part in forms:
        for find, to in linked(part.ours, part.theirs):
            found[(Rule("rename", f"^{find}{'$' if part.last else ''}", to),)] = None
    return [rules for rules in found if all(_can_be_written(rule) for rule in rules)]


def this_key(name: str, wanted: str) -> Rule | None:
    """The rule that renames exactly this name; None where it is too long for any rule."""
    rule = Rule("rename", f"^{name}$", wanted)
    if _can_be_written(rule) and name.strip("^$. "):
        return rule
    rule = Rule("regex", f"^{re.escape(name)}$", wanted.replace("\\", r"\\"))
    return rule if max(len(rule.find), len(rule.to)) <= MAX_PATTERN else None


def linked(ours: str, theirs: str) -> list[tuple[str, str]]:
    """Patterns and replacements for two texts, their numbers linked as holes where they may follow from each other.

    `res2_0_` and `layer1.0.` give `res{n}_{i}_` -> `layer{n-1}.{i}.`; the last has no hole at all.
    """
    source, target = tokens(ours), tokens(theirs)
    have = [at for at, token in enumerate(source) if number(token) is not None]
    want = [at for at, token in enumerate(target) if number(token) is not None]
    with_letters = [at for at, token in enumerate(source) if number(token) is not None or letter(token) is not None]
    ways: list[dict[int, int]] = []
    for given in dict.fromkeys((tuple(have), tuple(with_letters))):
        ways.append(dict(zip(want, given, strict=False)))
        ways.append(dict(zip(reversed(want), reversed(given), strict=False)))
    ways += [_equal_ones(source, target, have, want), {}]
    near = [{at: by for at, by in way.items() if _may_follow(source[by], target[at])} for way in ways]
    return list(dict.fromkeys(_with_holes(source, target, way) for way in near))


def _may_follow(given: str, wanted: str) -> bool:
    """Whether a number is near enough to another number, or to a letter's place in the alphabet, to count with it."""
    value = number(given)
    step = (number(wanted) or 0) - (letter(given) or 0 if value is None else value)
    return step in (0, 1) if value is None else abs(step) <= FARTHEST


def without_hole(rule: Rule, name: str, hole: str) -> Rule | None:
    """The rule with one of its holes filled by what it catches in `name`; None where the rule does not apply."""
    found = compiled(rule.find).compiled.search(name)
    if found is None:
        return None
    caught = found[hole]
    value = int(caught) if caught.isdigit() else ord(caught.lower()) - ord("a")
    find = re.sub(rf"\{{{hole}(?::[^}}]*)?\}}", lambda _: caught, rule.find)
    to = re.sub(rf"\{{{hole}([+-]\d+)?\}}", lambda step: str(value + int(step[1] or 0)), rule.to)
    return replace(rule, find=find, to=to)


def _equal_ones(source: Sequence[str], target: Sequence[str], have: list[int], want: list[int]) -> dict[int, int]:
    """Each number of the target linked to the next equal one of the source."""
    found: dict[int, int] = {}
    start = 0
    for at in want:
        for position in range(start, len(have)):
            if number(source[have[position]]) == number(target[at]):
                found[at], start = have[position], position + 1
                break
    return found


def _with_holes(source: Sequence[str], target: Sequence[str], way: dict[int, int]) -> tuple[str, str]:
    names = {at: HOLES[min(order, len(HOLES) - 1)] for order, at in enumerate(sorted(set(way.values())))}
    find = "".join(_caught(token, names[at]) if at in names else token for at, token in enumerate(source))
    to = ""
    for at, token in enumerate(target):
        if at not in way:
            to += token
            continue
        given = source[way[at]]
        value = number(given)
        value = letter(given) if value is None else value
        step = (number(token) or 0) - (value or 0)
        to += f"{_separator(token)}{{{names[way[at]]}{f'{step:+d}' if step else ''}}}"
    return find, to


def _caught(token: str, name: str) -> str:
    if number(token) is not None:
        return f"{_separator(token)}{{{name}}}"
    return f"{_separator(token)}{{{name}:{'A-Z' if token[-1].isupper() else 'a-z'}}}"


def _separator(token: str) -> str:
    return token[: len(token) - len(token.lstrip("./_:~- "))]


def _divisions(name: str, wanted: str) -> Iterator[list[Part]]:
    """The two names cut into parts: by what they share, with the run that differs cut at its leaf or behind its root."""
    plain = _parts(name, wanted)
    yield plain
    yield from _cut_further(plain)
    ends = _only_ends(plain)
    if ends != plain:  # a number may stand in both names and count something else
        yield ends
        yield from _cut_further(ends)


def _only_ends(parts: list[Part]) -> list[Part]:
    """The same division with all between the first and the last difference as one part."""
    differ = [at for at, part in enumerate(parts) if not part.same]
    if not differ:
        return parts
    low, high = differ[0], differ[-1] + 1
    ours = "".join(part.ours for part in parts[low:high])
    theirs = "".join(part.theirs for part in parts[low:high])
    return [*parts[:low], Part(ours, theirs, False, parts[low].first, parts[high - 1].last), *parts[high:]]


def _cut_further(plain: list[Part]) -> Iterator[list[Part]]:
    for at, part in enumerate(plain):
        if part.same or not part.theirs or not part.ours:
            continue
        cuts = [_cut_leaf(part)] if part.last else []
        cuts += list(_cut_root(part)) if part.first else []
        for cut in cuts:
            if cut is not None:
                yield [*plain[:at], *cut, *plain[at + 1 :]]


def _parts(name: str, wanted: str) -> list[Part]:
    ours, theirs = _PIECE.findall(name), _PIECE.findall(wanted)
    bare = [[piece.strip(_SEPARATORS) for piece in pieces] for pieces in (ours, theirs)]
    rows: list[list[str]] = []
    for tag, a, b, c, d in SequenceMatcher(None, bare[0], bare[1], autojunk=False).get_opcodes():
        if tag == "equal":
            rows += [[ours[a + k], theirs[c + k]] for k in range(b - a)]
        else:
            rows.append(["".join(ours[a:b]), "".join(theirs[c:d])])
    merged: list[list[str]] = []
    for one, other in rows:
        both_differ = bool(merged) and one != other and merged[-1][0] != merged[-1][1]
        if both_differ or (merged and not (one and other)):  # what comes in or goes away needs its neighbour
            merged[-1] = [merged[-1][0] + one, merged[-1][1] + other]
        else:
            merged.append([one, other])
    end = len(merged) - 1
    return [Part(one, other, one == other, at == 0, at == end) for at, (one, other) in enumerate(merged)]


def _cut_leaf(part: Part) -> list[Part] | None:
    front, last = _layer_of(part.ours)
    to_front, to_last = _layer_of(part.theirs)
    if not front or not to_front:
        return None
    return [
        Part(front, to_front, front == to_front, part.first, False),
        Part(last, to_last, last == to_last, False, True),
    ]


def _cut_root(part: Part) -> Iterator[list[Part] | None]:
    """Cut behind the network's last number that stands alone, and behind each number of the file's name."""
    theirs = _PIECE.findall(part.theirs)
    roots = [at for at, piece in enumerate(theirs) if piece[:-1].isdigit() and piece.endswith(".")]
    if not roots or roots[-1] + 1 == len(theirs):
        return
    to_front, to_rest = "".join(theirs[: roots[-1] + 1]), "".join(theirs[roots[-1] + 1 :])
    ours = _PIECE.findall(part.ours)
    for at in range(len(ours) - 1):
        if not any(number(token) is not None or letter(token) is not None for token in tokens(ours[at])):
            continue
        front, rest = "".join(ours[: at + 1]), "".join(ours[at + 1 :])
        cut = [Part(front, to_front, False, True, False)]
        rest_part = Part(rest, to_rest, rest == to_rest, False, part.last)
        leaf = _cut_leaf(rest_part) if part.last and not rest_part.same else None
        if leaf:
            yield [*cut, *leaf]
        yield [*cut, rest_part]


def _layer_of(name: str) -> tuple[str, str]:
    """A name cut before its last piece, and that piece: `running_mean` and its like are one piece."""
    front, dot, last = name.rpartition(".")
    if dot:
        return front + dot, last
    cut = max(name.rfind(mark) for mark in "/_") + 1
    return name[:cut], name[cut:]


def _of_parts(parts: Sequence[Part]) -> Iterator[tuple[Rule, ...]]:
    choices = [_ways(part) for part in parts if not part.same]
    for chosen in sorted(product(*(range(len(ways)) for ways in choices)), key=sum):
        yield tuple(ways[at] for ways, at in zip(choices, chosen, strict=True))


def _ways(part: Part) -> list[Rule]:
    """The rules that may stand for one part, the most general first."""
    rules: list[Rule] = []
    if part.first and not part.theirs:
        return [Rule("strip prefix", part.ours)]
    if part.first and not part.ours:
        return [Rule("add prefix", part.theirs)]
    if gone := _segment_gone(part):
        rules.append(Rule("remove segment", gone))
    end = "$" if part.last else ""
    for find, to in linked(part.ours, part.theirs):
        if not part.first:
            rules.append(Rule("rename", find + end, to))
            continue
        if find[:1].isalpha():
            rules.append(Rule("rename", find + end, to))
        rules.append(Rule("rename", f"^{find}{end}", to))
    return rules


def _segment_gone(part: Part) -> str:
    """The one segment that the network's name has not: `m` of `conv1.m.` and `conv1.`"""
    if part.first or not part.ours.startswith(part.theirs):
        return ""
    gone = part.ours[len(part.theirs) :]
    return gone[:-1] if gone.endswith(".") and gone.count(".") == 1 and part.theirs.endswith(".") else ""


def _can_be_written(rule: Rule) -> bool:
    """Whether a pattern can hold these names: braces and stars mean something else in it."""
    if max(len(rule.find), len(rule.to)) > MAX_PATTERN:
        return False
    if rule.kind != "rename":
        return True
    literal = re.sub(r"\{[nijkmp](?::[aA]-[zZ])?(?:[+-]\d+)?\}", "", rule.find + rule.to)
    return not set("{}*") & set(literal) and bool(rule.find.strip("^$. "))
