"""Rules found by comparing names alone: for networks of your own that are no residual networks.

The prefix under which the network stands in the file, wrapper segments inside of keys, and the common other names of
head, shortcut and norm. Each rule is kept only when more of the model is filled with it than without.
"""

from __future__ import annotations

from ckpt_explorer.architectures.architecture import Architecture
from ckpt_explorer.checkpoint import StateDict
from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules import Rule, RuleSet
from ckpt_explorer.rules.pattern import MAX_PATTERN
from ckpt_explorer.suggestion.copies import ANOTHER_COPY, Alternative, Suggestion
from ckpt_explorer.suggestion.names import canonical_names, renames_between
from ckpt_explorer.suggestion.prefixes import INNER_WRAPPERS, Votes, vote
from ckpt_explorer.text import plural

MOST_COPIES = 16
"""Second places that are looked at: each costs a pass over all keys."""


def suggest_by_name(state_dict: StateDict, architecture: Architecture, wanted: str | None = None) -> Suggestion:
    """The rules that make the most keys of the file the network's, and the other copies that were dropped for it."""
    search = _Search(state_dict, architecture, wanted)
    search.run()
    return Suggestion(search.rules, tuple(search.copies))


class _Search:
    """The greedy search: a rule list that grows while the count of filled keys grows."""

    def __init__(self, state_dict: StateDict, architecture: Architecture, wanted: str | None = None) -> None:
        self.state_dict = state_dict
        self.architecture = architecture
        self.wanted = wanted
        self.rules = RuleSet()
        self.copies: list[Alternative] = []
        self.score = self._scored(self.rules)

    def run(self) -> None:
        if self.score < len(self.architecture.tree) or len(self.state_dict) > len(self.architecture.tree):
            votes = self._remove_inner_wrappers(self._votes())
            if self.wanted is not None:
                votes.sort(key=lambda row: row.file_prefix != self.wanted)
            if votes and votes[0].keys:
                self._prefix(votes[0])
                self._renames(votes[0].model_prefix)
                self._drop_copies(votes)

    def _names(self) -> list[str]:
        return [row.renamed for row in self.rules.apply(self.state_dict).keys if row.renamed is not None]

    def _scored(self, rules: RuleSet) -> float:
        """How many of the model's keys are filled; a last layer of another class count is half a fit."""
        try:
            rows = rules.apply(self.state_dict).keys
        except RuleError:
            return -1.0
        score = 0.0
        tree = self.architecture.tree
        for row in rows:
            wanted = tree.get(row.renamed) if row.renamed is not None else None
            if wanted is None:
                continue
            shape = self.state_dict[row.key].shape
            if shape == wanted.shape:
                score += 1
            elif len(shape) == len(wanted.shape) and shape[1:] == wanted.shape[1:]:
                score += 0.5
        return score

    def _keep(self, rule: Rule, needed: float = 0.5) -> bool:
        """Keep `rule` when at least `needed` more keys are filled with it."""
        rules = self.rules.added(rule)
        score = self._scored(rules)
        if score < self.score + needed:
            return False
        self.rules, self.score = rules, score
        return True

    def _votes(self) -> list[Votes]:
        """Under which prefixes the network's keys are found, with the rules so far."""
        return vote(canonical_names(self._names()), canonical_names(self.architecture.tree))

    def _remove_inner_wrappers(self, votes: list[Votes]) -> list[Votes]:
        """Wrapper segments inside of keys, where more keys are found without them; returns the votes as they are then.

        A wrapper that stands in front of all keys, alone or behind others, is part of a prefix like any other.
        """
        before, names = self.rules, self._names()
        for segment in INNER_WRAPPERS:
            inside = [name for name in names if f".{segment}." in without_front_wrappers(name)]
            if inside:
                self.rules = self.rules.added(
                    Rule("remove segment", segment, why=f"a wrapper left it inside {plural(len(inside), 'key')}")
                )
                if self._scored(self.rules) < 0:
                    self.rules = before
                    return votes
                names = self._names()
        after = self._votes()
        if not after or (votes and after[0].keys <= votes[0].keys):
            self.rules = before
            return votes
        self.score = self._scored(self.rules)
        return after

    def _prefix(self, best: Votes) -> None:
        prefix = best.file_prefix
        if not prefix or len(prefix) > MAX_PATTERN:
            return
        strip = Rule("strip prefix", prefix, why=f"{plural(best.keys, 'key')} of the network stand behind it")
        if self._scored(self.rules.added(strip)) < 0:
            self._drop_second_names(prefix, best.model_prefix)
        self.rules = self.rules.added(strip)
        self.score = self._scored(self.rules)

    def _drop_second_names(self, prefix: str, model_prefix: str) -> None:
        """Drop parts outside `prefix` that have the names the prefix hides: the same network under a second name."""
        tops = {key[len(model_prefix) :].split(".")[0] for key in self.architecture.tree}
        outside = dict.fromkeys(name.split(".")[0] for name in self._names() if not name.startswith(prefix))
        for top in outside:
            if top in tops:
                why = f"the same part stands behind {prefix!r}, which is the whole network"
                self.rules = self.rules.added(Rule("drop", f"^{top}.", why=why))

    def _renames(self, model_prefix: str) -> None:
        """Names that differ; compared in the model's own keys, which may themselves stand behind a prefix."""
        if model_prefix:
            self.rules = self.rules.added(Rule("add prefix", model_prefix, why="the model keeps the network behind it"))
            self.score = self._scored(self.rules)
        target = set(self.architecture.tree)
        for rule in renames_between(set(self._names()), target):
            if not self._forces(rule) and not self._keep(rule):
                self._keep_with_next(rule, target)

    def _keep_with_next(self, rule: Rule, target: set[str]) -> None:
        """A rename may be the first of two: `skip.conv.` becomes `downsample.conv.`, and only then `downsample.0.`."""
        before, possible = self.rules, renames_between(set(self._names()), target)
        if self._scored(before.added(rule)) < self.score:
            return
        self.rules = before.added(rule)
        following = [other for other in renames_between(set(self._names()), target) if other not in possible]
        kept = [self._keep(other) for other in following if not self._forces(other)]
        if not any(kept):
            self.rules = before

    def _forces(self, rule: Rule) -> bool:
        """Whether `rule` would press a key into a place of another size: half a layer is worse than none of it."""
        position = len(self.rules)
        try:
            rows = self.rules.added(rule).apply(self.state_dict).keys
        except RuleError:
            return True
        for row in rows:
            wanted = self.architecture.tree.get(row.renamed) if row.renamed and position in row.rules else None
            if wanted is not None and self.state_dict[row.key].shape[1:] != wanted.shape[1:]:
                return True
        return False

    def _drop_copies(self, votes: list[Votes]) -> None:
        best = votes[0]
        for other in votes[1 : MOST_COPIES + 1]:
            same_model = other.model_prefix == best.model_prefix
            apart = not other.file_prefix.startswith(best.file_prefix or "\x00") and not best.file_prefix.startswith(
                other.file_prefix
            )
            if not same_model or other.keys < ANOTHER_COPY * best.keys:
                continue
            if other.file_prefix and (apart or not best.file_prefix):
                self.copies.append(
                    Alternative(
                        self.state_dict.path,
                        other.file_prefix,
                        f"another copy of the network, {plural(other.keys, 'key')}",
                    )
                )
                dropped = self.rules.added(Rule("drop", f"^{other.file_prefix}", why="another copy of the network"))
                if (
                    self._scored(dropped) >= self.score
                    and "{" not in other.file_prefix
                    and "*" not in other.file_prefix
                ):
                    self.rules = dropped


def without_front_wrappers(key: str) -> str:
    """`key` without the wrapper segments that it begins with, behind a leading dot."""
    parts = key.split(".")
    while len(parts) > 1 and parts[0] in INNER_WRAPPERS:
        parts.pop(0)
    return "." + ".".join(parts)
