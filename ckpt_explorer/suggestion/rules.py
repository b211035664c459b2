"""suggest(): the rules that make a state dict fit a network.

First the pairs, from structure; then the shortest list of rules that produces exactly these pairs, applied and
checked. Where file or network is no residual network, names alone are compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from ckpt_explorer.anatomy import Anatomy
from ckpt_explorer.architectures.architecture import Architecture
from ckpt_explorer.checkpoint import Checkpoint, StateDict
from ckpt_explorer.errors import RuleError
from ckpt_explorer.key_pair import is_counter
from ckpt_explorer.rules import Rule, RuleSet
from ckpt_explorer.suggestion.by_name import suggest_by_name
from ckpt_explorer.suggestion.copies import Alternative, Suggestion, copies_beside, other_state_dicts, prefix_apart
from ckpt_explorer.suggestion.induction import induce
from ckpt_explorer.suggestion.pairing import model_anatomy, pairs_between
from ckpt_explorer.suggestion.structure import networks_in

__all__ = ["Alternative", "Suggestion", "suggest", "suggest_rules"]

LEFTOVERS = ("total_ops", "total_params")
"""Keys that a tool left in the model when it was saved: thop's counts of operations."""


def suggest_rules(state_dict: StateDict, architecture: Architecture, prefix: str | None = None) -> RuleSet:
    """The rules that make `state_dict` fit `architecture`; empty where none helps. See `suggest`.

    Where the file holds the network more than once, `prefix` names the copy to take, as an Alternative does.
    """
    return _suggested(state_dict, architecture, prefix).rules


def suggest(source: StateDict | Checkpoint, architecture: Architecture) -> Suggestion:
    """The rules that make the file fit `architecture`, and the other copies of the network in it.

    No tensor is read: keys and shapes decide. What does not fit with these rules is left as it is.
    """
    state_dict = source.state_dict if isinstance(source, Checkpoint) else source
    found = _suggested(state_dict, architecture, None)
    if not isinstance(source, Checkpoint):
        return found
    return Suggestion(found.rules, (*found.alternatives, *other_state_dicts(source)), found.by_order)


def _suggested(state_dict: StateDict, architecture: Architecture, prefix: str | None) -> Suggestion:
    wanted = [key for key in architecture.tree if not is_counter(key)]
    found = _by_structure(state_dict, architecture, prefix)
    if found is None or _filled(state_dict, architecture, found.rules) < len(wanted):
        named = suggest_by_name(state_dict, architecture, prefix)
        if found is None or _filled(state_dict, architecture, named.rules) > _filled(
            state_dict, architecture, found.rules
        ):
            found = named
    return Suggestion(_with_leftovers(found.rules, state_dict, architecture), found.alternatives, found.by_order)


def _by_structure(state_dict: StateDict, architecture: Architecture, prefix: str | None) -> Suggestion | None:
    networks = networks_in(state_dict)
    model = model_anatomy(architecture) if networks else None
    if model is None:
        return None
    chosen = _chosen(networks, prefix)
    pairing = pairs_between(chosen, model)
    if not pairing.pairs:
        return None
    alternatives = tuple(copies_beside(chosen, networks, state_dict.path))
    induced = induce(pairing.pairs, state_dict, architecture.tree)
    rules = RuleSet((*_drops(alternatives, pairing_keys := [pair.file.key for pair in pairing.pairs]), *induced.rules))
    by_order = frozenset(pair.file.key for pair in pairing.pairs if pair.by_order)
    del pairing_keys
    return Suggestion(rules, alternatives, by_order)


def _chosen(networks: Sequence[Anatomy], prefix: str | None) -> Anatomy:
    if prefix:
        for network in networks:
            if any(prefix_apart(network, other) == prefix for other in networks if other is not network):
                return network
    return networks[0]


def _drops(alternatives: Sequence[Alternative], kept: Sequence[str]) -> list[Rule]:
    """Rules that leave out the other copies of the network, where no key of the chosen one stands behind their prefix."""
    return [
        Rule("drop", f"^{row.prefix}", why="another copy of the network")
        for row in alternatives
        if row.prefix and not any(key.startswith(row.prefix) for key in kept) and not set("{}*") & set(row.prefix)
    ]


def _with_leftovers(rules: RuleSet, state_dict: StateDict, architecture: Architecture) -> RuleSet:
    last = {name.rsplit(".", 1)[-1] for name in state_dict}
    for leaf in LEFTOVERS:
        if leaf in last and leaf not in architecture.tree:
            rules = rules.added(Rule("drop", f"{leaf}$", why="counts that a profiler left in the model"))
    return rules


def _filled(state_dict: StateDict, architecture: Architecture, rules: RuleSet) -> float:
    """How many of the model's keys are filled, without counters; a last layer of other classes is half a fit."""
    try:
        rows = rules.apply(state_dict).keys
    except RuleError:
        return -1.0
    score = 0.0
    for row in rows:
        wanted = architecture.tree.get(row.renamed) if row.renamed is not None else None
        if wanted is None or is_counter(row.renamed or ""):
            continue
        shape = state_dict[row.key].shape
        score += 1.0 if shape == wanted.shape else 0.5 * (shape[1:] == wanted.shape[1:])
    return score
