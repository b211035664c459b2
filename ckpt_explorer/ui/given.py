"""Given: what a person gave to be opened, and what became of it where it was refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.errors import CheckpointExplorerError, RefusedFile
from ckpt_explorer.examples import Example
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.reading.sources.source import Progress
from ckpt_explorer.reading.sources.unreachable import NoRanges
from ckpt_explorer.text import bytes_as_text, plural


@dataclass(frozen=True, eq=False)
class Given:
    """Where the bytes are and how they are to be opened, so that they can be opened again in another way.

    `what` is an upload's buffer, several of them by name, a path, or an address. `within` is the folder that links may
    not lead out of.
    """

    name: str
    what: bytes | Mapping[str, bytes] | Path | str = field(repr=False)
    within: Path | None = None
    example: Example | None = None
    member: str | None = None
    salvage: bool = False
    fetch_all: bool = False

    @property
    def is_remote(self) -> bool:
        """Whether it lies at an address."""
        return isinstance(self.what, str)

    def open(self, progress: Progress | None = None) -> Checkpoint:
        """Open it. Raises what `open_checkpoint` raises."""
        return open_checkpoint(
            self.what,
            None if self.is_remote else self.name,
            member=self.member,
            salvage=self.salvage,
            progress=progress,
            within=self.within,
            fetch_all=self.fetch_all,
        )


@dataclass(frozen=True, eq=False)
class Refusal:
    """Why something was not opened: a sentence, the next step, the diagnosis' id, and what the app itself can do.

    `offer` is the label of a button that opens `again`; what was given is held only where there is one.
    """

    says: str
    next: str = ""
    id: str = ""
    offer: str = ""
    again: Given | None = None


def refusal_of(error: CheckpointExplorerError, given: Given) -> Refusal:
    """The refusal that `error` means for `given`."""
    if isinstance(error, NoRanges) and not given.fetch_all:
        size = f" ({bytes_as_text(error.size)})" if error.size else ""
        return Refusal(str(error), offer=f"Fetch all of it{size}", again=replace(given, fetch_all=True))
    if not isinstance(error, RefusedFile):
        return Refusal(str(error))
    found = error.diagnosis
    if error.readable and not given.salvage:
        offer = f"Open what is left ({error.readable:,} of {plural(error.total, 'tensor')})"
        return Refusal(found.says, found.next, found.id, offer, replace(given, salvage=True))
    return Refusal(found.says, found.next, found.id)
