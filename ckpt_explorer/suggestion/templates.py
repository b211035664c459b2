"""generalise(): from single names and what they become to the fewest patterns with holes that say the same.

`stage1.block1.` -> `layer1.0.`, `stage1.block2.` -> `layer1.1.`, ... is `stage{n}.block{i}.` -> `layer{n}.{i-1}.`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ckpt_explorer.anatomy.tokens import Tokens, letter, number, tokens

HOLES = "nijkmp"
LEAST_FOR_DIVISION = 4
"""Names that must agree before a relation with a division or a remainder is believed."""


class Row(NamedTuple):
    """A name and what it becomes, as tokens, with the numbers in both."""

    source: Tokens
    target: Tokens
    numbers: tuple[int, ...]
    wanted: tuple[int, ...]


class Line(NamedTuple):
    """One pattern and its replacement, with the rows that it covers."""

    find: str
    to: str
    rows: tuple[Row, ...]


def generalise(names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Patterns and replacements for these renamings, in the order in which the names come; every name is covered.

    Each pattern covers only names that it renames rightly, as far as the names in `names` can tell.
    """
    found = [_lines(names, count) for count in (number, _number_or_letter)]
    best = min(found, key=len)
    if _one_begins_another(names):  # `conv1.norm.` must be renamed before `conv1.` is
        best.sort(key=lambda line: -max(len(row.source) for row in line.rows))
    return [(line.find, line.to) for line in best]


def _one_begins_another(names: Iterable[str]) -> bool:
    ordered = sorted(names)
    return any(other.startswith(one) for one, other in pairwise(ordered))


Count = Callable[[str], int | None]


def _number_or_letter(token: str) -> int | None:
    found = number(token)
    return found if found is not None else letter(token)


def _lines(names: Mapping[str, str], count: Count) -> list[Line]:
    groups: dict[tuple[Tokens, Tokens], list[Row]] = defaultdict(list)
    for source_name, target_name in names.items():
        source, target = tokens(source_name), tokens(target_name)
        groups[(_shape(source, count), _shape(target, number))].append(
            Row(source, target, _numbers(source, count), _numbers(target, number))
        )
    by_source: dict[Tokens, list[Row]] = defaultdict(list)
    for (shape, _), rows in groups.items():
        by_source[shape] += rows
    lines: list[Line] = []
    for (shape, _), rows in groups.items():
        lines += _solved(rows, by_source[shape], count)
    return lines


def _shape(name: Tokens, count: Count) -> Tokens:
    return tuple("#" + _separator(token) if count(token) is not None else token for token in name)


def _separator(token: str) -> str:
    return token[: len(token) - len(token.lstrip("./_:~- "))]


def _numbers(name: Tokens, count: Count) -> tuple[int, ...]:
    return tuple(found for token in name if (found := count(token)) is not None)


def _solved(rows: list[Row], alike: list[Row], count: Count) -> list[Line]:
    """Lines for rows of one shape. `alike` are all rows whose names have that shape: none of the others may match."""
    if len(rows) == 1:
        return [_literal(rows[0])]
    relations: list[str] = []
    for column in range(len(rows[0].wanted)):
        relation = _relation(rows, column)
        if relation is None:
            parts: dict[int, list[Row]] = defaultdict(list)
            for row in rows:
                parts[row.wanted[column]].append(row)
            if cut := _late_start(rows):
                return [*_solved(rows[:cut], alike, count), *_solved(rows[cut:], alike, count)]
            if len(parts) in (1, len(rows)):
                return [_literal(row) for row in rows]
            return [line for part in parts.values() for line in _solved(part, alike, count)]
        relations.append(relation)
    varying = [at for at in range(len(rows[0].numbers)) if len({row.numbers[at] for row in rows}) > 1]
    mine = {row.source for row in rows}
    others = [row for row in alike if row.source not in mine]
    fixed = [at for at in range(len(rows[0].numbers)) if at not in varying]

    def caught(row: Row, ranged: bool) -> bool:
        if any(row.numbers[at] != rows[0].numbers[at] for at in fixed):
            return False
        return not ranged or all(
            min(own.numbers[at] for own in rows) <= row.numbers[at] <= max(own.numbers[at] for own in rows)
            for at in varying
        )

    ranged = any(caught(row, False) for row in others)
    if ranged and any(caught(row, True) for row in others):
        at = max(varying, key=lambda at: len({row.numbers[at] for row in rows}))
        return [
            line
            for value in dict.fromkeys(row.numbers[at] for row in rows)
            for line in _solved([row for row in rows if row.numbers[at] == value], alike, count)
        ]
    return [Line(_pattern(rows, varying, ranged, count), _replacement(rows[0], relations), tuple(rows))]


def _late_start(rows: list[Row]) -> int:
    """How many rows stand apart from a regular rest: the first of a count, before which something is left out. Or 0."""
    rows.sort(key=lambda row: row.numbers)
    for cut in (1, 2, 3, 4):
        rest = rows[cut:]
        if len(rest) >= LEAST_FOR_DIVISION and all(
            _relation(rest, column) is not None for column in range(len(rest[0].wanted))
        ):
            return cut
    return 0


def _literal(row: Row) -> Line:
    return Line("".join(row.source), "".join(row.target), (row,))


def _relation(rows: Sequence[Row], column: int) -> str | None:
    """How a number of the replacement follows from the numbers of the name: a constant, or a hole with steps."""
    wanted = [row.wanted[column] for row in rows]
    for at in range(len(rows[0].numbers)):
        given = [row.numbers[at] for row in rows]
        if len(set(given)) == 1:
            continue
        step = wanted[0] - given[0]
        if all(want - have == step for want, have in zip(wanted, given, strict=True)):
            return f"{{{HOLES[min(at, 5)]}{f'{step:+d}' if step else ''}}}"
    if len(set(wanted)) == 1:
        return str(wanted[0])
    if len(rows) < LEAST_FOR_DIVISION:
        return None
    for at in range(len(rows[0].numbers)):
        given = [row.numbers[at] for row in rows]
        if len(set(given)) < LEAST_FOR_DIVISION:
            continue
        for by in (2, 3, 4):
            for before in range(-4, 5):
                for sign, apply in (("//", _divided), ("%", _remainder)):
                    first = wanted[0] - apply(given[0] + before, by)
                    if min(given) + before >= 0 and all(
                        want - apply(have + before, by) == first for want, have in zip(wanted, given, strict=True)
                    ):
                        steps = f"{f'{before:+d}' if before else ''}{sign}{by}{f'{first:+d}' if first else ''}"
                        return f"{{{HOLES[min(at, 5)]}{steps}}}"
    return None


def _divided(one: int, by: int) -> int:
    return one // by


def _remainder(one: int, by: int) -> int:
    return one % by


def _pattern(rows: Sequence[Row], varying: Sequence[int], ranged: bool, count: Count) -> str:
    parts, at = [], 0
    for token in rows[0].source:
        if count(token) is None:
            parts.append(token)
            continue
        if at in varying:
            name, values = HOLES[min(at, 5)], [row.numbers[at] for row in rows]
            if number(token) is None:
                first, last = (chr(ord("a") + min(values)), chr(ord("a") + max(values))) if ranged else ("a", "z")
                if token[-1].isupper():
                    first, last = first.upper(), last.upper()
                name = f"{name}:{first}-{last}"
            elif ranged:
                name = f"{name}:{min(values)}-{max(values)}"
            parts.append(f"{_separator(token)}{{{name}}}")
        else:
            parts.append(token)
        at += 1
    return "".join(parts)


def _replacement(row: Row, relations: Sequence[str]) -> str:
    parts, at = [], 0
    for token in row.target:
        if number(token) is None:
            parts.append(token)
        else:
            parts.append(_separator(token) + relations[at])
            at += 1
    return "".join(parts)
