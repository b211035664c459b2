"""The sentences with which a broken file is refused: cut short, damaged, or contradicting itself."""

from __future__ import annotations

from ckpt_explorer.errors import CorruptCheckpoint, Diagnosis
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.text import bytes_as_text, visible


def damaged(source: Source, what: str) -> CorruptCheckpoint:
    """The refusal of a file whose claims its bytes contradict."""
    return CorruptCheckpoint(
        Diagnosis(
            "F18",
            f"{visible(source.name)} contradicts itself: {what}",
            "fetch it again from where it was published; if it stays so, do not trust it.",
        )
    )


def cut_short(source: Source, where: str, id: str = "F5") -> CorruptCheckpoint:  # noqa: A002  the catalogue's word
    """The refusal of a file that ends too early."""
    return CorruptCheckpoint(
        Diagnosis(
            id,
            f"{visible(source.name)} is cut short at {bytes_as_text(source.size)}: {where}",
            "delete it, fetch it again, and compare the size with the one published.",
        )
    )


def wrong_checksum(source: Source, record: str) -> CorruptCheckpoint:
    """The refusal of a record whose bytes are not those that were written."""
    return CorruptCheckpoint(
        Diagnosis(
            "F6",
            f"{visible(source.name)} is damaged: the bytes of record {visible(record)!r} do not have the checksum stored with them",
            "fetch the file again.",
        )
    )
