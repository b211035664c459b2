"""Choices: what a person filled in on the pages, as it was filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckpt_explorer.evidence.fitting_preprocessing import FoundPreprocessing
    from ckpt_explorer.inference.agreement import Agreement


@dataclass
class LoadChoice:
    """How to load: None for `strict` and `device` leaves it to the verdict and to the machine."""

    strict: bool | None = None
    device: str | None = None
    dtype: str = "float32"


@dataclass
class StepsChoice:
    """The preprocessing form as it was filled in, also where it can't be used as it is.

    `found` is what the pictures said of it, `agreements` how many answers stay the same with what else was near, and
    `found_for` the network and the pictures of both.
    """

    preset: str
    size: int
    resize: int
    mean: str
    std: str
    bgr: bool
    found: FoundPreprocessing | None = None
    agreements: tuple[Agreement, ...] = ()
    found_for: object = None


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
