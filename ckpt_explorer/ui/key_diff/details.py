"""What is said of a selected row: why it is as it is, its way through the rules, and what could be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckpt_explorer.alignment import Alignment, KeyPair, Status, Verdict
from ckpt_explorer.key_pair import SYMBOLS, named
from ckpt_explorer.suggestion.by_hand import Offer, candidates_for, no_offer_says, offers_for_pair
from ckpt_explorer.text import plural, shape_as_text, visible
from ckpt_explorer.ui.session import Aligned, Session

Row = tuple[str | None, str | None]
"""The checkpoint's key and the model's; one of them None where the row, or what was selected, has none."""

SHOWN_EXAMPLES = 3
SHOWN_CANDIDATES = 5

_FITS = (Status.MATCHED, Status.ADAPTED)


def offers_of(alignment: Alignment, row: Row) -> tuple[Row | None, tuple[Offer, ...]]:
    """The pair that offers are made for, and the offers: for the row itself, or for its best candidate."""
    checkpoint, model = row
    pair = pair_of(alignment, row)
    if pair is not None and (pair.status in _FITS or pair.is_counter):
        return None, ()
    if checkpoint is None or model is None:
        best = next(iter(_candidates(alignment, pair)), None)
        if best is None:
            return None, ()
        checkpoint, model = best
    return (checkpoint, model), offers_for_pair(alignment, checkpoint or "", model or "")


def of_row(alignment: Alignment, row: Row, found: tuple[Row | None, tuple[Offer, ...]]) -> dict[str, Any]:
    """Sentences, the way through the rules, candidates and offers; `found` is what `offers_of` gave for the row."""
    checkpoint, model = row
    pair = pair_of(alignment, row)
    by_hand, offers = found
    sentences = [] if pair is None else says(pair)
    if by_hand is not None and not offers and checkpoint is not None and model is not None:
        sentences.append(no_offer_says(alignment, checkpoint, model))
    way = alignment.rules.trace(checkpoint) if checkpoint is not None else []
    return {
        "by_hand": pair is None,
        "says": sentences,
        "way": [[position + 1, before, after] for position, before, after in way],
        "candidates": _shown_candidates(alignment, pair),
        "wants": "It could be" if checkpoint is not None else "In the file it could be",
        "offered": _offered(row, by_hand),
        "offers": [_shown(offer) for offer in offers],
    }


def pair_of(alignment: Alignment, row: Row) -> KeyPair | None:
    """The row of the alignment that has these two keys; None for a pair that a person has just made."""
    return next((pair for pair in alignment.pairs if (pair.checkpoint, pair.model) == row), None)


def next_trouble(alignment: Alignment, model_key: str | None) -> Row | None:
    """The next key of the network behind this one that the file should fill and does not; None where there is none."""
    pairs = [pair for pair in alignment.pairs if pair.model is not None]
    at = next((at for at, pair in enumerate(pairs) if pair.model == model_key), 0)
    wanting = (Status.MISSING, Status.SHAPE_MISMATCH)
    for pair in (*pairs[at:], *pairs[:at]):
        if pair.status in wanting and pair.model != model_key and not pair.is_counter:
            return pair.checkpoint, pair.model
    return None


def says(pair: KeyPair) -> list[str]:
    """Why the row has its status, in sentences."""
    if pair.status is Status.SHAPE_MISMATCH:
        ours, theirs = shape_as_text(pair.checkpoint_shape), shape_as_text(pair.model_shape)
        return [f"The names agree and the shapes do not: the file has {ours}, the network wants {theirs}."]
    if pair.status is Status.MISSING and pair.is_counter:
        return ["BatchNorm's count of batches: no output depends on it, and it starts at 0."]
    if pair.status is Status.MISSING and not pair.note:
        return [f"The network wants {shape_as_text(pair.model_shape)} here, and no key of the file has this name."]
    if pair.status is Status.UNEXPECTED:
        renamed = pair.renamed or ""
        after = f", which the rules make {visible(renamed, 200)}" if renamed != pair.checkpoint else ""
        return [f"The network has no key of this name{after}."]
    return []


def advice(here: Session, now: Aligned) -> list[str]:
    """What is wrong, if anything, and what to do next, for somebody who sees the screen for the first time."""
    alignment, proposed = now.alignment, now.suggestion.rules
    if alignment.verdict is Verdict.COMPLETE:
        return ["Nothing is wrong: every key of the network has its tensor. Load it."]
    if now.history.rules != proposed and proposed:
        return [f"The names differ. {plural(len(proposed), 'rule')} that would change them can be proposed."]
    if alignment.verdict is Verdict.PARTIAL and alignment.unfilled:
        return [
            f"All but {named(alignment.unfilled)} is in the file. Load it as it is for features, or select a row to pair it by hand."
        ]
    best = here.candidates[0].name if here.candidates else None
    if best and best != alignment.architecture.name:
        return [f"The file looks like {visible(best)}: choose it under Network. Or select a row to see what would fit."]
    return ["Select a row that is missing or unexpected: what could fit it is shown here, with the rule that does it."]


def proposes(now: Aligned) -> str:
    """What is written on the button that takes the proposed rules; nothing where they are in force."""
    proposed = now.suggestion.rules
    if now.history.rules == proposed or not proposed or now.alignment.verdict is Verdict.COMPLETE:
        return ""
    return f"Take the {plural(len(proposed), 'proposed rule')}"


def _candidates(alignment: Alignment, pair: KeyPair | None) -> list[Row]:
    """The pairs that a row without a partner could be in, the best first."""
    return [row for row, _ in _scored(alignment, pair)]


def _scored(alignment: Alignment, pair: KeyPair | None) -> list[tuple[Row, str]]:
    if pair is None or pair.status in _FITS or pair.is_counter:
        return []
    scored: list[tuple[Row, str]] = []
    for each in candidates_for(alignment, pair, SHOWN_CANDIDATES):
        row = (each.key, pair.model) if each.side == "checkpoint" else (pair.checkpoint, each.key)
        if row[0] is not None and row[1] is not None:
            scored.append((row, f"{each.score:.0%} · {each.says}"))
    return scored


def _shown_candidates(alignment: Alignment, pair: KeyPair | None) -> list[dict[str, Any]]:
    place = {key: at for at, key in enumerate(alignment.state_dict)}
    wanted = {key: at for at, key in enumerate(alignment.architecture.tree)}
    return [
        {
            "key": (ours if pair is None or pair.checkpoint is None else theirs) or "",
            "left": place[ours or ""],
            "right": wanted[theirs or ""],
            "says": why,
        }
        for (ours, theirs), why in _scored(alignment, pair)
    ]


def _offered(row: Row, by_hand: Row | None) -> str:
    if by_hand is None:
        return ""
    ours, theirs = (visible(key or "", 70) for key in by_hand)
    if row == by_hand:
        return "What would pair them"
    return f"If it is {theirs if row[1] is None else ours}"


def _shown(offer: Offer) -> dict[str, Any]:
    """An offer with its rules, some keys before and after, and the counts that it would give."""
    renaming = offer.rules.apply(offer.keys[:SHOWN_EXAMPLES], collide=True)
    _, *notes = offer.says.split("; ") if offer.added else ("", offer.says)
    return {
        "does": _does(offer),
        "rules": [str(rule) for rule in offer.added],
        "notes": notes,
        "examples": [[row.key, row.renamed] for row in renaming.keys if row.renamed is not None],
        "then": counts_change(offer.before, offer.after),
        "verdict": str(offer.verdict),
    }


def _does(offer: Offer) -> str:
    """What is written on the button."""
    makes = {0: "Do this", 1: "Make this rule"}.get(len(offer.added), f"Make these {len(offer.added)} rules")
    others = len(offer.keys) - 1
    return (
        f"{makes}: this key and the {plural(others, 'other')} of its form" if others > 0 else f"{makes}: this key only"
    )


def counts_change(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """`● matched 0 → 95 · − missing 128 → 33`: the counts that would be others."""
    changed = []
    for status in Status:
        name = str(status).replace(" ", "_")
        if before[name] != after[name]:
            changed.append(f"{SYMBOLS[status]} {status} {before[name]:,} → {after[name]:,}")
    return " · ".join(changed) or "no count would change"
