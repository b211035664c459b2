"""All answers of a bare module in one list: what most tests of prediction look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ckpt_explorer.inference.batches import predict_batches
from ckpt_explorer.inference.pace import Pace
from ckpt_explorer.inference.prediction import FailedImage, NamedImage, Prediction
from ckpt_explorer.inference.preprocessing import Preprocessing


def predict(
    module: torch.nn.Module,
    images: Sequence[NamedImage],
    preprocessing: Preprocessing,
    *,
    channels: int,
    labels: Sequence[str] | None = None,
    top: int = 5,
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> list[Prediction | FailedImage]:
    """All answers of `predict_batches` in one list, in the order of `images`. Raises what that raises."""
    batches = predict_batches(
        module,
        images,
        preprocessing,
        channels=channels,
        labels=labels,
        top=top,
        pace=Pace(batch_size),
        progress=progress,
    )
    return [answer for batch in batches for answer in batch.answers]
