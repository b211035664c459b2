"""predict(): pictures through a loaded network, with preprocessing and labels filled in where nobody gave them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ckpt_explorer.errors import InferenceError
from ckpt_explorer.inference.labels import check_labels, default_labels
from ckpt_explorer.inference.prediction import FailedImage, NamedImage, Prediction, RandomCheck, random_check
from ckpt_explorer.inference.prediction import predict as predict_images
from ckpt_explorer.inference.preprocessing import Preprocessing, default_preprocessing
from ckpt_explorer.loading import LoadedModel

DEFAULT_SIZE = 224


def input_channels(loaded: LoadedModel) -> int:
    """The channels that the network takes: those of its first conv, 3 where it has none."""
    return loaded.architecture.in_channels or 3


def usual_preprocessing(loaded: LoadedModel) -> Preprocessing:
    """What to try first for this network, by its usual input size and its channels.

    Raises:
        PreprocessingError: the network takes neither 1 nor 3 channels.
    """
    return default_preprocessing(loaded.architecture.input_size or DEFAULT_SIZE, input_channels(loaded))


def predict(
    loaded: LoadedModel,
    images: Sequence[str | os.PathLike[str] | NamedImage],
    *,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    top: int = 5,
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> list[Prediction | FailedImage]:
    """What the network says to each image, in their order; a wrong image becomes a FailedImage and stops no other.

    Without `labels`, ImageNet's names stand for 1000 classes, and none for other counts.

    Raises:
        InferenceError: no image, labels or preprocessing that do not fit, or a network that gives no class scores.
    """
    if not images:
        raise InferenceError("There is no image to predict: give at least one, or check the shapes with a random one.")
    named = [image if isinstance(image, NamedImage) else NamedImage(Path(image).name, Path(image)) for image in images]
    classes = loaded.architecture.num_classes
    if labels is None and classes:
        found = default_labels(classes)
        labels = found[1] if found else None
    elif labels is not None and classes:
        check_labels(labels, classes)
    return predict_images(
        loaded.module,
        named,
        preprocessing or usual_preprocessing(loaded),
        channels=input_channels(loaded),
        labels=labels,
        top=min(top, classes) if classes else top,
        batch_size=batch_size,
        progress=progress,
    )


def predict_random(loaded: LoadedModel, size: int | None = None) -> RandomCheck:
    """The how-to's own check: a random tensor in, the output's shape out, and a word on what that does not prove."""
    usual = loaded.architecture.input_size or DEFAULT_SIZE
    return random_check(loaded.module, input_channels(loaded), usual if size is None else size)
