"""Answer table: the answers as CSV, for a spreadsheet that must not run what a picture is called."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from ckpt_explorer.inference.prediction import FailedImage, Prediction
from ckpt_explorer.text import visible

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet compute a cell: OWASP, CSV Injection."""


def guarded(text: str) -> str:
    """`text` as a cell that a spreadsheet shows and does not compute: an apostrophe goes in front where needed."""
    shown = visible(text, 2000)
    return f"'{shown}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else shown


def answers_as_csv(
    answers: Sequence[Prediction | FailedImage],
    names: Sequence[str] | None = None,
    truth: Mapping[str, int] | None = None,
) -> str:
    """A line for each picture: its name, the answer's index, name and probability, the next ones, and what went wrong.

    With `truth` (class indices by picture name), also what it is and whether the answer is right.
    """

    def called(index: int) -> str:
        return guarded(names[index]) if names is not None and index < len(names) else ""

    places = max((len(row.top) for row in answers if isinstance(row, Prediction)), default=1)
    heads = ["image"]
    if truth is not None:
        heads += ["truth", "truth_name", "right"]
    for place in range(1, places + 1):
        number = "" if place == 1 else f"_{place}"
        heads += [f"class{number}", f"name{number}", f"probability{number}"]
    heads.append("error")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(heads)
    for row in answers:
        cells: list[str] = [guarded(row.image)]
        if truth is not None:
            wanted = truth.get(row.image)
            right = wanted is not None and isinstance(row, Prediction) and row.top[0].index == wanted
            cells += ["", "", ""] if wanted is None else [str(wanted), called(wanted), "yes" if right else "no"]
        top = row.top if isinstance(row, Prediction) else ()
        for score in top:
            probability = "" if score.probability is None else f"{score.probability:.6f}"
            cells += [str(score.index), called(score.index) or guarded(score.label or ""), probability]
        cells += [""] * (3 * (places - len(top)))
        cells.append("" if isinstance(row, Prediction) else guarded(row.says))
        writer.writerow(cells)
    return file.getvalue()
