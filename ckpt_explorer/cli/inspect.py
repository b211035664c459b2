"""inspect: what the file is, what it holds, what it would have imported, and which networks it could be."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Any

from ckpt_explorer.checkpoint import Checkpoint, Entry, StateDict
from ckpt_explorer.cli.journey import opened
from ckpt_explorer.cli.output import write_heading, write_json, write_line, write_table
from ckpt_explorer.integrity import Integrity, check_integrity
from ckpt_explorer.outlook import outlooks
from ckpt_explorer.suggestion import Candidate, identify
from ckpt_explorer.text import bytes_as_text, plural, shape_as_text

SHOWN_TENSORS = 60


def run(arguments: Namespace) -> int:
    """Carry out `inspect`; returns the exit status."""
    checkpoint = opened(arguments)
    candidates = identify(checkpoint.state_dict)
    integrity = check_integrity(checkpoint, _progress) if arguments.verify else None
    found = [row for _, row in outlooks(checkpoint)] if arguments.outlook else []
    if arguments.json:
        looked = {"outlooks": [row.as_json() for row in found]} if arguments.outlook else {}
        write_json({**as_json(arguments.file, checkpoint, candidates, integrity), **looked})
    else:
        _write(checkpoint, candidates, integrity)
        if arguments.outlook:
            write_heading("What each choice would do")
            write_table((row.state_dict or "the top", row.network, row.line) for row in found)
    return 0 if integrity is None or integrity.is_whole else 1


def _progress(done: int, total: int) -> None:
    """A line on a terminal that is written over; nothing where nobody looks."""
    if sys.stderr.isatty():
        end = "\n" if done >= total else "\r"
        sys.stderr.write(f"{bytes_as_text(done)} of {bytes_as_text(total)} checked{end}")


def as_json(
    file: str, checkpoint: Checkpoint, candidates: tuple[Candidate, ...], integrity: Integrity | None = None
) -> dict[str, Any]:
    """The answer of `inspect --json`; the selected state dict's tensors are among the entries.

    With `integrity`, what was found in it is there too, and the file's sha256 in its place.
    """
    found = integrity.diagnoses(checkpoint.name) if integrity else ()
    verified = {"sha256": integrity.sha256, "integrity": integrity.as_json()} if integrity else {}
    inside = {"member": checkpoint.member, "members": list(checkpoint.members)} if checkpoint.members else {}
    return {
        "file": file,
        "format": checkpoint.format,
        "size": checkpoint.size,
        **verified,
        **inside,
        "written_by": checkpoint.written_by,
        "state_dicts": [_state_dict(row, checkpoint) for row in checkpoint.state_dicts],
        "entries": [*map(_entry, checkpoint.entries), *_tensors(checkpoint.state_dict)],
        "globals": [{"name": row.name, "kind": row.kind, "says": row.says} for row in checkpoint.globals],
        "architectures": [candidate.as_json() for candidate in candidates],
        "diagnoses": [{"id": row.id, "says": row.says, "next": row.next} for row in (*checkpoint.diagnoses, *found)],
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


def _write(checkpoint: Checkpoint, candidates: tuple[Candidate, ...], integrity: Integrity | None) -> None:
    write_line(
        f"{checkpoint.name}: {checkpoint.format}, {bytes_as_text(checkpoint.size)}, written by {checkpoint.written_by}"
    )
    for diagnosis in checkpoint.diagnoses:
        write_line(f"! {diagnosis}")
    if integrity is not None:
        write_heading("Is it whole?")
        write_line(f"  {integrity.says}")
        if integrity.sha256:
            write_line(f"  sha256 {integrity.sha256}")
        for diagnosis in integrity.diagnoses(checkpoint.name):
            write_line(f"! {diagnosis}")
    write_heading("What it holds")
    write_table((entry.path, entry.kind, entry.says) for entry in checkpoint.entries)
    if checkpoint.globals:
        write_heading("What it would have imported; none of it was")
        write_table((row.kind, row.name, row.says) for row in checkpoint.globals)
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
