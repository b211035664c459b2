"""Search: of many lists of rules the first that gives every paired key its name, and no other key one of these.

A list is tried on a few of the keys first: most wrong lists are wrong for some of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ckpt_explorer.anatomy.leaves import split
from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules import Rule, RuleSet
from ckpt_explorer.suggestion.templates import generalise

PROBES = 80
"""Keys on which a list is tried before it is applied to all."""
MOST_TRIED = 30
"""Rules of a list in which needless ones are looked for."""
MOST_RULES = 200
"""Rules of a list that is still looked at; a longer one nobody reads."""

Rules = tuple[Rule, ...]


class Induced(NamedTuple):
    """A rule list and how many of the pairs it produces."""

    rules: RuleSet
    produced: int


class Search:
    """Lists of rules held against the pairs that they must produce, and against all keys of the file.

    `foreign` says of a key whether it belongs to another network of the file.
    """

    def __init__(self, wanted: Mapping[str, str], keys: Sequence[str], foreign: Callable[[str], bool]) -> None:
        self.wanted = wanted
        self.keys = keys
        self.foreign = foreign
        self.probes = dict(list(wanted.items())[:: max(len(wanted) // PROBES, 1)])
        self.known: dict[Rules, Induced] = {}
        self.layers: dict[str, set[str]] = {}
        for key, name in wanted.items():
            self.layers.setdefault(name.rpartition(".")[0] + ".", set()).add(_layer(key))

    def first_whole(self, lists: Sequence[Rules], most: int | None) -> Induced | None:
        """The first of these lists that produces every pair; None where it has more than `most` rules, or none does."""
        if most is not None and all(len(rules) > most for rules in lists):
            return None
        for rules in lists:
            if len(rules) > MOST_RULES or not self._fits(rules):
                continue
            if most is not None and len(rules) > most:
                return None
            found = self._checked_once(rules)
            if found.produced == len(self.wanted):
                return found if most is None or len(found.rules) <= most else None
        return None

    def fullest(self, lists: Sequence[Rules]) -> Induced:
        """Where no list produces every pair: the one that produces the most, of those that fit a few of them.

        Where none does that, the first that can be applied.
        """
        best = Induced(RuleSet(), -1)
        for rules in lists:
            if len(rules) <= MOST_RULES and (best.produced < 0 or self._fits(rules)):
                found = self._checked_once(rules)
                if found.produced > best.produced:
                    best = found
        return best

    def without_idle(self, found: Induced) -> Induced:
        """The list without rules that another one makes needless: `norm1.` where there is `norm{n}.`"""
        if len(found.rules) > MOST_TRIED:
            return found
        at = 0
        while at < len(found.rules):
            fewer = found.rules.without(at)
            if found.rules[at].kind == "rename" and self._fits(fewer.rules):
                again = self.checked(fewer)
                if again.produced == len(self.wanted) and len(again.rules) < len(found.rules):
                    found = again
                    continue
            at += 1
        return found

    def _fits(self, rules: Rules) -> bool:
        try:
            return RuleSet(rules).names(self.probes) == list(self.probes.values())
        except RuleError:
            return False

    def _checked_once(self, rules: Rules) -> Induced:
        if rules not in self.known:
            self.known[rules] = self.checked(RuleSet(rules))
        return self.known[rules]

    def checked(self, rules: RuleSet) -> Induced:
        """`rules` with what they produce, and with drops in front for keys of another network that would take a name.

        A key of this network is never dropped for a name: it is learned, and a person must see it.
        """
        for _ in range(3):
            try:
                names = rules.names(self.keys)
            except RuleError:
                return Induced(rules, -1)
            places = {name for key, name in zip(self.keys, names, strict=True) if key in self.wanted}
            seen: set[str] = set()
            wrong: list[str] = []
            for key, name in zip(self.keys, names, strict=True):
                if name is None or key in self.wanted:
                    continue
                if name in places or name in seen or (self._pressed_in(key, name) and self.foreign(key)):
                    wrong.append(key)
                seen.add(name)
            if not wrong:
                break
            drops = tuple(drops_for(wrong, self.wanted)) if all(map(self.foreign, wrong)) else ()
            rules = RuleSet((*drops, *rules))
            if not drops or len(rules) > MOST_RULES:
                return Induced(rules, -1)
        else:
            return Induced(rules, -1)
        produced = sum(
            name == self.wanted[key] for key, name in zip(self.keys, names, strict=True) if key in self.wanted
        )
        pressed = any(
            name is not None and name != key and key not in self.wanted and self._pressed_in(key, name)
            for key, name in zip(self.keys, names, strict=True)
        )
        return Induced(rules, produced - pressed)

    def _pressed_in(self, key: str, name: str) -> bool:
        """Whether the rules put a key into a layer of the network in which it does not lie in the file."""
        at = name.rfind(".")
        while at > 0:
            mine = self.layers.get(name[: at + 1])
            if mine is not None:
                return not any(key.startswith(front) for front in mine)
            at = name.rfind(".", 0, at)
        return False


def _layer(key: str) -> str:
    """The name of the layer that a key of the file belongs to."""
    found = split(key)
    return found[0] if found else key.rpartition(".")[0]


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
