"""propose(): what to do with a checkpoint when nobody has said anything: which state dict, which network, which rules.

The pages and the command line begin with the same proposal, so that they give the same answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt_explorer.alignment import Alignment, align
from ckpt_explorer.architectures.architecture import Architecture
from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.diagnosis import diagnoses_of
from ckpt_explorer.drift import Drift, drift_of
from ckpt_explorer.errors import Diagnosis
from ckpt_explorer.rules import RuleSet
from ckpt_explorer.suggestion import Candidate, Suggestion, identify, suggest
from ckpt_explorer.suggestion.rules import Alternative

if TYPE_CHECKING:
    from ckpt_explorer.suggestion.second_opinion import SecondOpinion

FALLBACK = "resnet50"
"""The network to hold a file against that looks like no ResNet at all: the one that most people mean."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """A checkpoint held against a network, with the candidates and other readings that there were.

    `drift` is what is new since the rules were written, where they came from elsewhere; None for suggested ones.
    `second_opinion` is what the values say where only the order of names decided.
    """

    checkpoint: Checkpoint
    candidates: tuple[Candidate, ...]
    architecture: Architecture
    alternatives: tuple[Alternative, ...]
    alignment: Alignment
    diagnoses: tuple[Diagnosis, ...]
    drift: Drift | None = None
    second_opinion: SecondOpinion | None = None


def propose_architecture(candidates: tuple[Candidate, ...]) -> Architecture:
    """The best candidate's network, or the fallback where the file looks like no ResNet.

    A candidate that can't be built as it is (a structure beyond what a network can have) gives way to the next.
    """
    from ckpt_explorer.architectures import architecture
    from ckpt_explorer.errors import ArchitectureError

    for candidate in candidates:
        try:
            return candidate.architecture
        except ArchitectureError:
            continue
    return architecture(FALLBACK)


def propose(
    checkpoint: Checkpoint,
    *,
    architecture: Architecture | None = None,
    rules: RuleSet | None = None,
    suggest_rules: bool = True,
) -> Proposal:
    """Choose what was not given: the network by `identify`, the rules by `suggest`; then align.

    `rules` that are given are used alone. Raises what `align` raises.
    """
    if rules is not None and rules.taken_from is not None:
        checkpoint = checkpoint.select(rules.taken_from)
    candidates = identify(checkpoint.state_dict)
    chosen = architecture or propose_architecture(candidates)
    suggestion = suggestion_for(checkpoint, chosen)
    in_force = rules if rules is not None else suggestion.rules if suggest_rules else RuleSet()
    by_order = suggestion.by_order if in_force == suggestion.rules else frozenset()
    alignment = align(checkpoint, chosen, in_force, by_order)
    opinion = suggestion.second_opinion if in_force == suggestion.rules else None
    found = diagnoses_of(checkpoint, alignment, candidates, suggestion.alternatives, opinion)
    drift = drift_of(alignment) if rules is not None else None
    diagnoses = (*checkpoint.diagnoses, *found)
    return Proposal(checkpoint, candidates, chosen, suggestion.alternatives, alignment, diagnoses, drift, opinion)


def suggestion_for(checkpoint: Checkpoint, architecture: Architecture) -> Suggestion:
    """The rules that make a checkpoint fit; where only the order of names decides, the values are asked, too."""
    suggestion = suggest(checkpoint, architecture)
    if not suggestion.by_order:
        return suggestion
    from ckpt_explorer.suggestion.second_opinion import settled

    return settled(checkpoint, architecture, suggestion)


def with_rules(proposal: Proposal, rules: RuleSet) -> Proposal:
    """The same proposal with other rules in force. Raises what `align` raises."""
    alignment = align(proposal.checkpoint, proposal.architecture, rules, proposal.alignment.by_order)
    found = diagnoses_of(
        proposal.checkpoint, alignment, proposal.candidates, proposal.alternatives, proposal.second_opinion
    )
    diagnoses = (*proposal.checkpoint.diagnoses, *found)
    return replace(proposal, alignment=alignment, diagnoses=diagnoses)
