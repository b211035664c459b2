"""The command line: `main(argv)` is the same thing in process.

Exit 0: done. 1: done, but the verdict is not complete. 2: refused, with one sentence on standard error (and, with
`--json`, the sentence and its diagnosis on standard output too).
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module

from ckpt_explorer.cli.arguments import parser
from ckpt_explorer.cli.output import never_refuse_a_character, only_json, warn, write_json
from ckpt_explorer.errors import CheckpointExplorerError, RefusedFile

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. Only JSON goes to standard output under `--json`."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = Namespace(json="--json" in words, file=None)
    try:
        arguments = parser(words[0] if words else None).parse_args(words, arguments)
        never_refuse_a_character()
        command = import_module(f"ckpt_explorer.cli.{arguments.command}")
        with warnings.catch_warnings(), only_json() if arguments.json else contextlib.nullcontext():
            warnings.simplefilter("ignore")  # a library's remarks on a damaged picture are no part of our one sentence
            return int(command.run(arguments))
    except CheckpointExplorerError as error:
        return _refused(error, arguments)
    except BrokenPipeError:
        sys.stdout = None  # whoever read the output has gone; Python would complain once more at exit
        return 1
    except KeyboardInterrupt:
        warn("Abandoned.")
        return 130


def _refused(error: CheckpointExplorerError, arguments: Namespace) -> int:
    offer = " With --salvage, what is left is opened." if isinstance(error, RefusedFile) and error.readable else ""
    sentence = " ".join(str(error).split()) + offer
    if arguments.json:
        found = [error.diagnosis] if isinstance(error, RefusedFile) else []
        rows = [{"id": row.id, "says": row.says, "next": row.next} for row in found]
        write_json({"file": arguments.file, "refused": sentence, "diagnoses": rows})
    warn(sentence)
    return 2
