"""Target: the network that a tab has chosen, as data; it becomes an Architecture when PyTorch is there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.proposal import FALLBACK
from ckpt_explorer.suggestion import Candidate

if TYPE_CHECKING:
    from ckpt_explorer.architectures import Architecture

Kind = Literal["named", "custom", "class", "reference"]


@dataclass(frozen=True)
class Target:
    """A network by kind and name, with its class count, input channels and options where they are chosen."""

    kind: Kind = "named"
    name: str = FALLBACK
    num_classes: int | None = None
    in_channels: int | None = None
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> str:
        """What tells one target from another."""
        return json.dumps(
            [self.kind, self.name, self.num_classes, self.in_channels, self.options], sort_keys=True, default=str
        )

    @classmethod
    def proposed(cls, candidates: tuple[Candidate, ...], own: str = "") -> Target:
        """What the file itself proposes; `own` is the class that an example is made for."""
        if own:
            return cls("class", own)
        if not candidates:
            return cls()
        return cls.of(candidates[0])

    @classmethod
    def of(cls, candidate: Candidate) -> Target:
        """The target that a candidate means."""
        kind: Kind = "custom" if candidate.name == "custom" else "named"
        return cls(kind, candidate.name, candidate.num_classes, candidate.in_channels, dict(candidate.options))

    def architecture(self, reference: Checkpoint | None = None) -> Architecture:
        """The network itself.

        Raises:
            ArchitectureError: it can't be built; the text says why.
        """
        from ckpt_explorer.architectures import architecture, reference_tree
        from ckpt_explorer.errors import ArchitectureError

        if self.kind == "reference":
            if reference is None:
                raise ArchitectureError("Give the other checkpoint whose keys are to be matched.")
            return reference_tree(reference.state_dict, reference.name)
        if self.kind == "class":
            return _own(self.name, self.num_classes, self.in_channels)
        return architecture(self.name, num_classes=self.num_classes, in_channels=self.in_channels, options=self.options)


@lru_cache(maxsize=16)
def _own(name: str, num_classes: int | None, in_channels: int | None) -> Architecture:
    """A class is imported once a process: its module may register itself somewhere."""
    from ckpt_explorer.architectures import own_class

    return own_class(name, num_classes=num_classes, in_channels=in_channels)
