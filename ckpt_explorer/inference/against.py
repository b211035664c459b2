"""Against: two copies of the network in one file (EMA and raw, student and teacher) on the same pictures, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ckpt_explorer.alignment import Alignment, align
from ckpt_explorer.errors import InferenceError
from ckpt_explorer.inference.prediction import ClassScore, FailedImage, Prediction
from ckpt_explorer.proposal import Proposal
from ckpt_explorer.suggestion import suggest, suggest_rules
from ckpt_explorer.text import listed, plural, visible


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
    def agreement(self) -> float:
        """The share of pictures with one answer, 0 to 1."""
        return 1 - len(self.differ) / self.pictures if self.pictures else 0.0

    @property
    def says(self) -> str:
        """One sentence."""
        same = self.pictures - len(self.differ)
        said = f"The two copies agree on {same:,} of {plural(self.pictures, 'picture')} ({self.agreement:.1%})"
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
    network, checkpoint = proposal.architecture, proposal.checkpoint
    prefix = next((row.prefix for row in proposal.alternatives if row.prefix and named == row.prefix), None)
    if prefix is not None:
        state_dict = proposal.alignment.state_dict
        return align(checkpoint, network, suggest_rules(state_dict, network, prefix))
    paths = [row.path for row in checkpoint.state_dicts]
    if named not in paths or named == checkpoint.selected:
        others = [path for path in paths if path != checkpoint.selected]
        others += [row.prefix for row in proposal.alternatives if row.prefix]
        there = f"choose {listed(others, 8)}" if others else "it holds only one"
        raise InferenceError(f"The file has no other copy of the network called {visible(named, 80)!r}: {there}.")
    other = checkpoint.select(named)
    return align(other, network, suggest(other, network).rules)


def compare_answers(
    first: Sequence[Prediction | FailedImage],
    second: Sequence[Prediction | FailedImage],
    truth: Mapping[str, int] | None = None,
) -> Comparison:
    """The answers of two copies to the same pictures in the same order; what one of them could not read is left out."""
    pairs = [
        (one, two)
        for one, two in zip(first, second, strict=True)
        if isinstance(one, Prediction) and isinstance(two, Prediction)
    ]
    differ = [
        Difference(one.image, one.top[0], two.top[0]) for one, two in pairs if one.top[0].index != two.top[0].index
    ]
    differ.sort(key=lambda row: -max(row.first.probability or 0.0, row.second.probability or 0.0))
    if truth is None:
        return Comparison(len(pairs), tuple(differ))
    judged = [(one.top[0].index, two.top[0].index, truth[one.image]) for one, two in pairs if one.image in truth]
    right = (sum(one == wanted for one, _, wanted in judged), sum(two == wanted for _, two, wanted in judged))
    return Comparison(len(pairs), tuple(differ), right, len(judged))
