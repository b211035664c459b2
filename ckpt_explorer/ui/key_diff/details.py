"""What is said of a selected row: why it is as it is, its way through the rules, and what could be done."""

from __future__ import annotations

from typing import Any

from ckpt_explorer.alignment import Alignment, KeyPair, Status, Verdict
from ckpt_explorer.text import plural, shape_as_text, visible
from ckpt_explorer.ui.session import Aligned


def of_row(alignment: Alignment, row: tuple[str | None, str | None]) -> dict[str, Any]:
    """Sentences, the way through the rules, candidates and offers for the row of these two keys."""
    checkpoint, _ = row
    pair = next((pair for pair in alignment.pairs if (pair.checkpoint, pair.model) == row), None)
    way = alignment.rules.trace(checkpoint) if checkpoint is not None else []
    return {
        "says": [] if pair is None else says(pair),
        "way": [[position + 1, before, after] for position, before, after in way],
        "candidates": [],
        "offers": [],
    }


def says(pair: KeyPair) -> list[str]:
    """Why the row has its status, in sentences."""
    if pair.status is Status.SHAPE_MISMATCH:
        ours, theirs = shape_as_text(pair.checkpoint_shape), shape_as_text(pair.model_shape)
        return [f"The names agree and the shapes do not: the file has {ours}, the network wants {theirs}."]
    if pair.status is Status.MISSING and pair.is_counter:
        return ["BatchNorm's count of batches: no output depends on it, and it starts at 0."]
    if pair.status is Status.MISSING and not pair.note:
        return [
            f"The network wants a tensor of shape {shape_as_text(pair.model_shape)} here, and no key of the file has this name after the rules."
        ]
    if pair.status is Status.UNEXPECTED:
        renamed = pair.renamed or ""
        after = f", which the rules make {visible(renamed, 200)}" if renamed != pair.checkpoint else ""
        return [f"The network has no key of this name{after}."]
    return []


def advice(now: Aligned) -> list[str]:
    """What to do next, for somebody who sees the screen for the first time."""
    alignment, suggestion = now.alignment, now.suggestion
    if alignment.verdict is Verdict.COMPLETE:
        return ["Every key has its place: load it."]
    if now.history.rules != suggestion.rules and suggestion.rules:
        return [
            f"{plural(len(suggestion.rules), 'rule')} can be proposed for this file: take the suggestion at the left, or select a row to see what would fit it."
        ]
    return ["Select a row that is not well to see what would fit it."]
