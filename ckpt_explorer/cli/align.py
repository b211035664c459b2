"""align: the keys of the file held against a network, through the rules."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from ckpt_explorer.alignment import Status, Verdict
from ckpt_explorer.cli.journey import proposed
from ckpt_explorer.cli.output import write_heading, write_json, write_line, write_table
from ckpt_explorer.decisions import decisions_for
from ckpt_explorer.key_pair import SYMBOLS
from ckpt_explorer.proposal import Proposal
from ckpt_explorer.text import plural, shape_as_text

SHOWN = 20


def run(arguments: Namespace) -> int:
    """Carry out `align`; returns the exit status: 0 when the verdict is complete, else 1."""
    proposal = proposed(arguments)
    if arguments.json:
        write_json(as_json(proposal))
    else:
        write_alignment(proposal)
        write_rows(proposal)
        write_decisions(proposal)
    return exit_status(proposal)


def exit_status(proposal: Proposal) -> int:
    """0 for a complete verdict, 1 for any other."""
    return 0 if proposal.alignment.verdict is Verdict.COMPLETE else 1


def as_json(proposal: Proposal) -> dict[str, Any]:
    """The answer of `align --json`."""
    drift = {"drift": proposal.drift.as_json()} if proposal.drift is not None else {}
    opinion = {"second_opinion": proposal.second_opinion.as_json()} if proposal.second_opinion is not None else {}
    return {
        **proposal.alignment.as_json(),
        **drift,
        **opinion,
        "decisions": [row.as_json() for row in decisions_for(proposal.alignment)],
        "alternatives": [row.as_json() for row in proposal.alternatives],
        "diagnoses": [{"id": row.id, "says": row.says, "next": row.next} for row in proposal.diagnoses],
    }


def write_alignment(proposal: Proposal) -> None:
    """The verdict, the rules and what was noticed, as text."""
    alignment = proposal.alignment
    write_line(f"{alignment.verdict.upper()}  {alignment.says}")
    write_line(
        "  ".join(f"{SYMBOLS[status]} {alignment.summary[str(status).replace(' ', '_')]} {status}" for status in Status)
    )
    if alignment.rules:
        write_heading("Rules")
        write_table(
            (str(position), str(rule), plural(row.count, "key") if row.count else "touches nothing")
            for position, (rule, row) in enumerate(zip(alignment.rules, alignment.renaming.touched, strict=True), 1)
        )
    if proposal.drift is not None and not proposal.drift.is_none:
        write_line(f"! {proposal.drift.says}")
    for diagnosis in proposal.diagnoses:
        write_line(f"! {diagnosis}")


def write_rows(proposal: Proposal) -> None:
    """The rows that do not fit, as text; those that do are only counted above."""
    for status in (Status.SHAPE_MISMATCH, Status.MISSING, Status.UNEXPECTED, Status.ADAPTED):
        rows = [pair for pair in proposal.alignment.rows(status) if not pair.is_counter]
        if not rows:
            continue
        write_heading(f"{SYMBOLS[status]} {status}")
        write_table(
            (
                pair.checkpoint or "–",
                pair.model or pair.renamed or "–",
                f"{shape_as_text(pair.checkpoint_shape)} / {shape_as_text(pair.model_shape)}",
            )
            for pair in rows[:SHOWN]
        )
        if len(rows) > SHOWN:
            write_line(f"  ... {len(rows) - SHOWN:,} more: --json lists all")


def write_decisions(proposal: Proposal) -> None:
    """What can be done about what does not fit, as text, each with the words that do it."""
    for decision in decisions_for(proposal.alignment):
        write_heading(f"To decide: {decision.says}")
        for choice in decision.choices:
            write_line(f'  --decide "{decision.about}={choice.name}"  {choice.says}. {choice.consequence}')
        if decision.not_offered:
            write_line(f"  {decision.not_offered}")
