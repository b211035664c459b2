"""RuleSet: an ordered list of rules, and what it makes of a list of keys."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple

from ckpt_explorer.errors import RuleCollision, RuleError
from ckpt_explorer.rules.arithmetic import combination
from ckpt_explorer.rules.pattern import MAX_KEY, Rewrite
from ckpt_explorer.rules.rule import DROPPED, Rule, parse_rule, rule_from_json
from ckpt_explorer.text import plural, visible

MAX_RULES = 500
MAX_RULES_FILE = 1 << 20
SECONDS = 1.0
"""How long one rule may take for all keys together: a regular expression can be made to take for ever."""

OF_ARITHMETIC = ("transform", "combine")
"""Kinds of rules that do something to a tensor also where its key has its name already."""


class RenamedKey(NamedTuple):
    """A key as saved, its name behind the rules (None: left out), and the positions of the rules that touched it.

    `operand` says which part it is of a tensor that is combined of two: 0 or 1, and by which rule.
    """

    key: str
    renamed: str | None
    rules: tuple[int, ...]
    operand: tuple[int, int] | None = None


_NEW_TUPLE: Callable[..., RenamedKey] = tuple.__new__
"""Faster than the named tuple's own constructor, which wants its fields one by one."""


@dataclass(frozen=True)
class Touched:
    """What one rule did: how many keys it touched, and the first of them before and after (None: left out)."""

    count: int
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True)
class Renaming:
    """What a rule list made of a list of keys; `touched` has one row a rule."""

    keys: tuple[RenamedKey, ...]
    touched: tuple[Touched, ...]


@dataclass(frozen=True)
class RuleSet(Sequence[Rule]):
    """An ordered list of rules. Each rule sees what the ones before it left."""

    rules: tuple[Rule, ...] = ()

    def __getitem__(self, index: Any) -> Any:
        return self.rules[index]

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    @property
    def taken_from(self) -> str | None:
        """The path of the state dict that the last enabled `take from` names, or None."""
        paths = [rule.find for rule in self.rules if rule.kind == "take from" and rule.enabled]
        return paths[-1] if paths else None

    def added(self, rule: Rule, at: int | None = None) -> RuleSet:
        """With `rule` before the one at position `at`, or behind all others.

        Raises:
            RuleError: the list is full.
        """
        if len(self.rules) >= MAX_RULES:
            raise RuleError(f"A list has {MAX_RULES} rules at most.")
        at = len(self.rules) if at is None else at
        return RuleSet((*self.rules[:at], rule, *self.rules[at:]))

    def without(self, position: int) -> RuleSet:
        """Without the rule at `position` (from 0)."""
        return RuleSet(self.rules[:position] + self.rules[position + 1 :])

    def replaced(self, position: int, rule: Rule) -> RuleSet:
        """With `rule` in place of the one at `position` (from 0)."""
        return RuleSet((*self.rules[:position], rule, *self.rules[position + 1 :]))

    def moved(self, position: int, by: int) -> RuleSet:
        """With the rule at `position` moved `by` places, as far as the list goes."""
        rules = list(self.rules)
        rule = rules.pop(position)
        rules.insert(min(max(position + by, 0), len(rules)), rule)
        return RuleSet(tuple(rules))

    def apply(self, keys: Iterable[str], collide: bool = False) -> Renaming:
        """Rename `keys`, each through all enabled rules in order. With `collide`, two keys may get one name.

        Raises:
            RuleError: a rule is not valid, or takes too long; `position` says which.
            RuleCollision: two keys would get one name; the text names both, `position` the last rule that touched them.
        """
        columns, shown = self._applied(list(keys))
        rows = columns.rows()
        if not collide:
            _refuse_collisions(rows)
        return Renaming(rows, shown)

    def names(self, keys: Iterable[str]) -> list[str | None]:
        """What `apply` makes of `keys`, the names alone and in their order; two keys may get one name.

        Raises:
            RuleError: a rule is not valid, or takes too long.
        """
        return self._applied(list(keys))[0].names

    def _applied(self, keys: list[str]) -> tuple[_Columns, tuple[Touched, ...]]:
        columns = _Columns(keys)
        shown = [Touched(0)] * len(self.rules)
        for position, rewrite in self._steps():
            rule = self.rules[position]
            try:
                shown[position] = columns.rewritten(position, rewrite, rule.kind in OF_ARITHMETIC)
            except RuleError as error:
                raise RuleError(str(error), position) from None
            except TimeoutError:
                raise RuleError("The rule takes too long: make its pattern simpler.", position) from None
            if rule.kind == "combine" and shown[position].count:
                columns.note_operands(position, combination(rule.find).parts)
        return columns, tuple(shown)

    def trace(self, key: str) -> list[tuple[int, str, str | None]]:
        """The way of one key through the rules: position, name before, name after (None: left out), a row a rule."""
        way: list[tuple[int, str, str | None]] = []
        name = key
        for position, rewrite in self._steps():
            renamed = rewrite(name, SECONDS)
            if renamed is None or (renamed == name and self.rules[position].kind not in OF_ARITHMETIC):
                continue
            way.append((position, name, None if renamed is DROPPED else renamed))
            if renamed is DROPPED:
                break
            name = renamed
        return way

    def _steps(self) -> list[tuple[int, Rewrite]]:
        steps = []
        for position, rule in enumerate(self.rules):
            if not rule.enabled:
                continue
            try:
                steps.append((position, rule.rewrite()))
            except RuleError as error:
                raise RuleError(str(error), position) from None
        return steps

    def as_json(self) -> list[dict[str, Any]]:
        """One object a rule; `rules_from_json` reads it back."""
        return [rule.as_json() for rule in self.rules]

    def __str__(self) -> str:
        return "\n".join(f"{rule}" if rule.enabled else f"# {rule}" for rule in self.rules)


class _Columns:
    """Keys and what rules make of them, side by side: each rule goes over the names that it may touch, at once."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys
        self.names: list[str | None] = [*keys]
        self.live: Sequence[int] = range(len(keys))
        self.touched: list[tuple[int, ...]] = [()] * len(keys)
        self.before: list[tuple[int, str]] = []
        self.operands: dict[int, tuple[int, int]] = {}

    def rewritten(self, position: int, rewrite: Rewrite, keeps: bool) -> Touched:
        """Apply one rule; `keeps` where a key that it touches has the name that it had.

        Raises:
            RuleError, TimeoutError: without a position.
        """
        names, holds, apply = self.names, rewrite.holds, rewrite.apply
        hits = [at for at in self.live if holds in names[at]] if holds else self.live  # type: ignore[operator]
        if rewrite.ends:
            hits = [at for at in hits if names[at].endswith(rewrite.ends)]  # type: ignore[union-attr]
        changed: list[tuple[int, str]] = []
        dropped: set[int] = set()
        left = SECONDS
        for at in hits:
            name: str = names[at]  # type: ignore[assignment]
            if rewrite.quick:
                renamed = apply(name, left)
            else:
                started = time.perf_counter()
                renamed = apply(name, left)
                left -= time.perf_counter() - started
                if left <= 0:
                    raise TimeoutError
            if renamed is None or (renamed == name and not keeps and renamed is not DROPPED):
                continue
            changed.append((at, name))
            if renamed is DROPPED:
                dropped.add(at)
                names[at] = None
            elif len(renamed) > len(name) or not renamed:
                names[at] = self._checked(at, renamed, position)
            else:
                names[at] = renamed
        last = (position,)
        touched = self.touched
        for at, _ in changed:
            touched[at] += last
        if dropped:
            self.live = [at for at in self.live if at not in dropped]
        self.before = changed
        return Touched(len(changed), changed[0][1], names[changed[0][0]]) if changed else Touched(0)

    def _checked(self, at: int, renamed: str, position: int) -> str:
        key = self.keys[at]
        if not renamed:
            raise RuleError(f"Rule {position + 1} would leave nothing of key {visible(key, 80)!r}.")
        if len(renamed) > max(MAX_KEY, len(key)):
            raise RuleError(f"Key {visible(key, 80)!r} would become longer than {MAX_KEY:,} characters.")
        return renamed

    def note_operands(self, position: int, parts: Sequence[str]) -> None:
        """Say of each key that the last rule touched which part of a combined tensor it is."""
        for at, name in self.before:
            self.operands[at] = (position, next(part for part, end in enumerate(parts) if name.endswith(end)))

    def rows(self) -> tuple[RenamedKey, ...]:
        """A row a key."""
        operands = map(self.operands.get, range(len(self.keys))) if self.operands else repeat(None)
        columns = zip(self.keys, self.names, self.touched, operands, strict=False)
        return tuple(map(_NEW_TUPLE, repeat(RenamedKey), columns))


def _refuse_collisions(rows: Sequence[RenamedKey]) -> None:
    given = [row.renamed for row in rows if row.renamed is not None]
    if len(set(given)) == len(given):
        return
    by_name: dict[tuple[str, int], RenamedKey] = {}
    collisions: list[tuple[RenamedKey, RenamedKey]] = []
    for row in rows:
        if row.renamed is None:
            continue
        part = row.operand[1] if row.operand else 0
        first = by_name.setdefault((row.renamed, part), row)
        if first is not row:
            collisions.append((first, row))
        elif part and (whole := by_name.get((row.renamed, 0))) and whole.operand is None:
            collisions.append((whole, row))
    if not collisions:
        return
    first, second = collisions[0]
    positions = (*first.rules, *second.rules)
    position = max(positions) if positions else None
    others = f" ({plural(len(collisions) - 1, 'more pair')} likewise)" if len(collisions) > 1 else ""
    rule = f"Rule {position + 1} gives" if position is not None else "The rules give"
    raise RuleCollision(
        f"{rule} two keys one name: {visible(first.key, 120)!r} and {visible(second.key, 120)!r} would both be {visible(first.renamed or '', 120)!r}{others}; narrow it, or drop one of them.",
        position,
    )


def rules_from_json(text: str | bytes) -> RuleSet:
    """Read a rule list: a JSON list (of objects or lines), an object with the list under `rules`, or a line of text a rule.

    Raises:
        RuleError: it is none of these, or a rule in it is not valid; the text says which.
    """
    if len(text) > MAX_RULES_FILE:
        raise RuleError(f"A rules file has {MAX_RULES_FILE >> 20} MiB at most.")
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    except UnicodeDecodeError:
        raise RuleError("The rules file is no text.") from None
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        return _rules_from_lines(text)
    given = given.get("rules") if isinstance(given, dict) else given
    if not isinstance(given, list):
        raise RuleError("A rules file holds a list of rules, or an object with that list under 'rules'.")
    return _checked(given, rule_from_json)


def _rules_from_lines(text: str) -> RuleSet:
    lines = [line.strip() for line in text.splitlines()]
    if text.lstrip()[:1] in ("{", "["):
        raise RuleError("The rules file is no valid JSON.")
    return _checked([line for line in lines if line and not line.startswith("#")], parse_rule)


def _checked(given: list[Any], read: Callable[[Any], Rule]) -> RuleSet:
    if len(given) > MAX_RULES:
        raise RuleError(f"A list has {MAX_RULES} rules at most, this one has {len(given):,}.")
    rules = []
    for position, row in enumerate(given):
        try:
            rules.append(read(row))
        except RuleError as error:
            raise RuleError(f"Rule {position + 1}: {error}", position) from None
    return RuleSet(tuple(rules))
