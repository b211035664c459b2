"""What align, convert and predict share: from the arguments to a Proposal."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from ckpt_explorer.architectures.architecture import Architecture
from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.decisions import decided
from ckpt_explorer.errors import ArchitectureError, RuleError
from ckpt_explorer.proposal import Proposal, propose, propose_architecture, with_rules
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.rules import RuleSet, rules_from_json
from ckpt_explorer.suggestion import as_custom, identify, offers_for_pair
from ckpt_explorer.suggestion.by_hand import no_offer_says
from ckpt_explorer.text import visible


def opened(arguments: Namespace) -> Checkpoint:
    """The checkpoint of the arguments, with the state dict that they name selected."""
    checkpoint = open_checkpoint(
        arguments.file, member=arguments.member, salvage=arguments.salvage, fetch_all=arguments.fetch_all
    )
    return checkpoint.select(arguments.state_dict) if arguments.state_dict is not None else checkpoint


def proposed(arguments: Namespace) -> Proposal:
    """The proposal for the arguments; what they leave open is chosen as the pages would."""
    checkpoint = opened(arguments)
    rules = given_rules(arguments)
    if rules is not None and rules.taken_from is not None:
        checkpoint = checkpoint.select(rules.taken_from)
    architecture = given_architecture(arguments, checkpoint)
    proposal = propose(checkpoint, architecture=architecture, rules=rules, suggest_rules=not arguments.no_suggest)
    for pair in arguments.pair:
        proposal = _paired(proposal, pair)
    return _decided(proposal, arguments.decide) if arguments.decide else proposal


def _paired(proposal: Proposal, pair: str) -> Proposal:
    """The proposal with the rules that put a key of the file in a place of the network, as `--pair` says."""
    alignment = proposal.alignment
    halves = [(pair[:at], pair[at + 1 :]) for at, character in enumerate(pair) if character == "="]
    known = [(ours, theirs) for ours, theirs in halves if ours in alignment.state_dict]
    if not known:
        raise RuleError(
            f"{visible(pair, 120)!r} names no key of the file: write --pair KEY=MODEL_KEY with a key as saved."
        )
    found = next((row for row in known if row[1] in alignment.architecture.tree), None)
    if found is None:
        name, key = visible(alignment.architecture.name), visible(known[0][1], 120)
        raise RuleError(f"{key!r} is no key of {name}: write --pair KEY=MODEL_KEY.")
    offers = offers_for_pair(alignment, *found)
    if not offers:
        raise RuleError(no_offer_says(alignment, *found))
    return with_rules(proposal, offers[0].rules)


def _decided(proposal: Proposal, answers: list[str]) -> Proposal:
    """The proposal with what `--decide` says of everything that does not fit."""
    alignment = decided(proposal.alignment, answers)
    return with_rules(replace(proposal, architecture=alignment.architecture), alignment.rules)


def given_rules(arguments: Namespace) -> RuleSet | None:
    """The rules of `--rules`, or None."""
    if arguments.rules is None:
        return None
    path = Path(arguments.rules)
    try:
        return rules_from_json(path.read_bytes())
    except OSError as error:
        raise RuleError(f"The rules file {visible(str(path))} can't be read: {error.strerror}.") from None


def given_architecture(arguments: Namespace, checkpoint: Checkpoint) -> Architecture | None:
    """The network of `--arch`, `--model` or `--reference`; None where only the file decides."""
    from ckpt_explorer.architectures import architecture, own_class, reference_tree

    counts = {"num_classes": arguments.num_classes, "in_channels": arguments.in_channels}
    options = _options(arguments.option)
    if arguments.model:
        _refuse_options(options, "--model")
        return own_class(arguments.model, **counts)
    if arguments.reference:
        _refuse_options(options, "--reference")
        other = open_checkpoint(arguments.reference)
        return reference_tree(other.state_dict, other.name)
    if not arguments.arch and not options and not any(counts.values()):
        return None
    candidates = identify(checkpoint.state_dict)
    name = arguments.arch or propose_architecture(candidates).name
    seen = next((row for row in candidates if row.name == name), candidates[0] if candidates else None)
    if name == "custom":
        seen = as_custom(checkpoint.state_dict) or seen
    if seen is not None:
        counts = {
            "num_classes": counts["num_classes"] or seen.num_classes,
            "in_channels": counts["in_channels"] or seen.in_channels,
        }
        options = {**(seen.options if name == seen.name else {}), **options}
    return architecture(name, **counts, options=options)


def _options(given: list[str]) -> dict[str, object]:
    options: dict[str, object] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign:
            raise ArchitectureError(f"{visible(text, 60)!r} is no option: write NAME=VALUE, such as stride_in_1x1=yes.")
        options[name.strip()] = value.strip()
    return options


def _refuse_options(options: dict[str, object], flag: str) -> None:
    if options:
        raise ArchitectureError(f"--option does not go with {flag}: only named and custom networks have options.")
