"""convert: a flat state dict under the network's own keys, as .pth or .safetensors."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ckpt_explorer.cli.align import as_json, exit_status, write_alignment
from ckpt_explorer.cli.journey import proposed
from ckpt_explorer.cli.output import write_heading, write_json
from ckpt_explorer.export import write_state_dict
from ckpt_explorer.text import bytes_as_text, plural


def run(arguments: Namespace) -> int:
    """Carry out `convert`; returns the exit status: 0 when the verdict is complete, else 1."""
    proposal = proposed(arguments)
    written = write_state_dict(proposal.alignment, arguments.out, dtype=arguments.dtype, source=Path(arguments.file))
    if arguments.json:
        answer = as_json(proposal)
        del answer["keys"]
        write_json({"written": written.as_json(), **answer})
    else:
        write_alignment(proposal)
        write_heading(f"Wrote {plural(written.tensors, 'tensor')}, {bytes_as_text(written.size)}, to {written.path}")
    return exit_status(proposal)
