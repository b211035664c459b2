"""Against: two copies of the network in one file (EMA and raw, student and teacher) on the same pictures, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ckpt_explorer.alignment import Alignment, align
from ckpt_explorer.architectures.architecture import Architecture
from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.errors import InferenceError, RuleError
from ckpt_explorer.inference.prediction import ClassScore, FailedImage, Prediction
from ckpt_explorer.key_pair import Status, Verdict
from ckpt_explorer.proposal import Proposal, suggestion_for
from ckpt_explorer.suggestion import suggest_rules
from ckpt_explorer.suggestion.copies import ANOTHER_COPY, Alternative
from ckpt_explorer.text import listed, plural, visible

MOST_COPIES = 8
"""Copies that are offered: each is held against the network first."""


@dataclass(frozen=True)
class Difference:
    """A picture that the two copies answer differently."""

    image: str
    first: ClassScore
    second: ClassScore

    def as_json(self) -> dict[str, Any]:
        """The picture and both answers."""
        return {"image": self.image, "first": self.first.as_json(), "second": self.second.as_json()}


@dataclass(frozen=True)
class Comparison:
    """How far two copies agree. `differ` are the pictures with two answers, the surest first; `right` how many each
    has right, where it is known what the pictures are."""

    pictures: int
    differ: tuple[Difference, ...]
    right: tuple[int, int] | None = None
    judged: int = 0

    @property
    def same(self) -> int:
        """How many pictures have one answer."""
        return self.pictures - len(self.differ)

    @property
    def agreement(self) -> float:
        """The share of pictures with one answer, 0 to 1."""
        return 1 - len(self.differ) / self.pictures if self.pictures else 0.0

    @property
    def says(self) -> str:
        """One sentence."""
        said = f"The two copies agree on {self.same:,} of {plural(self.pictures, 'picture')} ({self.agreement:.1%})"
        if self.right is None or not self.judged:
            return said
        first, second = self.right
        return f"{said}; of {self.judged:,} the first has {first:,} right and the second {second:,}"

    def as_json(self) -> dict[str, Any]:
        """`{"pictures", "agreement", "says", "right"?, "differ"}`."""
        right = {} if self.right is None else {"judged": self.judged, "right": list(self.right)}
        differ = [row.as_json() for row in self.differ]
        return {"pictures": self.pictures, "agreement": self.agreement, "says": self.says, **right, "differ": differ}


def other_copy(proposal: Proposal, named: str) -> Alignment:
    """The copy called `named` of the same file, held against the same network: a state dict's path, or the prefix of a
    copy within the one that was chosen.

    Raises:
        InferenceError: the file has no such copy; the text lists those that it has.
    """
    checkpoint = proposal.checkpoint
    prefixes = [row.prefix for row in proposal.alternatives if row.prefix]
    others = [row.path for row in checkpoint.state_dicts if row.path != checkpoint.selected]
    if named not in prefixes and named not in others:
        there = f"choose {listed([*others, *prefixes], 8)}" if others or prefixes else "it holds only one"
        raise InferenceError(f"The file has no other copy of the network called {visible(named, 80)!r}: {there}.")
    return _held(checkpoint, proposal.architecture, named, named in prefixes)


def fitting_copies(
    checkpoint: Checkpoint, alignment: Alignment, alternatives: Sequence[Alternative]
) -> dict[str, Alignment]:
    """The other copies of the network of `alignment` in its file that can be loaded in its place, by their own rules.

    By name: a state dict's path, or the prefix of a copy within the chosen one; "" is the chosen one itself, where
    another copy in it was loaded than is proposed. What does not fit the network is not among them.
    """
    network, taken = alignment.architecture, _sources(alignment)
    if network.build is None:
        return {}
    least = ANOTHER_COPY * len(alignment.filled)
    names = [row.prefix for row in alternatives if row.prefix]
    tried = [(name, True) for name in names] + [(checkpoint.selected, False)] * bool(names)
    tried += [(row.path, False) for row in checkpoint.state_dicts if row.path != checkpoint.selected]
    found: dict[str, Alignment] = {}
    for name, is_prefix in tried:
        if not is_prefix and len(checkpoint.select(name).state_dict) < least:
            continue
        try:
            other = _held(checkpoint, network, name, is_prefix)
        except RuleError:
            continue  # no rules of its own that can be applied: it does not fit
        if other.verdict is not Verdict.INCOMPATIBLE and _sources(other) != taken:
            found.setdefault("" if not is_prefix and name == checkpoint.selected else name, other)
        if len(found) == MOST_COPIES:
            break
    return found


def _held(checkpoint: Checkpoint, network: Architecture, named: str, is_prefix: bool) -> Alignment:
    """One copy against the network, with the rules that it would be proposed with."""
    if is_prefix:
        return align(checkpoint, network, suggest_rules(checkpoint.state_dict, network, named))
    other = checkpoint.select(named)
    suggestion = suggestion_for(other, network)
    return align(other, network, suggestion.rules, suggestion.by_order)


def _sources(alignment: Alignment) -> tuple[str, frozenset[tuple[str, str]]]:
    """Where every tensor comes from: what tells one copy from another."""
    pairs = (
        (pair.model, pair.checkpoint) for pair in alignment.pairs if pair.status in (Status.MATCHED, Status.ADAPTED)
    )
    return alignment.state_dict.path, frozenset((model, key) for model, key in pairs if model and key)


def side_by_side(
    first: Sequence[Prediction | FailedImage], second: Sequence[Prediction | FailedImage]
) -> list[tuple[Prediction, Prediction]]:
    """Both answers to each picture that both could read, those that differ first, the surest of them at the head."""
    pairs = [
        (one, two)
        for one, two in zip(first, second, strict=True)
        if isinstance(one, Prediction) and isinstance(two, Prediction)
    ]

    def place(pair: tuple[Prediction, Prediction]) -> tuple[bool, float]:
        one, two = pair[0].top[0], pair[1].top[0]
        same = one.index == two.index
        return same, 0.0 if same else -max(one.probability or 0.0, two.probability or 0.0)

    return sorted(pairs, key=place)


def compare_answers(
    first: Sequence[Prediction | FailedImage],
    second: Sequence[Prediction | FailedImage],
    truth: Mapping[str, int] | None = None,
) -> Comparison:
    """The answers of two copies to the same pictures in the same order; what one of them could not read is left out."""
    pairs = side_by_side(first, second)
    differ = [
        Difference(one.image, one.top[0], two.top[0]) for one, two in pairs if one.top[0].index != two.top[0].index
    ]
    if truth is None:
        return Comparison(len(pairs), tuple(differ))
    judged = [(one.top[0].index, two.top[0].index, truth[one.image]) for one, two in pairs if one.image in truth]
    right = (sum(one == wanted for one, _, wanted in judged), sum(two == wanted for _, two, wanted in judged))
    return Comparison(len(pairs), tuple(differ), right, len(judged))
