"""predict on pictures: the answers, what they are judged as, and the files that were asked for beside them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.api import predict_stream, stages
from ckpt_explorer.cli.judging import given_truth, write_judgement
from ckpt_explorer.cli.output import warn, write_line, write_table
from ckpt_explorer.cli.written_pictures import write_heat_maps
from ckpt_explorer.errors import Diagnosis, InferenceError
from ckpt_explorer.evidence import trust
from ckpt_explorer.inference.against import Comparison, compare_answers
from ckpt_explorer.inference.answer_table import answers_as_csv
from ckpt_explorer.inference.collection import Collection
from ckpt_explorer.inference.features import check_format, write_features
from ckpt_explorer.inference.findings import findings
from ckpt_explorer.inference.judgement import TOP_FIVE, Judgement, judge
from ckpt_explorer.inference.pace import Pace
from ckpt_explorer.inference.prediction import FailedImage, Prediction
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.inference.timing import Timing
from ckpt_explorer.loading import LoadedModel, load
from ckpt_explorer.text import visible

if TYPE_CHECKING:
    import numpy as np


@dataclass
class Answered:
    """All that `predict` found out of the pictures; `names` are the classes as the answers call them."""

    rows: list[Prediction | FailedImage]
    pace: Pace
    timing: Timing
    names: Sequence[str] | None
    judgement: Judgement | None = None
    compared: Comparison | None = None
    found: tuple[Diagnosis, ...] = ()
    notes: list[str] = field(default_factory=list)
    files: dict[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """How many pictures could not be read."""
        return sum(isinstance(row, FailedImage) for row in self.rows)

    def as_json(self, top: int) -> dict[str, Any]:
        """What stands beside the evidence in the answer of `predict --json`."""
        shown = [replace(row, top=row.top[:top]) if isinstance(row, Prediction) else row for row in self.rows]
        return {
            "predictions": [row.as_json() for row in shown],
            "timing": {**self.pace.as_json(), **self.timing.as_json()},
            **({"accuracy": self.judgement.as_json(self.names)} if self.judgement is not None else {}),
            "diagnoses": [{"id": row.id, "says": row.says, "next": row.next} for row in self.found],
            "notes": self.notes,
            **self.files,
        }

    def warn(self) -> None:
        """What could not be read, to standard error."""
        for row in self.rows:
            if isinstance(row, FailedImage):
                warn(row.says)

    def write(self, steps: Preprocessing, top: int) -> None:
        """The same as text; what was left out goes to standard error."""
        for note in self.notes:
            warn(note)
        write_line(f"Preprocessing {steps}")
        for row in self.rows:
            if isinstance(row, Prediction):
                write_line(f"{row.image}  output {row.output_shape}  {row.milliseconds:.1f} ms")
                cells = (
                    (
                        f"{score.index}",
                        score.label or "",
                        "–" if score.probability is None else f"{score.probability:.4f}",
                    )
                    for score in row.top[:top]
                )
                write_table(cells, indent="    ")
        write_line(f"{self.timing.per_second:.1f} pictures a second with reading; {self.timing.says}")
        if self.judgement is not None:
            write_judgement(self.judgement, self.names)
        if self.compared is not None:
            write_line(self.compared.says)
            write_table(
                (
                    row.image,
                    f"{row.first.index} {row.first.label or ''}",
                    f"{row.second.index} {row.second.label or ''}",
                )
                for row in self.compared.differ[:20]
            )
        for diagnosis in self.found:
            write_line(f"! {diagnosis}")


def answer_images(
    arguments: Namespace,
    loaded: LoadedModel,
    collection: Collection,
    steps: Preprocessing,
    names: Sequence[str] | None,
    other: Alignment | None = None,
) -> Answered:
    """Send all pictures through the network, and through the `other` copy of it if there is one; judge, and write what
    was asked for.

    Raises:
        InferenceError: nothing could be answered, or a file can't be written.
    """
    pace = Pace(arguments.batch_size, arguments.precision, arguments.channels_last)
    classes = loaded.architecture.num_classes
    truth = given_truth(arguments.truth, collection.images, classes or 0, names)
    if arguments.features:
        check_format(Path(arguments.features))
    if arguments.stage or arguments.heatmap:
        stages(loaded, steps)  # a network without any is refused before the work
    answered = Answered([], pace, Timing(), names, notes=[*collection.notes, *(truth.notes if truth else ())])
    features: list[np.ndarray[Any, Any]] = []
    for batch in predict_stream(
        loaded,
        collection.images,
        preprocessing=steps,
        labels=names,
        top=max(arguments.top, TOP_FIVE if truth else 1),
        pace=pace,
        features=bool(arguments.features),
        timing=answered.timing,
    ):
        answered.rows += batch.answers
        if batch.features is not None:
            features.append(batch.features)
    good = [row for row in answered.rows if isinstance(row, Prediction)]
    if not good:
        raise InferenceError(" ".join(row.says for row in answered.rows[:1] if isinstance(row, FailedImage)))
    if truth is not None:
        answered.names = names or truth.names
        answered.judgement = judge(answered.rows, truth.classes, classes or good[0].output_shape[-1], answered.names)
    if other is not None:
        second = load(other, device=loaded.device, dtype=arguments.dtype, strict=arguments.strict)
        theirs = predict_stream(second, collection.images, preprocessing=steps, labels=names, top=1, pace=pace)
        rows = [row for batch in theirs for row in batch.answers]
        compared = compare_answers(answered.rows, rows, truth.classes if truth else None)
        answered.compared = compared
        answered.files["against"] = {
            "state_dict": other.state_dict.path,
            "verdict": str(other.verdict),
            "evidence": trust(second).as_json(),
            **compared.as_json(),
        }
    answered.found = findings(answered.rows, answered.judgement)
    _write_files(arguments, loaded, collection, steps, answered, features, truth.classes if truth else None)
    return answered


def _write_files(
    arguments: Namespace,
    loaded: LoadedModel,
    collection: Collection,
    steps: Preprocessing,
    answered: Answered,
    features: list[np.ndarray[Any, Any]],
    truth: Any,
) -> None:
    import numpy as np

    if arguments.features:
        names = [row.image for row in answered.rows if isinstance(row, Prediction)]
        rows = np.concatenate(features)
        write_features(Path(arguments.features), names, rows)
        answered.files["features"] = {"file": arguments.features, "pictures": len(names), "length": rows.shape[1]}
    if arguments.table:
        try:
            Path(arguments.table).write_text(answers_as_csv(answered.rows, answered.names, truth), "utf-8", newline="")
        except OSError as error:
            raise InferenceError(
                f"{visible(arguments.table, 120)} can't be written: {error.strerror or error}."
            ) from error
        answered.files["table"] = arguments.table
    if arguments.heatmap:
        answered.files["heat_maps"] = write_heat_maps(
            Path(arguments.heatmap), loaded, collection.images, answered.rows, steps, arguments.stage
        )
