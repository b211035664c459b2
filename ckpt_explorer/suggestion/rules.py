"""suggest(): the rules that make a state dict fit a network.

First the pairs, from structure; then the shortest list of rules that produces exactly these pairs, applied and
checked. Where file or network is no residual network, names alone are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ckpt_explorer.alignment import align
from ckpt_explorer.anatomy import Anatomy
from ckpt_explorer.architectures.architecture import Architecture
from ckpt_explorer.checkpoint import Checkpoint, StateDict
from ckpt_explorer.errors import RuleError
from ckpt_explorer.key_pair import Status, is_counter
from ckpt_explorer.rules import Rule, RuleSet
from ckpt_explorer.rules.arithmetic import OPERATIONS, Shape
from ckpt_explorer.rules.pattern import MAX_PATTERN, compiled
from ckpt_explorer.suggestion.arithmetic import arithmetic_rules
from ckpt_explorer.suggestion.by_name import suggest_by_name
from ckpt_explorer.suggestion.copies import Alternative, Suggestion, copies_beside, other_state_dicts, prefix_apart
from ckpt_explorer.suggestion.induction import induce
from ckpt_explorer.suggestion.pairing import Pairing, exchanged, model_anatomy, pairs_between
from ckpt_explorer.suggestion.structure import networks_in

__all__ = ["Alternative", "Suggestion", "suggest", "suggest_rules"]

MOST_BY_NAME = 20_000
"""Keys that are also compared by name where structure found something that is not all of the network."""

_AVERAGED = "the running averages of statistics before their correction, which is kept beside them"
LEFTOVERS = {
    "total_ops$": "counts that a profiler left in the model",
    "total_params$": "counts that a profiler left in the model",
    "{mean|var}_ema.hidden$": _AVERAGED,
    "{mean|var}_ema/hidden$": _AVERAGED,
}
"""Patterns of keys that a tool or a framework saves beside the weights, and why they are left out."""


def suggest_rules(state_dict: StateDict, architecture: Architecture, prefix: str | None = None) -> RuleSet:
    """The rules that make `state_dict` fit `architecture`; empty where none helps. See `suggest`.

    Where the file holds the network more than once, `prefix` names the copy to take, as an Alternative does.
    """
    return _suggested(state_dict, architecture, prefix).rules


def suggest(
    source: StateDict | Checkpoint, architecture: Architecture, moves: Mapping[str, str] | None = None
) -> Suggestion:
    """The rules that make the file fit `architecture`, and the other copies of the network in it.

    No tensor is read: keys and shapes decide. What does not fit with these rules is left as it is. `moves` say for
    modules of the network in whose place names alone would put what belongs there, as a SecondOpinion does.
    """
    state_dict = source.state_dict if isinstance(source, Checkpoint) else source
    found = _suggested(state_dict, architecture, None, moves)
    if not isinstance(source, Checkpoint):
        return found
    return Suggestion(found.rules, (*found.alternatives, *other_state_dicts(source)), found.by_order)


def _suggested(
    state_dict: StateDict, architecture: Architecture, prefix: str | None, moves: Mapping[str, str] | None = None
) -> Suggestion:
    head = set(architecture.head)
    trunk = [key for key in architecture.tree if not is_counter(key) and key not in head]
    found, whole = _by_structure(state_dict, architecture, trunk, prefix, moves)
    score = -1.0 if found is None or whole else _filled(state_dict, architecture, found.rules)
    if found is None or (not whole and score < len(trunk) and len(state_dict) <= MOST_BY_NAME):
        named = suggest_by_name(state_dict, architecture, prefix)
        if found is None or _filled(state_dict, architecture, named.rules) > score:
            found = named
    return Suggestion(_with_leftovers(found.rules, state_dict, architecture), found.alternatives, found.by_order)


def _by_structure(
    state_dict: StateDict,
    architecture: Architecture,
    trunk: Sequence[str],
    prefix: str | None,
    moves: Mapping[str, str] | None,
) -> tuple[Suggestion | None, bool]:
    """The rules for the pairs that structure gives, and whether these fill the whole trunk without doubt."""
    networks = networks_in(state_dict)
    model = model_anatomy(architecture) if networks else None
    if model is None:
        return None, False
    chosen = _chosen(networks, prefix)
    pairing = exchanged(pairs_between(chosen, model), moves or {})
    if not pairing.pairs:
        return None, False
    alternatives = tuple(copies_beside(chosen, networks, state_dict.path))
    induced = induce(pairing, state_dict, [other for other in networks if other is not chosen])
    if induced.produced <= 0:
        return None, False
    shapes = {pair.file.key: state_dict[pair.file.key].shape for pair in pairing.pairs}
    made = [rule for rule in arithmetic_rules(pairing, shapes, architecture) if rule not in induced.rules.rules]
    rules = _without_copies(
        RuleSet((*induced.rules, *made)), alternatives, [pair.file.key for pair in pairing.pairs], state_dict
    )
    by_order = frozenset(pair.file.key for pair in pairing.pairs if pair.by_order)
    whole = induced.produced == len(pairing.pairs) and _fill(pairing, shapes, architecture, trunk)
    return Suggestion(rules, alternatives, by_order), whole


def _fill(pairing: Pairing, shapes: Mapping[str, Shape], architecture: Architecture, trunk: Sequence[str]) -> bool:
    """Whether each tensor of the trunk has a partner of its own that fits as it is, or with its axes turned."""
    turn = OPERATIONS[pairing.turned].shape if pairing.turned else None
    fitting = {
        pair.model.key
        for pair in pairing.pairs
        if not pair.operand
        and architecture.tree[pair.model.key].shape
        in (shapes[pair.file.key], turn(shapes[pair.file.key]) if turn else None)
    }
    return fitting.issuperset(trunk)


def _chosen(networks: Sequence[Anatomy], prefix: str | None) -> Anatomy:
    if prefix:
        for network in networks:
            if any(prefix_apart(network, other) == prefix for other in networks if other is not network):
                return network
    return networks[0]


def _without_copies(
    rules: RuleSet, alternatives: Sequence[Alternative], kept: Sequence[str], state_dict: StateDict
) -> RuleSet:
    """With the other copies of the network left out, where no key of the chosen one stands behind their prefix.

    The drops stand behind the other rules where these leave the copies' names alone, and before them elsewhere.
    """
    prefixes = [
        row.prefix
        for row in alternatives
        if row.prefix
        and len(row.prefix) < MAX_PATTERN
        and not any(key.startswith(row.prefix) for key in kept)
        and not set("{}*") & set(row.prefix)
    ]
    drops = tuple(Rule("drop", f"^{prefix}", why="another copy of the network") for prefix in prefixes)
    if not drops:
        return rules
    copies = [key for key in state_dict if key.startswith(tuple(prefixes))]
    after = RuleSet((*rules, *drops))
    if all(name is None for name in after.names(copies)):
        return after
    return RuleSet((*drops, *rules))


def _with_leftovers(rules: RuleSet, state_dict: StateDict, architecture: Architecture) -> RuleSet:
    text = "\n".join(state_dict) + "\n"
    for find, why in LEFTOVERS.items():
        pattern = compiled(find)
        if pattern.holds in text and not any(pattern.found_in(key, 1.0) for key in architecture.tree):
            found = any(pattern.holds in key and pattern.found_in(key, 1.0) for key in state_dict)
            rules = rules.added(Rule("drop", find, why=why)) if found else rules
    return rules


def _filled(state_dict: StateDict, architecture: Architecture, rules: RuleSet) -> float:
    """How many of the model's keys are filled, without counters; a last layer of other classes is half a fit."""
    try:
        alignment = align(state_dict, architecture, rules)
    except RuleError:
        return -1.0
    half = sum(
        pair.checkpoint_shape[1:] == pair.model_shape[1:]
        for pair in alignment.rows(Status.SHAPE_MISMATCH)
        if pair.checkpoint_shape and pair.model_shape
    )
    return len(alignment.filled) + len(alignment.fills) + 0.5 * half
