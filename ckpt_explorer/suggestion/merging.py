"""merged(): renames that are alike but for one word, written as one with a choice: `{gamma|beta}$` -> `{weight|bias}`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from ckpt_explorer.anatomy.tokens import Tokens, tokens

MOST_CHOICES = 14
MOST_CHARACTERS = 170
"""What a person reads at a glance: texts to choose from, and characters of a pattern."""

_HOLE = re.compile(r"(\{[^{}]*\})")
_MARKS = frozenset("{}|*")

Rename = tuple[str, str]
_Key = tuple[tuple[str, ...], int, tuple[str, ...], int]


def merged(lines: Sequence[Rename]) -> list[Rename]:
    """The same renames in fewer lines, in the order of the first of each."""
    pieces = {line: (_HOLE.split(line[0]), _HOLE.split(line[1])) for line in lines}
    groups: dict[_Key, list[Rename]] = defaultdict(list)
    for line, (find, to) in pieces.items():
        if any("|" in piece for piece in (*find, *to)):
            continue
        for at in range(0, len(find), 2):
            for there in range(0, len(to), 2):
                if find[at] and not _MARKS.intersection(find[at]):
                    end = find[at][-1] if not find[at][-1].isalnum() else ""
                    key = (
                        (*find[:at], end, *find[at + 1 :]),
                        at,
                        (*to[:there], "", *to[there + 1 :]),
                        there,
                    )
                    groups[key].append(line)
    place = {line: at for at, line in enumerate(lines)}
    found: dict[int, Rename] = {}
    left = dict.fromkeys(lines)
    for (_, at, _, there), members in sorted(groups.items(), key=lambda row: -len(row[1])):
        mine = [line for line in members if line in left]
        for part in _bundles(mine) if len(mine) > 1 else ():
            one = _as_one([pieces[line] for line in part], at, there) if len(part) > 1 else None
            if one is not None:
                found[min(place[line] for line in part)] = one
                for line in part:
                    del left[line]
    found.update({place[line]: line for line in left})
    return [found[at] for at in sorted(found)]


def _bundles(lines: list[Rename]) -> list[list[Rename]]:
    """The lines in parts that are no longer than a person reads."""
    parts: list[list[Rename]] = [[]]
    length = 0
    for line in lines:
        longer = length + max(map(len, line))
        if parts[-1] and (len(parts[-1]) >= MOST_CHOICES or longer > 2 * MOST_CHARACTERS):
            parts.append([])
            longer = max(map(len, line))
        parts[-1].append(line)
        length = longer
    return parts


def _as_one(lines: Sequence[tuple[list[str], list[str]]], at: int, there: int) -> Rename | None:
    """One line for several whose find differs in the piece `at` and whose target in the piece `there`."""
    find, to = (list(side) for side in lines[0])
    find[at] = _choice([line[0][at] for line in lines])
    targets = [line[1][there] for line in lines]
    to[there] = _choice(targets) if len(set(targets)) > 1 else targets[0]
    if "|" not in find[at] or (len(set(targets)) > 1 and "|" not in to[there]):
        return None
    pattern = "".join(find)
    return (pattern, "".join(to)) if len(pattern) <= MOST_CHARACTERS else None


def _choice(texts: Sequence[str]) -> str:
    """What the texts share in front and behind, with a choice of what is between; empty where one has nothing there."""
    split = [tokens(text) for text in texts]
    front = _shared(split)
    split = [row[front:] for row in split]
    back = _shared([row[::-1] for row in split])
    inside = ["".join(row[: len(row) - back]) for row in split]
    first = tokens(texts[0])
    head, tail = "".join(first[:front]), "".join(first[len(first) - back :] if back else ())
    while (mark := inside[0][:1]) and not mark.isalnum() and all(text.startswith(mark) for text in inside):
        head, inside = head + mark, [text[1:] for text in inside]
    if not all(any(map(str.isalnum, text)) for text in inside):
        return ""
    return f"{head}{{{'|'.join(inside)}}}{tail}"


def _shared(rows: Sequence[Tokens]) -> int:
    """How many tokens all rows begin with, one less than the shortest has at most."""
    most = min(map(len, rows)) - 1
    for at in range(max(most, 0)):
        if len({row[at] for row in rows}) > 1:
            return at
    return max(most, 0)
