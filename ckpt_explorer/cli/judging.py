"""predict --truth: how many answers are right, said and written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ckpt_explorer.cli.output import write_heading, write_line, write_table
from ckpt_explorer.errors import LabelsError
from ckpt_explorer.inference.judgement import Judgement
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.inference.truth import Truth, folder_names, resolve, truth_from_bytes
from ckpt_explorer.text import visible

FOLDERS = "folders"
SHOWN = 10


def given_truth(
    given: str | None, images: Sequence[NamedImage], num_classes: int, names: Sequence[str] | None
) -> Truth | None:
    """The truth of `--truth`; None without one.

    Raises:
        LabelsError: the file can't be read, or not one picture gets a class by it.
    """
    if given is None:
        return None
    if given == FOLDERS:
        said = folder_names(images)
        if not said:
            raise LabelsError(
                "The pictures lie in no folders whose names could be their classes: give --truth FILE.csv."
            )
    else:
        path = Path(given)
        try:
            said = truth_from_bytes(path.read_bytes(), path.name)
        except OSError as error:
            raise LabelsError(f"The truth file {visible(given)} can't be read: {error.strerror}.") from None
    truth = resolve(said, images, num_classes, names)
    if not truth.classes:
        raise LabelsError(
            f"Nobody of these pictures could be judged. {' '.join(truth.notes)}"
            if truth.notes
            else "The truth file names none of these pictures."
        )
    return truth


def write_judgement(judged: Judgement, names: Sequence[str] | None) -> None:
    """Accuracy, the classes that are worst, and the most confident mistakes, as text."""

    def called(index: int) -> str:
        return f"{index} {names[index]}" if names is not None else f"{index}"

    write_heading("Accuracy")
    top5 = "" if judged.top5 is None else f", among the first five {judged.top5 / judged.pictures:.1%}"
    write_line(f"{judged.right:,} of {judged.pictures:,} right: {judged.accuracy:.1%}{top5}")
    rows = sorted(judged.per_class.items(), key=lambda row: row[1][0] / row[1][1])
    write_table((called(index), f"{right:,} of {total:,}") for index, (right, total) in rows[:SHOWN])
    if judged.worst:
        write_heading("Mistakes, the most confident first")
        write_table(
            (
                mistake.image,
                f"is {called(mistake.truth)}",
                f"answered {called(mistake.answer)}",
                "–" if mistake.probability is None else f"{mistake.probability:.4f}",
            )
            for mistake in judged.worst[:SHOWN]
        )
