"""One run of all pictures through the network, in a thread of its own, and what there is of it so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ckpt_explorer.api import predict_stream
from ckpt_explorer.errors import InferenceError
from ckpt_explorer.inference.features import head_path
from ckpt_explorer.inference.pace import Pace
from ckpt_explorer.inference.prediction import FailedImage, NamedImage, Prediction
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.inference.timing import Timing
from ckpt_explorer.loading import LoadedModel
from ckpt_explorer.ui.job import Job

if TYPE_CHECKING:
    import numpy as np

AT_ONCE = 0.7
"""Seconds that a page waits for the answers before it shows a bar instead."""

TOP = 5
MAX_FEATURES = 2**26
"""Numbers of features that are kept for finding like pictures: 256 MiB."""


@dataclass(eq=False)
class PredictRun:
    """Answers as they come. `wanted` says what they are for, `images` are all that are to be answered, in order.

    `features` (N, D), batch by batch, are of the answered pictures alone. `shown` keeps small pictures and heat maps that
    the page has made.
    """

    wanted: object
    images: tuple[NamedImage, ...]
    pace: Pace
    answers: list[Prediction | FailedImage] = field(default_factory=list)
    features: list[np.ndarray[Any, Any]] = field(default_factory=list)
    timing: Timing = field(default_factory=Timing)
    shown: dict[object, Any] = field(default_factory=dict)
    stopped: bool = False
    collected: bool = False
    error: InferenceError | None = None
    _again: Callable[[], None] | None = None
    job: Job[bool] | None = None

    @property
    def good(self) -> list[Prediction]:
        """The pictures that were answered."""
        return [row for row in self.answers if isinstance(row, Prediction)]

    @property
    def failed(self) -> list[FailedImage]:
        """The pictures that could not be read."""
        return [row for row in self.answers if isinstance(row, FailedImage)]

    @property
    def is_running(self) -> bool:
        """Whether its thread goes on and is wanted."""
        return self.job is not None and not self.stopped and not self.job.finished.is_set()

    def begin(self, loaded: LoadedModel, steps: Preprocessing) -> None:
        """Answer what is not answered yet."""
        self.stopped = False
        self._again = lambda: self.begin(loaded, steps)
        rest = self.images[len(self.answers) :]
        self.timing = Timing()
        self.job = Job(_work(loaded, rest, steps, self))

    def stop(self) -> None:
        """End within the batch; what is answered stays."""
        self.stopped = True
        if self.job is not None:
            self.job.stop()

    def go_on(self) -> None:
        """Answer the rest, after a stop."""
        if self._again is not None:
            if self.job is not None:
                self.job.finished.wait(60)  # what was in the network when it was stopped still comes out
            self._again()


def _work(
    loaded: LoadedModel, images: tuple[NamedImage, ...], steps: Preprocessing, run: PredictRun
) -> Callable[[Callable[[int, int], None]], bool]:
    has_head = head_path(loaded.architecture.head) is not None

    def work(progress: Callable[[int, int], None]) -> bool:
        kept = 0
        for batch in predict_stream(
            loaded,
            images,
            preprocessing=steps,
            top=TOP,
            pace=run.pace,
            features=has_head,
            timing=run.timing,
            progress=progress,
        ):
            if batch.features is not None and kept + batch.features.size <= MAX_FEATURES:
                run.features.append(batch.features)
                kept += batch.features.size
            run.answers += batch.answers
        return True

    return work
