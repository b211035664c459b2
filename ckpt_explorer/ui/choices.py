"""Choices: what a person filled in on the pages, as it was filled in."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class LoadChoice:
    """How to load: None for `strict` and `device` leaves it to the verdict and to the machine."""

    strict: bool | None = None
    device: str | None = None
    dtype: str = "float32"


@dataclass
class StepsChoice:
    """The preprocessing form as it was filled in, also where it can't be used as it is."""

    preset: str
    size: int
    mean: str
    std: str
    bgr: bool


@dataclass
class LabelsChoice:
    """Which class names: a known set, `file` or `pasted`, with the names that were read and the text as typed."""

    source: str = "numbers"
    names: tuple[str, ...] = ()
    file_name: str = ""
    pasted: str = ""
    proposed: bool = False


@dataclass
class TruthChoice:
    """Who says what the pictures really are: `folders`, `file`, `example` or `nobody`; empty leaves it to what there is.

    `said` is what the file says, class by picture.
    """

    source: str = ""
    said: dict[str, str] = field(default_factory=dict)
    file_name: str = ""
