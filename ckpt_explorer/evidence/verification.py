"""verify(): all evidence for one loaded network, in the order in which a doubter asks, and what is doubted.

Values: is what the file holds in the network? Health: is it sound in itself? Two seeds: does anything else take part?
Wiring: does each layer stand where it was trained? BatchNorm self-check and preprocessing: does each get what it was
trained on? Every kind says what it can't see.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckpt_explorer.api import input_channels, usual_preprocessing, usual_side
from ckpt_explorer.errors import Diagnosis
from ckpt_explorer.evidence.doubts import doubts_of
from ckpt_explorer.evidence.fitting_preprocessing import FoundPreprocessing, rank_preparations
from ckpt_explorer.evidence.health import HealthRow, check_health
from ckpt_explorer.evidence.options import OptionReading, read_options
from ckpt_explorer.evidence.pictures import Pictures
from ckpt_explorer.evidence.readings import Readings
from ckpt_explorer.evidence.self_check import BatchNormCheck, judged
from ckpt_explorer.evidence.two_seeds import TwoSeeds, two_seeds
from ckpt_explorer.evidence.values import ValuesCheck, check_values
from ckpt_explorer.evidence.wiring import Wiring, check_wiring
from ckpt_explorer.inference.collection import collect
from ckpt_explorer.inference.images import check_channels
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.inference.preprocessing_candidates import numbers
from ckpt_explorer.key_pair import Verdict
from ckpt_explorer.loading import LoadedModel

if TYPE_CHECKING:
    import torch

BATCH = 16
NOISE_PICTURES = 2

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how far it is and of how much; may raise to abandon the work."""


@dataclass(frozen=True, eq=False)
class Verification:
    """All evidence for one loaded network; `batchnorm` and `found` are None without pictures (or without BatchNorm).

    `used` is the preparation of the pictures, None where there were none; `unread` are sentences on pictures that could
    not be read, `options` what the pictures say of strides and eps, where the network could have others.
    """

    loaded: LoadedModel
    values: ValuesCheck
    health: tuple[HealthRow, ...]
    seeds: TwoSeeds
    wiring: Wiring
    batchnorm: BatchNormCheck | None
    found: FoundPreprocessing | None
    used: Preprocessing | None
    used_name: str
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    options: tuple[OptionReading, ...] = ()

    @property
    def doubts(self) -> tuple[Diagnosis, ...]:
        """What is doubted: each an id of the catalogue, one sentence, and the one next step."""
        return doubts_of(self)

    @property
    def is_proven(self) -> bool:
        """Whether every tensor is filled and nothing is doubted."""
        return self.loaded.alignment.verdict is Verdict.COMPLETE and not self.doubts

    def as_json(self) -> dict[str, Any]:
        """The answer of `verify --json`."""
        answer: dict[str, Any] = {
            "architecture": self.loaded.architecture.as_json(),
            "verdict": str(self.loaded.alignment.verdict),
            "values": self.values.as_json(),
            "health": [row.as_json() for row in self.health],
            "two_seeds": self.seeds.as_json(),
            "wiring": self.wiring.as_json(),
        }
        if self.batchnorm is not None:
            answer["batchnorm"] = self.batchnorm.as_json()
        if self.used is not None:
            found = (
                self.found.as_json(self.used_name)
                if self.found
                else {"used": self.used_name, "ranking": [], "group": [self.used_name]}
            )
            answer["preprocess"] = {**found, "values": self.used.as_json()}
        if self.options:
            answer["options"] = [row.as_json() for row in self.options]
        answer["doubts"] = [{"id": row.id, "says": row.says, "next": row.next} for row in self.doubts]
        if self.unread or self.notes:
            answer["notes"] = [*self.unread, *self.notes]
        return answer


def verify(
    loaded: LoadedModel,
    images: Sequence[str | os.PathLike[str] | NamedImage] = (),
    *,
    preprocessing: Preprocessing | None = None,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> Verification:
    """Hold a loaded network against its file, against itself, and against what pictures make of it.

    `images` are pictures, folders and zip archives of them; a picture that can't be read is told of and left out.
    Without `preprocessing` the one is used that fits what the first layers were trained on, or the usual one where
    that can't be told.

    Raises:
        InferenceError: none of the pictures can be read, or the network fails on them.
        PreprocessingError: there are pictures, and the network takes neither 1 nor 3 channels.
    """
    tell = progress or (lambda _what, _done, _of: None)
    tell("Comparing every tensor with the file", 0, 0)
    values = check_values(loaded)
    health = check_health(loaded)
    channels = input_channels(loaded)
    named, notes = _named(images)
    readings, found, used, used_name = None, None, None, ""
    if named:
        usual = usual_preprocessing(loaded)
        readings = Readings(loaded.module, Pictures(named, preprocessing or usual, channels))
        found = rank_preparations(
            readings,
            usual,
            channels,
            given=preprocessing,
            progress=lambda done, of: tell("Trying preparations", done, of),
        )
        used, used_name = _used(found, preprocessing, usual)
        check_channels(used, channels)
        if not used.has_cut_of(preprocessing or usual):
            readings = Readings(loaded.module, Pictures(named, used, channels))
    seeds = two_seeds(
        loaded,
        _first_input(readings, used, channels, usual_side(loaded)),
        lambda done, of: tell("Changing what is random", done, of),
    )
    tell("Following the wiring", 0, 0)
    wiring = check_wiring(loaded)
    batchnorm = None
    unread: tuple[str, ...] = ()
    options: tuple[OptionReading, ...] = ()
    if readings is not None and used is not None:
        batchnorm = _self_check(readings, used, batch_size, tell)
        unread = readings.pictures.unread
        if batchnorm is not None:
            tell("Asking about strides and eps", 0, 0)
            options = read_options(readings, used)
    return Verification(
        loaded, values, health, seeds, wiring, batchnorm, found, used, used_name, unread, notes, options
    )


def _self_check(readings: Readings, used: Preprocessing, batch_size: int, tell: Progress) -> BatchNormCheck | None:
    pictures, done = len(readings.pictures), 0

    def progress(number: int) -> None:
        nonlocal done
        done = number
        tell("Watching what arrives at each BatchNorm", number, pictures)

    as_it_answers = readings.as_it_answers(used, batch_size, progress)
    if not as_it_answers:
        return None
    return judged(as_it_answers, done, readings.alone(used).layers, readings.alone_count)


def _named(images: Sequence[str | os.PathLike[str] | NamedImage]) -> tuple[tuple[NamedImage, ...], tuple[str, ...]]:
    given = [image for image in images if isinstance(image, NamedImage)]
    paths = [Path(image) for image in images if not isinstance(image, NamedImage)]
    if not paths:
        return tuple(given), ()
    collection = collect(paths)
    return (*given, *collection.images), collection.notes


def _used(
    found: FoundPreprocessing | None, given: Preprocessing | None, usual: Preprocessing
) -> tuple[Preprocessing, str]:
    """What the pictures are prepared with, and the name that the ranking has for it."""
    if given is not None:
        return given, found.name_of(given) if found else given.name
    return (found.chosen.steps, found.chosen.name) if found else (usual, usual.name)


def _first_input(readings: Readings | None, steps: Preprocessing | None, channels: int, side: int) -> torch.Tensor:
    """One picture, and noise: (2, channels, side, side). Either alone could leave a branch shut."""
    import torch

    noise = torch.Generator().manual_seed(0)
    if readings is None or steps is None:
        return torch.randn((NOISE_PICTURES, channels, side, side), generator=noise)
    picture = numbers(readings.pictures.pixels[:1], steps)
    return torch.cat([picture, torch.randn(picture.shape, generator=noise)])
