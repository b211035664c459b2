"""predict --heatmap and --features: files beside the answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ckpt_explorer.api import where_it_looked
from ckpt_explorer.errors import ImageError, InferenceError
from ckpt_explorer.inference.prediction import FailedImage, NamedImage, Prediction
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.loading import LoadedModel
from ckpt_explorer.text import visible


def write_heat_maps(
    folder: Path,
    loaded: LoadedModel,
    images: Sequence[NamedImage],
    answers: Sequence[Prediction | FailedImage],
    steps: Preprocessing,
    stage: str | None,
) -> list[dict[str, Any]]:
    """A PNG for each answered picture, of the class that was answered; returns a row of JSON for each.

    Raises:
        InferenceError: the network has no such stage, or the folder can't be written.
    """
    written: list[dict[str, Any]] = []
    used: set[str] = set()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for image, answer in zip(images, answers, strict=True):
            if not isinstance(answer, Prediction):
                continue
            try:
                found, shown = where_it_looked(
                    loaded, image, preprocessing=steps, class_index=answer.top[0].index, stage=stage
                )
            except ImageError:
                continue  # it was readable a moment ago: its answer stands, its map is missing in the list
            name = _file_name(image.name, used)
            shown.save(folder / name)
            written.append(
                {
                    "image": image.name,
                    "file": name,
                    "method": found.method,
                    "stage": found.stage,
                    "index": found.class_index,
                }
            )
    except OSError as error:
        raise InferenceError(f"{visible(str(folder), 120)} can't be written: {error.strerror or error}.") from error
    return written


def _file_name(image: str, used: set[str]) -> str:
    """A name for any system, that no other picture's map has."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", image).strip("._")[-120:] or "picture"
    free, number = plain, 1
    while free.lower() in used:
        number += 1
        free = f"{plain}_{number}"
    used.add(free.lower())
    return f"{free}.png"
