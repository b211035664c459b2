"""What can go wrong, drawn as a tree. The text of each is one sentence for the person who can mend it.

CheckpointExplorerError
├── RefusedFile                  the file was not opened; carries what was recognised
│   ├── NotACheckpoint           another kind of file: empty, a web page, a Git LFS pointer, a picture, ...
│   └── CorruptCheckpoint        cut short, damaged, or its claims contradict the file
├── SourceError                  there is no such file, or it may not be read
│   ├── NoRanges                 a server that sends a file only as a whole (reading/sources/unreachable.py)
│   └── ConnectionCut            a server that stopped in the middle
├── ArchitectureError            no such network, or the given class can't be built
├── RuleError                    a rule that is no valid pattern; `.position` says which one
│   └── RuleCollision            two keys would get one name; the text names both
├── LoadError                    a strict load that does not fit, or a device that this machine lacks
└── InferenceError               nothing can be predicted as asked
    ├── ImageError               not a picture, or too large a one
    ├── LabelsError              too few or unreadable class names
    └── PreprocessingError       a size, mean or standard deviation that makes no sense
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnosis:
    """A situation that was recognised: its id in the catalogue, one sentence, and the one next step."""

    id: str
    says: str
    next: str

    def __str__(self) -> str:
        return f"{self.says}: {self.next}" if self.next else self.says


class CheckpointExplorerError(Exception):
    """Something that a person can mend; `str()` of it is one sentence."""


class RefusedFile(CheckpointExplorerError):
    """The file was not opened. `diagnosis` says what was recognised instead; `readable` of the `total` tensors of a broken
    file could be read all the same."""

    def __init__(self, diagnosis: Diagnosis, readable: int = 0, total: int = 0) -> None:
        super().__init__(str(diagnosis))
        self.diagnosis = diagnosis
        self.readable = readable
        self.total = total


class NotACheckpoint(RefusedFile):
    """The bytes are another kind of file."""


class CorruptCheckpoint(RefusedFile):
    """The file is cut short or damaged, or makes claims that its bytes contradict."""


class SourceError(CheckpointExplorerError):
    """There is no such file, or it may not be read."""


class ArchitectureError(CheckpointExplorerError):
    """No architecture has this name, or the class that was given can't be built."""


class RuleError(CheckpointExplorerError):
    """A rule can't be used as it is written. `position` counts from 0 in its list; None outside a list."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class RuleCollision(RuleError):
    """Two keys of the checkpoint would get the same name."""


class LoadError(CheckpointExplorerError):
    """The weights can't be loaded as asked."""


class InferenceError(CheckpointExplorerError):
    """Nothing can be predicted as asked."""


class ImageError(InferenceError):
    """A file is no picture that can be read, or its claims are too large."""


class LabelsError(InferenceError):
    """A list of class names can't be read, or does not have one name for each class."""


class PreprocessingError(InferenceError):
    """A size, mean or standard deviation that can't be used with this network."""
