"""What is done with every mutant, in a process that may die of it: opened, read, verified, identified, salvaged."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.integrity import check_integrity
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.suggestion import identify
from tests.fuzz.corpus import Files

TENSORS = 6
"""How many of a state dict are asked for."""
SUMMED = 1 << 20
"""Elements of a tensor that is gone through, at most."""
OURS = ("ckpt_explorer.", "torch.", "torch", "numpy.", "encodings.utf_")
"""What may be imported while a file is opened: parts of this program, what torch imports late, encodings of text."""


@dataclass(frozen=True)
class Outcome:
    """How it went: whether it opened, what was wrong (empty: nothing), in seconds of the
    processor's time and MB beyond the process at rest."""

    opened: bool
    wrong: str
    seconds: float
    megabytes: float


def tried(files: Files, name: str) -> Outcome:
    """Open `files` in every way there is."""
    before = set(sys.modules)
    at_rest = _peak(reset=True)
    start = time.process_time()
    opened, wrong = False, ""
    try:
        opened = _looked_at(files, name, salvage=False)
        _looked_at(files, name, salvage=True)
    except Exception as error:  # noqa: BLE001  finding these is the purpose
        wrong = _signature(error)
    seconds = time.process_time() - start
    strange = [module for module in set(sys.modules) - before if not module.startswith(OURS)]
    if strange:
        wrong = f"imported {sorted(strange)[:5]}"
    marks = Path(os.environ["CKPT_MARKER_DIR"])
    if any(marks.iterdir()):
        wrong = f"CODE FROM THE FILE RAN: {[mark.name for mark in marks.iterdir()]}"
        for mark in marks.iterdir():
            mark.unlink()
    return Outcome(opened, wrong, seconds, _peak() - at_rest)


class SentenceError(Exception):
    """A refusal that is no sentence for a person."""


def _looked_at(files: Files, name: str, salvage: bool) -> bool:
    try:
        checkpoint = open_checkpoint(files, name, salvage=salvage)
    except CheckpointExplorerError as error:
        _check_sentence(str(error))
        return False
    for found in checkpoint.diagnoses:
        _check_sentence(str(found))
    for entry in checkpoint.entries:
        _check_sentence(f"{entry.says}.")
    for said in checkpoint.globals:
        _check_sentence(f"{said.says}.")
    _tensors(checkpoint)
    with contextlib.suppress(CheckpointExplorerError):
        check_integrity(checkpoint)
    identify(checkpoint.state_dict)
    checkpoint.close()
    return True


def _tensors(checkpoint: Checkpoint) -> None:
    for state_dict in checkpoint.state_dicts[:4]:
        assert state_dict.size >= 0
        for key in list(state_dict)[:TENSORS]:
            for ask in (state_dict.tensor, state_dict.dense):
                try:
                    tensor = ask(key)
                except CheckpointExplorerError as error:
                    _check_sentence(str(error))
                    continue
                plain = not (tensor.is_meta or tensor.is_nested or tensor.is_quantized)
                if plain and state_dict[key].elements < SUMMED:
                    tensor.clone()


def _check_sentence(says: str) -> None:
    if not says.strip() or any(sign in says for sign in "\n\r\x1b\0"):
        raise SentenceError(repr(says[:200]))
    if len(says) > 10_000:
        raise SentenceError(f"{len(says):,} characters: {says[:100]!r}")


def _signature(error: Exception) -> str:
    """The error, and the last of our own lines that it came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "ckpt_explorer" in frame.filename]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name}" if frames else "?"
    return f"{type(error).__name__} at {where}: {str(error)[:160]!r}"


def _peak(reset: bool = False) -> float:
    """The highest resident size since it was last reset, in MB."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
