"""Batches: pictures through a network a batch at a time, the next ones decoded meanwhile, answers as they come.

Memory holds two batches and what is being decoded, however many pictures there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_explorer.errors import InferenceError
from ckpt_explorer.inference.class_scores import class_scores
from ckpt_explorer.inference.features import FeatureTap
from ckpt_explorer.inference.forward import Place, place_of, timed_forward
from ckpt_explorer.inference.images import as_input, check_channels, open_image
from ckpt_explorer.inference.labels import check_labels
from ckpt_explorer.inference.pace import Pace
from ckpt_explorer.inference.prediction import FailedImage, NamedImage, Prediction, check_counts, predictions
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.inference.reading_ahead import ReadImage, read_ahead
from ckpt_explorer.inference.timing import Timing
from ckpt_explorer.text import visible

if TYPE_CHECKING:
    import numpy as np
    import torch

MAX_BATCH_VALUES = 2**25
"""Numbers in one batch's input (128 MiB in float32): larger pictures go in smaller batches."""


@dataclass(frozen=True, eq=False)
class AnsweredBatch:
    """The answers of a batch in the order of its pictures, and where they were asked for the features (readable, D)
    in float32 of those that could be read."""

    answers: tuple[Prediction | FailedImage, ...]
    features: np.ndarray[Any, Any] | None = None


def predict_batches(
    module: torch.nn.Module,
    images: Sequence[NamedImage],
    preprocessing: Preprocessing,
    *,
    channels: int,
    labels: Sequence[str] | None = None,
    top: int = 5,
    pace: Pace | None = None,
    head: str | None = None,
    timing: Timing | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[AnsweredBatch]:
    """What `module`, in eval mode, says to each of `images`, batch by batch, on the device where its weights are.

    A picture that can't be read becomes a `FailedImage` and stops no other. `progress(done, of)` is called before each
    picture is taken and after each batch, and may raise to give up: what was yielded stays. `head` is the path of the
    module whose input are the features; with it, they come along. `timing` is filled in on the way.

    Raises:
        PreprocessingError: the network takes neither 1 nor 3 channels, or another number than the preprocessing.
        LabelsError: there is not one label a class.
        InferenceError: the network failed or gives no class scores, or `top` or the pace can't be.
    """
    pace = pace or Pace()
    check_channels(preprocessing, channels)
    check_counts(top, pace.batch_size)
    pace.check()
    place = place_of(module)
    report = progress or (lambda _done, _of: None)
    step = max(1, min(pace.batch_size, MAX_BATCH_VALUES // (channels * preprocessing.size**2)))
    timing = timing if timing is not None else Timing()

    def read(image: NamedImage) -> torch.Tensor:
        return as_input(open_image(image.source, image.name), preprocessing, channels)

    done = 0
    batch: list[ReadImage[torch.Tensor]] = []
    load, precisely = _loader(place, pace), _precision(place, pace)
    with FeatureTap(module, head) as tap:
        report(0, len(images))
        for row in read_ahead(images, read, pace.readers_for(place.device), ahead=2 * step):
            batch.append(row)
            timing.reading.append(row.milliseconds)
            if len(batch) == step or done + len(batch) == len(images):
                answered = _answered(module, batch, load, precisely, labels, top, timing)
                done += len(batch)
                batch.clear()
                yield AnsweredBatch(tuple(answered), tap.taken())
            report(done, len(images))


def _answered(
    module: torch.nn.Module,
    batch: Sequence[ReadImage[torch.Tensor]],
    load: Callable[[list[torch.Tensor]], torch.Tensor],
    precisely: Callable[[], AbstractContextManager[None]],
    labels: Sequence[str] | None,
    top: int,
    timing: Timing,
) -> list[Prediction | FailedImage]:
    inputs = [row.value for row in batch if row.value is not None]
    answered: Iterator[Prediction] = iter(())
    if inputs:
        x = load(inputs)
        with precisely():
            output, milliseconds = timed_forward(module, x)
        timing.batch(milliseconds, len(inputs))
        scores = class_scores(output, len(inputs))
        if labels is not None:
            check_labels(labels, scores.logits.shape[1], "The list of labels")
        names = [row.image.name for row in batch if row.value is not None]
        answered = iter(predictions(names, scores, labels, top, milliseconds / len(inputs)))
    return [FailedImage(row.image.name, row.says) if row.value is None else next(answered) for row in batch]


def _loader(place: Place, pace: Pace) -> Callable[[list[torch.Tensor]], torch.Tensor]:
    """From single inputs on the CPU to a batch (N, C, H, W) on the network's device.

    CUDA takes it from pinned memory, which it can fetch by itself while Python goes on: the next batch is decoded
    meanwhile, and the network's own first kernel waits for it on the same stream.
    """
    import torch

    layout = torch.channels_last if pace.channels_last else torch.contiguous_format
    dtype = torch.float32 if pace.precision else place.dtype

    def load(inputs: list[torch.Tensor]) -> torch.Tensor:
        batch = torch.stack(inputs)
        if place.device.type == "cuda":
            batch = batch.pin_memory()
        return batch.to(place.device, non_blocking=True).to(dtype, memory_format=layout)

    return load


def _precision(place: Place, pace: Pace) -> Callable[[], AbstractContextManager[None]]:
    """What the network runs under: autocast where another precision was asked for.

    Raises:
        InferenceError: this device can't compute in it.
    """
    import torch

    if not pace.precision:
        return nullcontext
    wanted = getattr(torch, pace.precision)
    try:
        torch.autocast(place.device.type, dtype=wanted)
    except (RuntimeError, ValueError) as error:
        raise InferenceError(
            f"{place.device.type} can't compute in {pace.precision} here ({visible(str(error), 80)}): leave it as loaded."
        ) from error
    return lambda: torch.autocast(place.device.type, dtype=wanted)
