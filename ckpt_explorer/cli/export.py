"""export: the rules that fit a file to a network, as plain PyTorch code, as JSON, or as revise_keys."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable

from ckpt_explorer.cli.align import exit_status
from ckpt_explorer.cli.journey import proposed
from ckpt_explorer.cli.output import write_json
from ckpt_explorer.export.code import as_code
from ckpt_explorer.export.revise_keys import as_revise_keys
from ckpt_explorer.proposal import Proposal

FORMS: dict[str, Callable[[Proposal], str]] = {
    "code": lambda proposal: as_code(proposal.alignment),
    "rules": lambda proposal: json.dumps(proposal.alignment.rules.as_json(), indent=1) + "\n",
    "revise_keys": lambda proposal: as_revise_keys(proposal.alignment.rules),
}


def run(arguments: Namespace) -> int:
    """Carry out `export`; returns the exit status: 0 when the verdict is complete, else 1."""
    proposal = proposed(arguments)
    text = FORMS[arguments.form](proposal)
    if arguments.json:
        write_json({"as": arguments.form, "text": text, "verdict": str(proposal.alignment.verdict)})
    else:
        print(text, end="")
    return exit_status(proposal)
