"""offers_for_pair(): the rules that put a key of the file in a place of the network, as a person has paired them.

The names are compared, and each list of rules that may be meant is tried on the whole file: it is offered when it puts
this pair together, gives no two keys one name, leaves what was in its place there, and puts keys of other shapes
nowhere. The one that puts the most keys in place comes first, the rule for this key alone last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ckpt_explorer.alignment import Alignment, KeyPair, Status, Verdict, align
from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules import Rule, RuleSet
from ckpt_explorer.rules.arithmetic import OPERATIONS
from ckpt_explorer.rules.pattern import compiled
from ckpt_explorer.rules.rule_set import MAX_RULES
from ckpt_explorer.suggestion.likeness import PlaceCandidate, candidates_for
from ckpt_explorer.suggestion.one_pair import rewritings, this_key, whole_names, without_hole
from ckpt_explorer.suggestion.siblings import leaf_renames, parts_combined
from ckpt_explorer.suggestion.trial import Outcome, Trial, arithmetic_behind
from ckpt_explorer.text import plural, shape_as_text, visible

__all__ = ["Offer", "PlaceCandidate", "candidates_for", "no_offer_says", "offers_for_pair"]

MOST_OFFERS = 4
MOST_SAID = 4
"""Rules of an offer that are named in its sentence."""
MOST_TRIED_IN_FULL = 12
"""Lists of rules that are tried on all keys of the file, after all were tried on some."""

MANY_NAMES = 10_000
FEW_TRIED_IN_FULL = 4
"""Of so many names, each trial takes its time."""


@dataclass(frozen=True)
class Offer:
    """Rules that put a pair together: the whole new list, what is new in it, and what it does to the file.

    `keys` are keys of the checkpoint that it newly puts in place; `before` and `after` are summaries as an Alignment
    has them.
    """

    rules: RuleSet
    added: tuple[Rule, ...]
    says: str
    keys: tuple[str, ...]
    before: dict[str, int]
    after: dict[str, int]
    verdict: Verdict


def offers_for_pair(alignment: Alignment, checkpoint_key: str, model_key: str) -> tuple[Offer, ...]:
    """What may be done to put `checkpoint_key` in the place of `model_key`: the most general first, this key alone last.

    Names are compared as they are behind the rules in force, and new rules come behind those (before arithmetic that they end with). Empty where the two are
    together and fit already, or where no rule can do it; `no_offer_says` tells which. No tensor is read.

    Raises:
        KeyError: the file has no such key, or the network.
    """
    row = _row_of(alignment, checkpoint_key)
    alignment.architecture.tree[model_key]
    if len(alignment.rules) >= MAX_RULES:
        return ()
    if row.model == model_key:
        return tuple(_fitting(alignment, row))
    if row.renamed is None:
        return tuple(_taken_back(alignment, row, model_key))
    general = list(_general(alignment, row, model_key))
    exact = list(_alone(alignment, row, model_key))
    seen = {offer.keys for offer in general}
    return (*general, *(offer for offer in exact if offer.keys not in seen or not general))


def no_offer_says(alignment: Alignment, checkpoint_key: str, model_key: str) -> str:
    """Why there is nothing to offer for a pair, in a sentence."""
    row = _row_of(alignment, checkpoint_key)
    ours, theirs = visible(checkpoint_key, 120), visible(model_key, 120)
    if row.model == model_key and row.status in (Status.MATCHED, Status.ADAPTED):
        return f"{ours} is in the place of {theirs} already."
    if row.model == model_key:
        return f"{ours} is in the place of {theirs}, and it does not fit: {_shapes(row)}. No arithmetic of one tensor makes the shapes equal."
    if len(alignment.rules) >= MAX_RULES:
        return f"A list has {MAX_RULES} rules at most: no further one can be added."
    return f"No rule puts {ours} in the place of {theirs}: the name is too long for a pattern, or another key would have to go."


def _row_of(alignment: Alignment, key: str) -> KeyPair:
    for pair in alignment.pairs:
        if pair.checkpoint == key:
            return pair
    raise KeyError(key)


def _general(alignment: Alignment, row: KeyPair, model_key: str) -> Iterator[Offer]:
    """Offers for more than this key, each a narrower one than the offer before it."""
    assert row.renamed is not None
    trial = Trial(alignment)
    lists = [*rewritings(row.renamed, model_key), *whole_names(row.renamed, model_key)]
    if combined := parts_combined(trial.names, row.renamed, model_key):
        lists = [(*_without_leaf(rules), combined) for rules in lists] + [(combined,)]
    leaves = leaf_renames(trial.names, alignment.architecture.tree, row.renamed, model_key)
    full = [
        found
        for best in _best_on_some(trial, lists, row.renamed, model_key)
        for rules in _with_more(best.rules, leaves)
        if (found := trial.on_all(rules, row.renamed, model_key))
    ]
    last: set[str] | None = None
    count = 0
    for found in sorted(full, key=Outcome.order):
        if len(found.keys) < 2 or (last is not None and not set(found.keys) < last):
            continue
        found = _simplest(trial, found, row.renamed, model_key)
        offer = _made(alignment, (*found.rules, *found.arithmetic), row, model_key)
        if offer is None:
            continue
        yield offer
        last, count = set(found.keys), count + 1
        if count == MOST_OFFERS - 1:
            return


def _best_on_some(trial: Trial, lists: Sequence[tuple[Rule, ...]], name: str, model_key: str) -> list[Outcome]:
    """The lists that do the most for a part of the names; one held to the start only where the same one at large fails."""
    found: dict[tuple[Rule, ...], Outcome] = {}
    for rules in dict.fromkeys(lists):
        at_large = tuple(replace(rule, find=rule.find.removeprefix("^")) for rule in rules)
        if (at_large == rules or at_large not in found) and (outcome := trial.on_some(rules, name, model_key)):
            found[rules] = outcome
    most = MOST_TRIED_IN_FULL if len(trial.names) < MANY_NAMES else FEW_TRIED_IN_FULL
    return sorted(found.values(), key=Outcome.order)[:most]


def _simplest(trial: Trial, found: Outcome, name: str, model_key: str) -> Outcome:
    """The same outcome with a number in the place of every hole that nothing needs."""
    for at, rule in enumerate(found.rules):
        if rule.kind != "rename":
            continue
        for hole in compiled(rule.find).holes:
            before = RuleSet(found.rules[:at]).trace(name)
            plainer = without_hole(found.rules[at], before[-1][2] or name if before else name, hole)
            if plainer is None:
                continue
            again = trial.on_all((*found.rules[:at], plainer, *found.rules[at + 1 :]), name, model_key)
            if again is not None and set(again.keys) == set(found.keys):
                found = again
    return found


def _with_more(rules: tuple[Rule, ...], leaves: tuple[Rule, ...]) -> Iterator[tuple[Rule, ...]]:
    """A list with what the other tensors of the layer are called, where it renames this one's last word on its own."""
    if leaves and any(rule.find.endswith("$") and not rule.find.startswith("^") for rule in rules):
        yield (*rules, *(leaf for leaf in leaves if all(leaf.find != rule.find for rule in rules)))
    yield rules


def _without_leaf(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    return tuple(rule for rule in rules if not rule.find.endswith("$"))


def _alone(alignment: Alignment, row: KeyPair, model_key: str) -> Iterator[Offer]:
    """The rule for this key alone; where another key has the place, that one goes, or the two change places."""
    assert row.renamed is not None
    rule = this_key(row.renamed, model_key)
    holder = next((pair for pair in alignment.pairs if pair.model == model_key and pair.checkpoint is not None), None)
    if rule is None:
        return
    if holder is None or holder.renamed is None:
        ways: list[tuple[tuple[Rule, ...], str]] = [((rule,), "")]
    else:
        name = visible(holder.checkpoint or "", 80)
        drop = Rule("drop", f"^{holder.renamed}$")
        ways = [((drop, rule), f"{name}, which has the place now, is left out")]
        if row.model is not None:
            away, back = this_key(row.renamed, row.renamed + ".moved"), this_key(row.renamed + ".moved", model_key)
            forth = this_key(holder.renamed, row.model)
            if away and back and forth:
                ways.insert(0, ((away, forth, back), f"it changes places with {name}"))
    for rules, also in ways:
        if row.model is not None and not also:
            also = f"{visible(row.model, 80)}, where it is now, becomes empty"
        plain = _made(alignment, rules, row, model_key, only=True, also=also)
        fits = plain is not None and row.checkpoint in plain.keys
        ways_to_fit = () if fits else _arithmetic(alignment, row.checkpoint or "", model_key)
        adapted = [_made(alignment, (*rules, *more), row, model_key, only=True, also=also) for more in ways_to_fit]
        yield from [offer for offer in adapted if offer is not None] or ([plain] if plain is not None else [])


def _arithmetic(alignment: Alignment, key: str, model_key: str) -> Iterator[tuple[Rule, ...]]:
    """Each arithmetic that gives this one tensor the shape that is wanted."""
    shape, wanted = alignment.state_dict[key].shape, alignment.architecture.tree[model_key].shape
    if shape != wanted:
        for name, operation in OPERATIONS.items():
            if operation.shape(shape) == wanted:
                yield (Rule("transform", f"^{model_key}$", name, why=operation.help),)


def _fitting(alignment: Alignment, row: KeyPair) -> Iterator[Offer]:
    """Arithmetic for a pair that is together and does not fit: for all of its kind first, then for this tensor."""
    if row.status is not Status.SHAPE_MISMATCH or row.checkpoint is None or row.model is None:
        return
    seen = set()
    for rules in _arithmetic(alignment, row.checkpoint, row.model):
        leaf = row.model.rpartition(".")[2]
        for rule in (replace(rules[0], find=f"{leaf}$"), rules[0]):
            offer = _made(alignment, (rule,), row, row.model)
            if offer is not None and (rule.to, offer.keys) not in seen:
                seen.add((rule.to, offer.keys))
                yield offer


def _taken_back(alignment: Alignment, row: KeyPair, model_key: str) -> Iterator[Offer]:
    """For a key that a rule leaves out: that rule off, or the key renamed before it."""
    at = row.rule
    if at is None:
        return
    off = alignment.rules.replaced(at, alignment.rules[at].switched(False))
    yield from _offered(alignment, off, (), row, model_key, f"switch rule {at + 1} off, which leaves it out")
    way = alignment.rules.trace(row.checkpoint or "")
    rule = this_key(way[-1][1], model_key) if way else None
    if rule is not None:
        rules = RuleSet((*alignment.rules[:at], rule, *alignment.rules[at:]))
        says = f"only this key: {_said(rule)} before rule {at + 1}, which leaves it out"
        yield from _offered(alignment, rules, (rule,), row, model_key, says)


def _offered(
    alignment: Alignment, rules: RuleSet, added: tuple[Rule, ...], row: KeyPair, model_key: str, says: str
) -> Iterator[Offer]:
    made = _aligned(alignment, rules, row, model_key)
    if made is None or not _kept(alignment, made):
        return
    keys = _newly_placed(alignment, made)
    yield Offer(rules, added, f"{says}{_others(keys)}", keys, alignment.summary, made.summary, made.verdict)


def _made(
    alignment: Alignment,
    added: tuple[Rule, ...],
    row: KeyPair,
    model_key: str,
    only: bool = False,
    also: str = "",
) -> Offer | None:
    """The offer of these rules behind those in force, if they do what they are to do."""
    why = f"you put {visible(row.checkpoint or '', 80)} in the place of {visible(model_key, 80)}"
    added = tuple(replace(rule, why=rule.why or why) for rule in added)
    if len(alignment.rules) + len(added) > MAX_RULES:
        return None
    rules = _with_added(alignment.rules, added)
    made = _aligned(alignment, rules, row, model_key)
    if made is None or (not also and not _kept(alignment, made)):
        return None
    keys = _newly_placed(alignment, made)
    together = next(pair for pair in made.pairs if pair.checkpoint == row.checkpoint)
    if row.model == model_key and together.status is Status.SHAPE_MISMATCH:
        return None
    doing = _all_said(added)
    says = f"only this key: {doing}" if only else f"{doing}: this key{_others(keys)}"
    notes = [also] if also else []
    if together.status is Status.SHAPE_MISMATCH:
        notes.append(f"this key is paired but does not fit: {_shapes(together)}")
    if others := len(_misfits(alignment, made, row.checkpoint)):
        notes.append(f"{plural(others, 'other key')} would have another shape than the network wants")
    says = "; ".join([says, *notes])
    return Offer(rules, added, says, keys, alignment.summary, made.summary, made.verdict)


def _with_added(rules: RuleSet, added: tuple[Rule, ...]) -> RuleSet:
    """New rules behind those in force; renames before the arithmetic that these end with, so that it knows the new names."""
    behind = arithmetic_behind(rules)
    front = rules[: len(rules) - len(behind)]
    return RuleSet(
        (
            *front,
            *(rule for rule in added if rule.kind != "transform"),
            *behind,
            *(rule for rule in added if rule.kind == "transform"),
        )
    )


def _aligned(alignment: Alignment, rules: RuleSet, row: KeyPair, model_key: str) -> Alignment | None:
    """The alignment with `rules`, if it puts the pair together; None where two keys would get one name."""
    try:
        made = align(alignment.state_dict, alignment.architecture, rules)
    except RuleError:
        return None
    together = any(pair.checkpoint == row.checkpoint and pair.model == model_key for pair in made.pairs)
    return made if together else None


def _kept(alignment: Alignment, made: Alignment) -> bool:
    """Whether everything that was in its place is there still."""
    return _places(alignment) <= _places(made)


def _places(alignment: Alignment) -> set[tuple[str | None, str | None]]:
    return {(pair.checkpoint, pair.model) for pair in alignment.rows(Status.MATCHED, Status.ADAPTED)}


def _newly_placed(alignment: Alignment, made: Alignment) -> tuple[str, ...]:
    new = _places(made) - _places(alignment)
    return tuple(
        pair.checkpoint for pair in made.pairs if pair.checkpoint is not None and (pair.checkpoint, pair.model) in new
    )


def _misfits(alignment: Alignment, made: Alignment, this: str | None) -> set[str | None]:
    before = {(pair.checkpoint, pair.model) for pair in alignment.rows(Status.SHAPE_MISMATCH)}
    rows = made.rows(Status.SHAPE_MISMATCH)
    return {pair.checkpoint for pair in rows if (pair.checkpoint, pair.model) not in before} - {this}


def _others(keys: Sequence[str]) -> str:
    """`and the 31 others of its form`; nothing where there is no other."""
    others = len(keys) - 1
    return "" if others < 1 else f" and the {others:,} {'other' if others == 1 else 'others'} of its form"


def _all_said(rules: Sequence[Rule]) -> str:
    """The rules in words; of many, the first and how many more."""
    words = [_said(rule) for rule in rules]
    for at in range(len(words) - 1, 0, -1):
        if words[at].startswith("rename ") and words[at - 1].startswith("rename "):
            words[at] = words[at].removeprefix("rename ")
    return ", ".join(
        words if len(words) <= MOST_SAID else [*words[: MOST_SAID - 1], f"and {len(words) - MOST_SAID + 1} more"]
    )


def _said(rule: Rule) -> str:
    """A rule as a person says it: rename `norm{n}.` to `bn{n}.`"""
    find, to = visible(rule.find, 120), visible(rule.to, 120)
    if rule.kind == "rename":
        start = " at the start" if find.startswith("^") and not find.endswith("$") else ""
        return f"rename `{find.removeprefix('^').removesuffix('$')}` to `{to}`{start}"
    if rule.kind == "regex":
        return f"rename {find} to `{to}`"
    if rule.kind == "transform":
        return f"{to} for `{find.removeprefix('^').removesuffix('$')}`"
    if rule.kind == "combine":
        return f"combine `{find}` to `{to}`"
    return f"{rule.kind} `{find.removeprefix('^').removesuffix('$') if rule.kind == 'drop' else find}`"


def _shapes(pair: KeyPair) -> str:
    return f"{shape_as_text(pair.checkpoint_shape)} in the file, {shape_as_text(pair.model_shape)} in the network"
