"""predict(): pictures through a loaded network, with preprocessing and labels filled in where nobody gave them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from ckpt_explorer.errors import InferenceError
from ckpt_explorer.inference.against import compare_answers
from ckpt_explorer.inference.agreement import Agreement
from ckpt_explorer.inference.batches import AnsweredBatch, predict_batches
from ckpt_explorer.inference.collection import collect
from ckpt_explorer.inference.features import head_path
from ckpt_explorer.inference.forward import place_of
from ckpt_explorer.inference.heat_map import HeatMap, heat_map, stages_of
from ckpt_explorer.inference.images import as_input, open_image
from ckpt_explorer.inference.labels import check_labels, default_labels
from ckpt_explorer.inference.overlay import overlaid
from ckpt_explorer.inference.pace import Pace
from ckpt_explorer.inference.prediction import FailedImage, NamedImage, Prediction, RandomCheck, random_check
from ckpt_explorer.inference.preprocessing import Preprocessing, default_preprocessing
from ckpt_explorer.inference.timing import Timing
from ckpt_explorer.loading import LoadedModel

if TYPE_CHECKING:
    from PIL.Image import Image

    from ckpt_explorer.evidence.fitting_preprocessing import FoundPreprocessing

DEFAULT_SIZE = 224


def input_channels(loaded: LoadedModel) -> int:
    """The channels that the network takes: those of its first conv, 3 where it has none."""
    return loaded.architecture.in_channels or 3


def usual_side(loaded: LoadedModel) -> int:
    """The side in pixels of the pictures that the network usually takes."""
    return loaded.architecture.input_size or DEFAULT_SIZE


def usual_preprocessing(loaded: LoadedModel) -> Preprocessing:
    """What to try first for this network, by its usual input size and its channels.

    Raises:
        PreprocessingError: the network takes neither 1 nor 3 channels.
    """
    return default_preprocessing(usual_side(loaded), input_channels(loaded))


def fitting_preprocessing(
    loaded: LoadedModel,
    images: Sequence[str | os.PathLike[str] | NamedImage],
    usual: Preprocessing | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FoundPreprocessing | None:
    """The preprocessing that fits what the network's first layers were trained on, judged by these pictures.

    `usual` gives size and cut, by default the network's own. None where there are no BatchNorm statistics to judge by.

    Raises:
        InferenceError: no picture can be read, or the network fails on them.
        PreprocessingError: the network takes neither 1 nor 3 channels.
    """
    from ckpt_explorer.evidence.fitting_preprocessing import find_preprocessing

    steps = usual or usual_preprocessing(loaded)
    return find_preprocessing(loaded.module, as_named(images), steps, input_channels(loaded), progress=progress)


def predict(
    loaded: LoadedModel,
    images: Sequence[str | os.PathLike[str] | NamedImage],
    *,
    preprocessing: Preprocessing | Literal["auto"] | None = None,
    labels: Sequence[str] | None = None,
    top: int = 5,
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> list[Prediction | FailedImage]:
    """What the network says to each image, in their order; a wrong image becomes a FailedImage and stops no other.

    `preprocessing="auto"` takes the one that fits what the network was trained on, as far as these images show it.
    A path may also be a folder or a zip archive, which stands for all pictures in it. Without `labels`, ImageNet's
    names stand for 1000 classes, and none for other counts.

    Raises:
        InferenceError: no image, labels or preprocessing that do not fit, or a network that gives no class scores.
    """
    batches = predict_stream(
        loaded,
        images,
        preprocessing=preprocessing,
        labels=labels,
        top=top,
        pace=Pace(batch_size),
        progress=progress,
    )
    return [answer for batch in batches for answer in batch.answers]


def agreements(
    loaded: LoadedModel,
    images: Sequence[str | os.PathLike[str] | NamedImage],
    preprocessing: Preprocessing,
    others: Mapping[str, Preprocessing],
    *,
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Agreement, ...]:
    """How many of the answers with `preprocessing` stay the same with each of `others`, by name.

    `progress` is called with how many pictures were answered, of how many in all ways together; it may raise to
    abandon the work.

    Raises:
        InferenceError: as `predict`.
    """
    images = as_named(images)
    of = len(images) * (len(others) + 1)

    def answered(steps: Preprocessing, before: int) -> list[Prediction | FailedImage]:
        def tell(done: int, _of: int) -> None:
            if progress:
                progress(before + done, of)

        return predict(loaded, images, preprocessing=steps, top=1, batch_size=batch_size, progress=tell)

    first, found = answered(preprocessing, 0), []
    for number, (name, steps) in enumerate(others.items(), 1):
        compared = compare_answers(first, answered(steps, len(images) * number))
        found.append(Agreement(name, compared.same, compared.pictures))
    return tuple(found)


def predict_stream(
    loaded: LoadedModel,
    images: Sequence[str | os.PathLike[str] | NamedImage],
    *,
    preprocessing: Preprocessing | Literal["auto"] | None = None,
    labels: Sequence[str] | None = None,
    top: int = 5,
    pace: Pace | None = None,
    features: bool = False,
    timing: Timing | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[AnsweredBatch]:
    """As `predict`, batch by batch as they come, at a pace of one's own, with the features where they are wanted.

    Raises:
        InferenceError: as `predict`, at the first batch; or features are wanted of a network without a head.
    """
    if not images:
        raise InferenceError("There is no image to predict: give at least one, or check the shapes with a random one.")
    classes = loaded.architecture.num_classes
    if labels is None and classes:
        found = default_labels(classes)
        labels = found[1] if found else None
    elif labels is not None and classes:
        check_labels(labels, classes)
    head = head_path(loaded.architecture.head) if features else None
    if features and head is None:
        raise InferenceError(
            "The network has no last layer whose input could be its features: load one that has a head."
        )
    images = as_named(images)
    if preprocessing == "auto":
        fitting = fitting_preprocessing(loaded, images)
        preprocessing = fitting.chosen.steps if fitting else None
    return predict_batches(
        loaded.module,
        images,
        preprocessing or usual_preprocessing(loaded),
        channels=input_channels(loaded),
        labels=labels,
        top=min(top, classes) if classes else top,
        pace=pace,
        head=head,
        timing=timing,
        progress=progress,
    )


def where_it_looked(
    loaded: LoadedModel,
    image: NamedImage,
    *,
    preprocessing: Preprocessing | None = None,
    class_index: int | None = None,
    stage: str | None = None,
) -> tuple[HeatMap, Image]:
    """The heat map of one picture, for the class that is answered or for `class_index`, and the picture with it laid over.

    Without `stage` it is the last, where the map is exact for a network that averages its last features.

    Raises:
        InferenceError: no such stage or class, the network has no place to point at, or the picture can't be read.
    """
    steps = preprocessing or usual_preprocessing(loaded)
    picture = open_image(image.source, image.name)
    x = as_input(picture, steps, input_channels(loaded))[None]
    found = heat_map(loaded.module, x, class_index, stage, head_path(loaded.architecture.head))
    return found, overlaid(picture, found.strength, steps)


def stages(loaded: LoadedModel, preprocessing: Preprocessing | None = None) -> tuple[str, ...]:
    """The stages that a heat map can be of, first to last.

    Raises:
        InferenceError: there is none.
    """
    import torch

    steps = preprocessing or usual_preprocessing(loaded)
    place = place_of(loaded.module)
    blank = torch.zeros((1, input_channels(loaded), steps.size, steps.size), device=place.device, dtype=place.dtype)
    return tuple(stages_of(loaded.module, blank))


def as_named(images: Sequence[str | os.PathLike[str] | NamedImage]) -> list[NamedImage]:
    """Pictures as they are; every run of paths becomes what `collect` finds there."""
    named: list[NamedImage] = []
    for is_named, run in groupby(images, lambda image: isinstance(image, NamedImage)):
        given = list(run)
        named += given if is_named else collect(given).images  # type: ignore[arg-type]  # groupby tells them apart
    return named


def predict_random(loaded: LoadedModel, size: int | None = None) -> RandomCheck:
    """The how-to's own check: a random tensor in, the output's shape out, and a word on what that does not prove."""
    usual = usual_side(loaded)
    return random_check(loaded.module, input_channels(loaded), usual if size is None else size)
