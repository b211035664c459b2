"""What each choice would do, before it is made: every state dict of a file held against every network that it could be."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ckpt_explorer.alignment import align
from ckpt_explorer.architectures.architecture import Architecture
from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.key_pair import SYMBOLS, Status, Verdict
from ckpt_explorer.rules import RuleSet
from ckpt_explorer.suggestion import Candidate, identify, suggest
from ckpt_explorer.text import plural, visible

SECONDS = 20.0
"""How long a look at all choices of one file may take; the selected state dict comes first."""

SAID: tuple[Status, ...] = (
    Status.MATCHED,
    Status.ADAPTED,
    Status.SHAPE_MISMATCH,
    Status.MISSING,
    Status.UNEXPECTED,
)
"""Statuses that a line names, where any row has them."""


@dataclass(frozen=True)
class Outlook:
    """What one state dict would make of one network with the rules that would be proposed: counts and verdict.

    `says` is the verdict in a sentence, or why the network can't be built, where `verdict` is None.
    `only_counters_missing` where the file lacks nothing but counters of batches, which no output depends on.
    """

    state_dict: str
    network: str
    summary: dict[str, int]
    verdict: Verdict | None
    rules: RuleSet
    says: str
    only_counters_missing: bool = False

    @property
    def counts(self) -> str:
        """`● 932 matched  − 2 missing`, the statuses that occur."""
        numbers = [(status, self.summary.get(str(status).replace(" ", "_"), 0)) for status in SAID]
        words = {Status.MISSING: "missing counters"} if self.only_counters_missing else {}
        return "  ".join(f"{SYMBOLS[row]} {number:,} {words.get(row, row)}" for row, number in numbers if number)

    @property
    def line(self) -> str:
        """`complete: ● 932 matched, with 2 rules`, in one line."""
        if self.verdict is None:
            return self.says
        rules = f", with {plural(len(self.rules), 'rule')}" if self.rules else ""
        return f"{self.verdict}: {self.counts}{rules}"

    def as_json(self) -> dict[str, Any]:
        """The outlook as `inspect --outlook --json` lists it."""
        return {
            "state_dict": self.state_dict,
            "network": self.network,
            "summary": self.summary,
            "verdict": None if self.verdict is None else str(self.verdict),
            "rules": [str(rule) for rule in self.rules],
            "says": self.says,
        }


def outlook_for(checkpoint: Checkpoint, architecture: Architecture) -> Outlook:
    """What the selected state dict would make of `architecture`, with the rules that would be proposed. No tensor is read."""
    name = architecture.name
    try:
        suggestion = suggest(checkpoint, architecture)
        found = align(checkpoint, architecture, suggestion.rules, suggestion.by_order)
    except CheckpointExplorerError as error:
        return cannot_be(checkpoint.selected, name, error)
    counters = all(pair.is_counter for pair in found.rows(Status.MISSING))
    return Outlook(checkpoint.selected, name, found.summary, found.verdict, suggestion.rules, found.says, counters)


def cannot_be(state_dict: str, network: str, error: CheckpointExplorerError) -> Outlook:
    """The outlook for a network that can't be built, or not be compared."""
    return Outlook(state_dict, network, {}, None, RuleSet(), visible(str(error), 500))


def outlooks(checkpoint: Checkpoint, seconds: float = SECONDS) -> Iterator[tuple[Candidate, Outlook]]:
    """Every state dict with every network that it could be: those of the selected one first, then the best of each other.

    After `seconds` no further one is begun. Where a state dict looks like no residual network there is none for it.
    """
    ends = time.monotonic() + seconds
    chosen = checkpoint.state_dict
    others = [row for row in checkpoint.state_dicts if row is not chosen]
    for state_dict in (chosen, *others):
        selected = checkpoint.select(state_dict.path)
        candidates = identify(state_dict)
        for candidate in candidates if state_dict is chosen else candidates[:1]:
            if time.monotonic() > ends:
                return
            yield candidate, outlook_of(selected, candidate)


def outlook_of(checkpoint: Checkpoint, candidate: Candidate) -> Outlook:
    """The outlook for a candidate, which need not be a network that can be built."""
    try:
        return outlook_for(checkpoint, candidate.architecture)
    except CheckpointExplorerError as error:
        return cannot_be(checkpoint.selected, candidate.name, error)
