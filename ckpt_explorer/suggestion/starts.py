"""starts(): how a rule list may begin: with the prefixes that a wrapper left, without segments inside, or with nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ckpt_explorer.anatomy.layers import said_once
from ckpt_explorer.key_pair import shared_front
from ckpt_explorer.rules import Rule
from ckpt_explorer.rules.pattern import JOINTS
from ckpt_explorer.suggestion.forms import Form
from ckpt_explorer.suggestion.pairing import Pair
from ckpt_explorer.suggestion.prefixes import INNER_WRAPPERS
from ckpt_explorer.text import plural

SAID_ONCE = Rule("regex", r"^([^/]+)/\1/", r"\1/", why="Keras says the name of every layer twice")

SEPARATORS = (".", *JOINTS)
MOST_COLLECTIONS = 3
"""Parts at the top of a file among which the tensors of one layer are divided."""


def starts(forms: Sequence[Form], pairs: Sequence[Pair]) -> Iterator[list[Rule]]:
    """The beginnings to try, each a list of rules."""
    ours = [form.ours for form in forms]
    if sum(said_once(name.rstrip("/")) != name.rstrip("/") for name in ours) * 2 > len(ours):
        yield [SAID_ONCE]
    keys = [pair.file.key for pair in pairs]
    cut = Counter(
        form.ours[: -len(form.theirs)]
        for form in forms
        if form.ours.endswith(form.theirs) and form.ours[: -len(form.theirs)].endswith(SEPARATORS)
    )
    added = Counter(
        form.theirs[: -len(form.ours)]
        for form in forms
        if form.theirs != form.ours and form.theirs.endswith("." + form.ours)
    )
    prefixes = dict.fromkeys(prefix for prefix, count in cut.most_common(1) if 2 * count > len(forms))
    for prefix in prefixes:
        yield [_strip(prefix, keys)]
    for prefix, _ in added.most_common(1):
        yield [Rule("add prefix", prefix, why="the model keeps the network behind it")]
    yield []
    inner = [
        segment
        for segment in INNER_WRAPPERS
        if any(f".{segment}." in f".{name}" for name in ours)
        and not any(f".{segment}." in f".{form.theirs}" for form in forms)
    ]
    if inner:
        removing = [Rule("remove segment", segment, why="a wrapper left it inside of keys") for segment in inner]
        yield removing
        names = [".".join(part for part in name.split(".") if part not in inner) for name in ours]
        fronts = Counter(
            name[: -len(form.theirs)]
            for form, name in zip(forms, names, strict=True)
            if name.endswith("." + form.theirs)
        )
        for prefix, count in fronts.most_common(1):
            yield [
                *removing,
                Rule("strip prefix", prefix, why=f"{plural(count, 'layer')} of the network stand behind it"),
            ]
    trunk = [form.ours for form in forms if form.part != "head"]
    front = shared_front(trunk, SEPARATORS)
    if front and front not in prefixes:
        yield [_strip(front, keys)]
    if collections := _collections(forms):
        yield [_strip(prefix, keys) for prefix in collections]


def _strip(prefix: str, keys: Sequence[str]) -> Rule:
    count = sum(key.startswith(prefix) for key in keys)
    return Rule("strip prefix", prefix, why=f"{plural(count, 'key')} of the network stand behind it")


def _collections(forms: Sequence[Form]) -> list[str]:
    """Fronts under which the tensors of one layer are divided, as parameters and statistics are in Flax."""
    fronts: dict[str, set[str]] = {}
    for form in forms:
        end = min((at for mark in "./" if (at := form.ours.find(mark)) >= 0), default=len(form.ours))
        fronts.setdefault(form.theirs, set()).add(form.ours[: end + 1])
    found = set().union(*(tops for tops in fronts.values() if len(tops) > 1)) if fronts else set()
    every = {top for tops in fronts.values() for top in tops}
    return sorted(found) if found and found == every and len(found) <= MOST_COLLECTIONS else []
