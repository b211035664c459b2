"""Trial: what a few new rules would do to the names that a file has behind the rules in force, without a whole alignment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.errors import RuleError
from ckpt_explorer.key_pair import Status
from ckpt_explorer.rules import Rule, RuleSet
from ckpt_explorer.rules.arithmetic import OPERATIONS, Shape
from ckpt_explorer.rules.pattern import compiled
from ckpt_explorer.suggestion.arithmetic import KERNELS_TURNED, WHY, operation_between
from ckpt_explorer.suggestion.likeness import roles_of

SOME = 80
"""Names that a list of rules is tried on first."""
MOST_MISFITS = 0.1
"""Keys of another shape that a list may put in place, as a share of those that fit."""
MOST_SINGLE_TRANSFORMS = 4


class Outcome(NamedTuple):
    """What a list of rules does: keys newly in a place that they fit, those that don't fit there, and names that it
    moves out of every part of the network.

    `arithmetic` are rules that more of them fit with; those are counted among `keys`.
    """

    rules: tuple[Rule, ...]
    keys: tuple[str, ...]
    misfits: int
    astray: int
    arithmetic: tuple[Rule, ...]

    def order(self) -> tuple[int, ...]:
        """A sort key: the most keys in place first; of equals, what leads least astray and is shortest to read."""
        length = sum(len(rule.find) + len(rule.to) for rule in self.rules)
        return (-len(self.keys), self.misfits, self.astray, len(self.rules), length)


class Trial:
    """The names of one alignment, ready to be renamed again and again. A name with a place must keep it."""

    def __init__(self, alignment: Alignment) -> None:
        self.tree = alignment.architecture.tree
        self.shapes: dict[str, Shape] = {}
        self.keys: dict[str, str] = {}
        self.placed: set[str] = set()
        for pair in alignment.pairs:
            if pair.renamed is None or pair.checkpoint is None:
                continue
            self.keys.setdefault(pair.renamed, pair.checkpoint)
            self.shapes[pair.renamed] = alignment.state_dict[pair.checkpoint].shape
            if pair.status in (Status.MATCHED, Status.ADAPTED):
                self.placed.add(pair.renamed)
        self.names = list(self.keys)
        self.later = [(compiled(rule.find).compiled, rule.to) for rule in arithmetic_behind(alignment.rules)]
        self.file_roles, self.model_roles = roles_of(alignment)
        self.parts = {".".join(key.split(".", depth)[:depth]) for key in self.tree for depth in (1, 2)}
        chance = Random(0)  # a fixed step through the names could meet the same layer of every block
        free = [name for name in self.names if name not in self.placed]
        held = [name for name in self.names if name in self.placed]
        self.some = [*chance.sample(free, min(len(free), SOME)), *chance.sample(held, min(len(held), SOME // 2))]

    def on_some(self, rules: tuple[Rule, ...], name: str, wanted: str) -> Outcome | None:
        """The outcome on a part of the names, `name` among them; None where it is not allowed."""
        return self._outcome(rules, dict.fromkeys((name, *self.some)), name, wanted)

    def on_all(self, rules: tuple[Rule, ...], name: str, wanted: str) -> Outcome | None:
        """The outcome on all names; None where `name` does not become `wanted`, or something else would suffer."""
        return self._outcome(rules, self.names, name, wanted)

    def _outcome(self, rules: tuple[Rule, ...], names: Iterable[str], name: str, wanted: str) -> Outcome | None:
        listed = list(names)
        combined = any(rule.kind == "combine" for rule in rules)
        try:
            if RuleSet(rules).names([name]) != [wanted]:
                return None
            new, astray, finals = {}, 0, set[object]()
            for each, final in zip(listed, self._finals(rules, listed, combined), strict=True):
                if each in self.placed and final != each:
                    return None
                if final is None:
                    continue
                if final in finals:
                    return None
                finals.add(final)
                after = final[0] if isinstance(final, tuple) else final
                if after != each:
                    if after in self.tree:
                        new[each] = after
                    elif ".".join(after.split(".", 2)[:2]) not in self.parts:
                        astray += 1
            if combined and any(isinstance(final, tuple) and final[0] in finals for final in finals):
                return None
            return self._fitted(rules, name, new, astray, combined)
        except RuleError:
            return None

    def _finals(
        self, rules: tuple[Rule, ...], names: list[str], combined: bool
    ) -> Sequence[str | tuple[str, int] | None]:
        """The names behind the rules; the two parts of a tensor that is combined have their place in it beside them."""
        if not combined:
            return RuleSet(rules).names(names)
        rows = RuleSet(rules).apply(names, collide=True).keys
        return [(row.renamed, row.operand[1]) if row.renamed and row.operand else row.renamed for row in rows]

    def _fitted(
        self, rules: tuple[Rule, ...], this: str, new: dict[str, str], astray: int, combined: bool
    ) -> Outcome | None:
        """The outcome for names with a new place; None where too many don't fit, or structure contradicts one."""
        if not self._contradicted(this, new[this]) and any(self._contradicted(*pair) for pair in new.items()):
            return None
        fit: list[str] = []
        misfits: list[str] = []
        needed: dict[str, list[tuple[str, str]]] = {}
        for name, place in new.items():
            shape, wanted = self._later_shape(name, place), self.tree[place].shape
            if shape == wanted or combined:
                fit.append(name)
            elif operation := operation_between(shape, wanted, ""):
                needed.setdefault(operation, []).append((name, place))
            else:
                misfits.append(name)
        arithmetic: list[Rule] = []
        for operation, pairs in needed.items():
            made = self._transforms(operation, [place for _, place in pairs], set(new.values()))
            arithmetic += made
            (fit if made else misfits).extend(name for name, _ in pairs)
        layer = new[this].rpartition(".")[0]
        own = layer if this in misfits else None  # the others of its layer may fail to fit with it
        others = sum(new[name].rpartition(".")[0] != own for name in misfits)
        if others > len(fit) * MOST_MISFITS:
            return None
        return Outcome(rules, tuple(self.keys[name] for name in fit), len(misfits), astray, tuple(arithmetic))

    def _later_shape(self, name: str, place: str) -> Shape:
        """The shape that a key has in its new place, behind the arithmetic that the rules in force end with."""
        shape = self.shapes[name]
        for found, operation in self.later:
            if found.search(place):
                shape = OPERATIONS[operation].shape(shape) or shape
        return shape

    def _contradicted(self, name: str, place: str) -> bool:
        """Whether the file's structure says that a key is another tensor than this one of the network."""
        ours, theirs = self.file_roles.get(self.keys[name]), self.model_roles.get(place)
        return ours is not None and theirs is not None and (ours.place != theirs.place or ours.role != theirs.role)

    def _transforms(self, operation: str, places: list[str], new: set[str]) -> list[Rule]:
        """One rule for all kernels where no other tensor is touched by it, else one a place while they are few."""
        leaf = places[0].rpartition(".")[2]
        others = [
            name
            for name in (*self.placed, *new)
            if name.rpartition(".")[2] == leaf and name not in places and len(self.tree[name].shape) == 4
        ]
        if operation in KERNELS_TURNED and not others:
            return [Rule("transform", f"{leaf}$", operation, why=WHY[operation])]
        if len(places) > MOST_SINGLE_TRANSFORMS:
            return []
        return [Rule("transform", f"^{place}$", operation, why=WHY[operation]) for place in places]


def arithmetic_behind(rules: RuleSet) -> tuple[Rule, ...]:
    """The transforms that a list ends with: what is renamed before them, they see under its new name."""
    behind: list[Rule] = []
    for rule in reversed(rules):
        if rule.kind != "transform" or not rule.enabled:
            break
        behind.insert(0, rule)
    return tuple(behind)
