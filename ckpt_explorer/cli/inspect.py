"""inspect: what the file is, what it holds, what it would have imported, and which networks it could be."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from ckpt_explorer.checkpoint import Checkpoint, Entry, StateDict
from ckpt_explorer.cli.journey import opened
from ckpt_explorer.cli.output import write_heading, write_json, write_line, write_table
from ckpt_explorer.suggestion import Candidate, identify
from ckpt_explorer.text import bytes_as_text, plural, shape_as_text

SHOWN_TENSORS = 60


def run(arguments: Namespace) -> int:
    """Carry out `inspect`; returns the exit status."""
    checkpoint = opened(arguments)
    candidates = identify(checkpoint.state_dict)
    if arguments.json:
        write_json(as_json(arguments.file, checkpoint, candidates))
    else:
        _write(checkpoint, candidates)
    return 0


def as_json(file: str, checkpoint: Checkpoint, candidates: tuple[Candidate, ...]) -> dict[str, Any]:
    """The answer of `inspect --json`; the selected state dict's tensors are among the entries."""
    return {
        "file": file,
        "format": checkpoint.format,
        "size": checkpoint.size,
        "written_by": checkpoint.written_by,
        "state_dicts": [_state_dict(row, checkpoint) for row in checkpoint.state_dicts],
        "entries": [*map(_entry, checkpoint.entries), *_tensors(checkpoint.state_dict)],
        "globals": [{"name": row.name, "kind": row.kind} for row in checkpoint.globals],
        "architectures": [candidate.as_json() for candidate in candidates],
        "diagnoses": [{"id": row.id, "says": row.says, "next": row.next} for row in checkpoint.diagnoses],
    }


def _state_dict(row: StateDict, checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "path": row.path,
        "tensors": len(row),
        "parameters": row.elements,
        "bytes": row.size,
        "selected": row.path == checkpoint.selected,
    }


def _entry(entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {"path": entry.path, "kind": entry.kind, "says": entry.says}
    if entry.tensors:
        row.update(tensors=entry.tensors, bytes=entry.size)
    if entry.shape is not None:
        row.update(shape=list(entry.shape), dtype=entry.dtype)
    return row


def _tensors(state_dict: StateDict) -> list[dict[str, Any]]:
    front = f"{state_dict.path}." if state_dict.path else ""
    return [
        {"path": front + key, "kind": "tensor", "shape": info.shape, "dtype": info.dtype, "bytes": info.size}
        for key, info in state_dict.items()
    ]


def _write(checkpoint: Checkpoint, candidates: tuple[Candidate, ...]) -> None:
    write_line(
        f"{checkpoint.name}: {checkpoint.format}, {bytes_as_text(checkpoint.size)}, written by {checkpoint.written_by}"
    )
    for diagnosis in checkpoint.diagnoses:
        write_line(f"! {diagnosis}")
    write_heading("What it holds")
    write_table((entry.path, entry.kind, entry.says) for entry in checkpoint.entries)
    if checkpoint.globals:
        write_heading("What it would have imported; none of it was")
        write_table((row.kind, row.name) for row in checkpoint.globals)
    write_heading("Which networks it could be")
    if not candidates:
        write_line("  no residual stages were found")
    for candidate in candidates[:3]:
        write_line(f"  {candidate.name}  {candidate.score:.0%}  {candidate.why}")
        if candidate.against:
            write_line(f"    but {candidate.against}")
    chosen = checkpoint.state_dict
    write_heading(
        f"Tensors of {chosen.path or 'the top'}: {plural(len(chosen), 'tensor')}, {plural(chosen.elements, 'element')}, {bytes_as_text(chosen.size)}"
    )
    rows = list(chosen.values())
    write_table((row.key, shape_as_text(row.shape), row.dtype, bytes_as_text(row.size)) for row in rows[:SHOWN_TENSORS])
    if len(rows) > SHOWN_TENSORS:
        write_line(f"  ... {plural(len(rows) - SHOWN_TENSORS, 'more tensor')}: --json lists all")
