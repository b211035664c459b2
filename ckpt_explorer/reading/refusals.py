"""The sentences with which a broken file is refused, and those that go with one of which something is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ckpt_explorer.errors import CorruptCheckpoint, Diagnosis, NotACheckpoint, RefusedFile
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.text import bytes_as_text, listed, plural, visible

if TYPE_CHECKING:
    from ckpt_explorer.checkpoint import Checkpoint

Refused = TypeVar("Refused", bound=RefusedFile)


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


def too_large(source: Source, what: str) -> CorruptCheckpoint:
    """The refusal of a file whose objects are more than this program describes."""
    return CorruptCheckpoint(
        Diagnosis(
            "F14",
            f"{visible(source.name)} was not described to its end: {what}, and no state dict needs that",
            "give the file with the weights alone; this one may be a data set, or made to do harm.",
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


def still_readable(error: CorruptCheckpoint, left: Checkpoint) -> CorruptCheckpoint:
    """The refusal `error` of a file that was cut, with a word on what can be read of it all the same."""
    here, found = sum(map(len, left.state_dicts)), error.diagnosis
    total = here + len(left.lost)
    offer = f"{here:,} of its {plural(total, 'tensor')} can still be read"
    return CorruptCheckpoint(Diagnosis(found.id, f"{found.says}; {offer}", found.next), readable=here, total=total)


def left_of_it(source: Source, here: int, lost: list[str]) -> Diagnosis:
    """What is to be said of a file that was cut short and opened all the same."""
    return Diagnosis(
        "F5",
        f"{visible(source.name)} is cut short: {here:,} of {here + len(lost):,} tensors could be read, and {plural(len(lost), 'is', 'are')} lost ({listed(sorted(lost))})",
        "fetch it again; what is here is good for a look, not for use.",
    )


def packed_by_hand(source: Source) -> Diagnosis:
    """What is to be said of an archive that somebody unpacked and packed again."""
    return Diagnosis(
        "F13",
        f"{visible(source.name)} was unpacked and packed again by hand: it is compressed, or its record of the version is missing",
        "it was opened all the same, torch.load may refuse it; convert writes it as torch.save would.",
    )


def inside_of(container: str, kind: str, error: Refused) -> Refused:
    """The refusal of what lies in an archive, with a word on where it lies."""
    found = error.diagnosis
    says = f"{visible(container)} is a {kind}, and what is in it is refused: {found.says}"
    return type(error)(Diagnosis(found.id, says, found.next), error.readable, error.total)


def nested_too_deep(source: Source) -> NotACheckpoint:
    """The refusal of archives within archives within archives: one that holds itself would never end."""
    return NotACheckpoint(
        Diagnosis(
            "F17",
            f"{visible(source.name)} is an archive that lies too deep in other archives",
            "unpack them, and give the file inside.",
        )
    )


def unpacked_for_reading(source: Source, kind: str) -> Diagnosis:
    """What is to be said of a checkpoint that came out of a compressed file."""
    return Diagnosis(
        "F17",
        f"{visible(source.name)} is a {kind}; what is in it was unpacked for reading",
        "nothing needs to be unpacked here; torch.load wants it unpacked first.",
    )
