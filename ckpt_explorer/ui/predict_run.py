"""One run of all pictures through the network, in a thread of its own, and what there is of it so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.api import predict_stream
from ckpt_explorer.errors import InferenceError
from ckpt_explorer.inference.features import head_path
from ckpt_explorer.inference.pace import Pace
from ckpt_explorer.inference.prediction import FailedImage, NamedImage, Prediction
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.inference.timing import Timing
from ckpt_explorer.loading import LoadedModel, load
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

    def begin(self, network: Callable[[], LoadedModel], steps: Preprocessing, features: bool = True) -> None:
        """Answer what is not answered yet; `network` is asked for in the thread, and may have to be loaded there."""
        self.stopped = False
        self._again = lambda: self.begin(network, steps, features)
        rest = self.images[len(self.answers) :]
        self.timing = Timing()
        self.job = Job(_work(network, rest, steps, self, features))

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


@dataclass(eq=False)
class Against:
    """Another copy of the loaded network beside it: `copies` are those of the file, by name, `chosen` is to be compared.

    `loaded` is the chosen one once it was asked for, and `run` holds its answers to the pictures of another run.
    """

    copies: dict[str, Alignment]
    chosen: str | None = None
    loaded: LoadedModel | None = None
    run: PredictRun | None = None
    said: str = ""

    def choose(self, name: str | None) -> None:
        """Compare with another one, or with none; nothing is computed by it."""
        if name != self.chosen:
            self.stop()
            self.chosen, self.loaded, self.run, self.said = name, None, None, ""

    def begin(self, first: PredictRun, loaded: LoadedModel, steps: Preprocessing) -> None:
        """Answer the pictures of `first`, as it does, with the chosen copy."""
        assert self.chosen is not None
        alignment, self.said = self.copies[self.chosen], ""

        def network() -> LoadedModel:
            if self.loaded is None:
                self.loaded = load(alignment, device=loaded.device, dtype=loaded.dtype, strict=False)
            return self.loaded

        self.run = PredictRun(first.wanted, first.images, first.pace)
        self.run.begin(network, steps, features=False)

    def stop(self) -> None:
        """End the run, if it goes on."""
        if self.run is not None:
            self.run.stop()


def _work(
    network: Callable[[], LoadedModel],
    images: tuple[NamedImage, ...],
    steps: Preprocessing,
    run: PredictRun,
    features: bool,
) -> Callable[[Callable[[int, int], None]], bool]:
    def work(progress: Callable[[int, int], None]) -> bool:
        loaded = network()
        has_head = features and head_path(loaded.architecture.head) is not None
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
