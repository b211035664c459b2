"""generalise(): from single names and what they become to the fewest patterns with holes that say the same.

`stage1.block1.` -> `layer1.0.`, `stage1.block2.` -> `layer1.1.`, ... is `stage{n}.block{i}.` -> `layer{n}.{i-1}.`.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby, pairwise
from typing import NamedTuple

from ckpt_explorer.anatomy.tokens import Tokens, bare, letter, number, tokens

HOLES = "nijkmp"
LEAST_FOR_DIVISION = 4
"""Names that must agree before a relation with a division or a remainder is believed."""


MOST_GROUPS = 60
"""Groups of different sizes that a pattern writes down."""

MOST_WAYS = 5
"""Ways to count that are followed for one number."""

Sizes = tuple[int, ...]
Column = tuple[int, ...]
Columns = tuple[Column, ...]


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
    found = [_lines(names, number)]
    if len(found[0]) > 1 and any(letter(token) is not None for name in names for token in tokens(name)):
        found.append(_lines(names, _number_or_letter))
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
        source, shape, numbers = _read(source_name, count)
        target, target_shape, wanted = _read(target_name, number)
        groups[(shape, target_shape)].append(Row(source, target, numbers, wanted))
    by_source: dict[Tokens, Alike] = defaultdict(Alike)
    for (shape, _), rows in groups.items():
        by_source[shape].rows += rows
    lines: list[Line] = []
    for (shape, _), rows in groups.items():
        lines += _solved(rows, by_source[shape], count)
    return lines


@lru_cache(maxsize=1 << 14)
def _read(name: str, count: Count) -> tuple[Tokens, Tokens, tuple[int, ...]]:
    """A name's tokens, these with a mark in place of each number, and the numbers."""
    path = tokens(name)
    found = [count(token) for token in path]
    shape = [token if value is None else f"#{_separator(token)}" for token, value in zip(path, found, strict=True)]
    return path, tuple(shape), tuple([value for value in found if value is not None])


def _separator(token: str) -> str:
    return token[: len(token) - len(token.lstrip("./_:~- "))]


class Alike:
    """All rows whose names have one shape, to be asked for those that have given numbers in given places."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._by_numbers: dict[tuple[int, ...], dict[tuple[int, ...], list[Row]]] = {}

    def sharing(self, row: Row, places: tuple[int, ...]) -> list[Row]:
        """The rows with the same numbers as `row` in these places; sorted by these once for all that ask."""
        found = self._by_numbers.get(places)
        if found is None:
            found = self._by_numbers[places] = defaultdict(list)
            for each in self.rows:
                found[tuple([each.numbers[at] for at in places])].append(each)
        return found[tuple([row.numbers[at] for at in places])]


def _solved(rows: list[Row], alike: Alike, count: Count, whole: bool = True) -> list[Line]:
    """Lines for rows of one shape, all of them or, where not `whole`, a part of them.

    `alike` are all rows whose names have that shape: none of the others may match.
    """
    if len(rows) == 1:
        return [_literal(rows[0])]
    given, wanted = _columns(rows)
    varying = [at for at, values in enumerate(given) if len(set(values)) > 1]
    holes = {at: HOLES[min(place, len(HOLES) - 1)] for place, at in enumerate(varying)}
    ways = {at: [_counted(given[at])] for at in holes}
    relations: dict[int, str] = {}
    open_columns = list(range(len(wanted)))
    while open_columns:
        for column in open_columns:
            relation = _relation(given, wanted[column], holes) or _in_groups(wanted[column], holes, ways)
            if relation is not None:
                relations[column] = relation
        left = [column for column in open_columns if column not in relations]
        if len(left) == len(open_columns):
            return _apart(rows, left[0], alike, count, whole)
        open_columns = left
    for name in _padded(rows, holes, count):  # `01` is to be written as 1
        relations = {column: f"{{{name}+0}}" if to == f"{{{name}}}" else to for column, to in relations.items()}
    fixed = tuple([at for at in range(len(rows[0].numbers)) if at not in holes])
    caught = alike.sharing(rows[0], fixed)
    ranged = len(caught) > len(rows)
    if ranged and _within_ranges(given, varying, caught) > len(rows):
        at = max(varying, key=lambda at: len(set(given[at])))
        return [
            line
            for value in dict.fromkeys(given[at])
            for line in _solved([row for row in rows if row.numbers[at] == value], alike, count)
        ]
    return [
        Line(
            _pattern(rows, holes, ranged, count),
            _replacement(rows[0], [relations[column] for column in sorted(relations)]),
            tuple(rows),
        )
    ]


def _padded(rows: Sequence[Row], holes: Mapping[int, str], count: Count) -> set[str]:
    """The holes whose numbers have zeros in front."""
    found = set()
    for row in rows:
        counting = [token for token in row.source if count(token) is not None]
        found |= {name for at, name in holes.items() if len(bare(counting[at])) > 1 and bare(counting[at])[0] == "0"}
    return found


def _columns(rows: Sequence[Row]) -> tuple[Columns, Columns]:
    """The numbers of the names, place by place, and those of the replacements."""
    return tuple(zip(*[row.numbers for row in rows], strict=True)), tuple(
        zip(*[row.wanted for row in rows], strict=True)
    )


def _within_ranges(given: Columns, varying: Sequence[int], caught: Sequence[Row]) -> int:
    """How many of the rows `caught` have numbers no smaller and no larger than any of those given."""
    for at in varying:
        low, high = min(given[at]), max(given[at])
        caught = [row for row in caught if low <= row.numbers[at] <= high]
    return len(caught)


def _apart(rows: list[Row], column: int, alike: Alike, count: Count, whole: bool) -> list[Line]:
    """Lines for rows of which no one line can be made: by what stands in the replacement, or by a number of the name."""
    parts: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        parts[row.wanted[column]].append(row)
    if cut := _late_start(rows):
        return [*_solved(rows[:cut], alike, count, False), *_solved(rows[cut:], alike, count, False)]
    if len(parts) in (1, len(rows)):
        return [_literal(row) for row in rows]
    best = [line for part in parts.values() for line in _solved(part, alike, count, False)]
    for at in range(len(rows[0].numbers)) if whole else ():
        least = min(row.numbers[at] for row in rows)
        first = [row for row in rows if row.numbers[at] == least]
        if len(best) > 2 and LEAST_FOR_DIVISION <= len(first) < len(rows):
            rest = [row for row in rows if row.numbers[at] != least]
            other = [*_solved(first, alike, count, False), *_solved(rest, alike, count, False)]
            best = min(best, other, key=len)
    return best


def _late_start(rows: list[Row]) -> int:
    """How many rows stand apart from a regular rest: the first of a count, before which something is left out. Or 0."""
    rows.sort(key=lambda row: row.numbers)
    given, wanted = _columns(rows)
    every = dict.fromkeys(range(len(given)), "")
    for cut in (1, 2, 3, 4):
        rest = [column[cut:] for column in given]
        if len(rows) - cut >= LEAST_FOR_DIVISION and all(
            _relation(rest, column[cut:], every) is not None for column in wanted
        ):
            return cut
    return 0


def _literal(row: Row) -> Line:
    return Line("".join(row.source), "".join(row.target), (row,))


def _relation(given: Sequence[Column], wanted: Column, names: Mapping[int, str]) -> str | None:
    """How a number of the replacement follows from the numbers of the name: a constant, or a hole with steps."""
    for at, name in names.items():
        step = wanted[0] - given[at][0]
        if wanted[-1] - given[at][-1] == step and len(set(given[at])) > 1 and _all_apart(wanted, given[at], step):
            return f"{{{name}{f'{step:+d}' if step else ''}}}"
    if len(set(wanted)) == 1:
        return str(wanted[0])
    if len(wanted) < LEAST_FOR_DIVISION:
        return None
    for at, name in names.items():
        if steps := _division(given[at], wanted):
            return f"{{{name}{steps}}}"
    return None


def _all_apart(wanted: Column, given: Column, step: int) -> bool:
    return all(map(step.__eq__, map(operator.sub, wanted, given)))


def _division(given: Column, wanted: Column) -> str | None:
    """The steps of a division or a remainder that make each number wanted of the one given; of a count without holes."""
    means = dict(zip(given, wanted, strict=True))
    low, high = min(means), max(means)
    if not LEAST_FOR_DIVISION <= len(means) == high - low + 1:
        return None
    if not all(map(operator.eq, map(means.__getitem__, given), wanted)):  # one number, two meanings
        return None
    row = [means[value] for value in range(low, high + 1)]
    for by in (2, 3, 4):
        for before in range(max(-4, -low), 5):
            for sign, apply in (("//", operator.floordiv), ("%", operator.mod)):
                first = row[0] - apply(low + before, by)
                if all(want - apply(have, by) == first for have, want in enumerate(row, low + before)):
                    return f"{f'{before:+d}' if before else ''}{sign}{by}{f'{first:+d}' if first else ''}"
    return None


Way = tuple[list[int], str]
"""What becomes of a number after some steps, row by row, and these steps."""


def _counted(given: Column) -> Way:
    """A number counted from 0."""
    least = min(given)
    return [value - least for value in given], f"{-least:+d}" if least else ""


def _in_groups(wanted: Column, names: Mapping[int, str], ways: Mapping[int, list[Way]]) -> str | None:
    """A relation in which a number counts through groups of several sizes: it tells the group, or the place in one.

    `ways` grows by what such relations make of a number: groups may lie in groups.
    """
    possible: list[str] = []
    for at, name in names.items():
        for values, steps in tuple(ways[at]):
            means = dict(zip(values, wanted, strict=True))
            row = [means.get(value) for value in range(len(means))]
            ambiguous = any(means[value] != want for value, want in zip(values, wanted, strict=True))
            if None in row or ambiguous:
                continue
            first = f"{row[0]:+d}" if row[0] else ""
            if row == list(range(row[0] or 0, (row[0] or 0) + len(row))):
                possible.append(f"{{{name}{steps}{first}}}")
                continue
            for sign, sizes in (("//", _runs(row, 0)), ("%", _runs(row, 1))):
                if sizes is not None and len(means) >= LEAST_FOR_DIVISION:
                    possible.append(f"{{{name}{steps}{sign}{_written(sizes)}{first}}}")
                    if len(ways[at]) < MOST_WAYS:
                        other = "%" if sign == "//" else "//"
                        ways[at].append((_within(values, sizes, other), f"{steps}{other}{_written(sizes)}"))
    return min(possible, key=len, default=None)


def _within(values: Sequence[int], sizes: Sizes, sign: str) -> list[int]:
    """For each value its group (`//`), or its place in that group (`%`)."""
    groups = [(group, place) for group, size in enumerate(sizes) for place in range(size)]
    return [groups[value][sign == "%"] for value in values]


def _runs(row: Sequence[int | None], step: int) -> Sizes | None:
    """The lengths of the groups where a row stays (step 0) or goes up by one (step 1) inside of each; None: it does not.

    From group to group a row that stays goes up by one, and one that goes up begins anew.
    """
    sizes = [1]
    for one, other in pairwise(row):
        assert one is not None and other is not None
        if other == one + step:
            sizes[-1] += 1
        elif other == (row[0] if step else one + 1):
            sizes.append(1)
        else:
            return None
    return tuple(sizes) if 1 < len(sizes) <= MOST_GROUPS and max(sizes) > 1 else None


def _written(sizes: Sizes) -> str:
    """`(3,4,6,3)`, or one number where all groups but the last have that size."""
    if len(set(sizes[:-1])) == 1 and sizes[-1] <= sizes[0]:
        return str(sizes[0])
    parts = []
    for size, same in groupby(sizes):
        times = len(list(same))
        parts += [f"{size}x{times}"] if times > 2 else [str(size)] * times
    return f"({','.join(parts)})"


def _pattern(rows: Sequence[Row], holes: Mapping[int, str], ranged: bool, count: Count) -> str:
    parts, at = [], 0
    for token in rows[0].source:
        if count(token) is None:
            parts.append(token)
            continue
        if at in holes:
            name, values = holes[at], [row.numbers[at] for row in rows]
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
