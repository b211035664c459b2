"""Accuracy: who says what the pictures are, how many answers are right, what is confused, and the worst mistakes."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ckpt_explorer.errors import LabelsError
from ckpt_explorer.examples import facts
from ckpt_explorer.inference.judgement import Judgement, judge
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.inference.truth import Truth, folder_names, resolve, truth_from_bytes
from ckpt_explorer.text import plural, visible
from ckpt_explorer.ui import plain, session
from ckpt_explorer.ui.choices import TruthChoice
from ckpt_explorer.ui.predict_run import PredictRun
from ckpt_explorer.ui.session import Session, controlled
from ckpt_explorer.ui.status_colours import PAGES, mixed
from ckpt_explorer.ui.uploads import upload_field

IN_FIGURE = 60
"""Classes in the figure of the confusion; of more, only the pairs that are confused most are listed."""

CELLS = "#3161c4"
"""The colour of a cell with all pictures of its row; white on it, and its paler glazes, can be read on either page."""

NUMBERS_IN_CELLS = 20
PAIRS = 50
ROW = 35

Labels = tuple[str, ...] | None

_SPOKEN = {
    "folders": "The folders that they lie in",
    "example": "The example's own labels",
    "file": "A CSV or JSON file",
    "nobody": "Nobody",
}


def source_of(here: Session) -> str:
    """Who says what the pictures are: as chosen, else whoever can."""
    if here.truth.source:
        return here.truth.source
    if any("/" in name for name in here.images):
        return "folders"
    known = facts()["images"] if here.example is not None else {}
    return "example" if any(name in known for name in here.images) else "nobody"


def truth_of(here: Session, run: PredictRun, num_classes: int | None, labels: Labels) -> Truth | None:
    """The classes of the pictures, where somebody says them."""
    classes = num_classes or run.good[0].output_shape[-1]
    images: tuple[NamedImage, ...] = run.images
    source = source_of(here)
    key = ("truth", source, here.truth.file_name, len(here.truth.said), labels)
    if key not in run.shown:
        said = {
            "folders": lambda: folder_names(images),
            "example": lambda: {name: str(digit) for name, digit in facts()["images"].items()},
            "file": lambda: here.truth.said,
        }.get(source, dict)()
        run.shown[key] = resolve(said, images, classes, labels) if said else None
    found: Truth | None = run.shown[key]
    return found


def judged(run: PredictRun, truth: Truth | None, num_classes: int | None, names: Labels) -> Judgement | None:
    """The answers held against the truth; None where there is none for any of them."""
    if truth is None or not truth.classes:
        return None
    key = ("judgement", id(truth), len(run.answers), names)
    if key not in run.shown:
        run.shown[key] = judge(run.answers, truth.classes, num_classes or run.good[0].output_shape[-1], names)
    found: Judgement | None = run.shown[key]
    return found


def show(here: Session, truth: Truth | None, judgement: Judgement | None, names: Labels) -> None:
    """The choice of who says it; then the score, the confusion and the worst mistakes."""
    plain.heading("Accuracy")
    _choice(here)
    for note in truth.notes if truth is not None else ():
        plain.quiet(note)
    if judgement is None:
        plain.quiet(
            "Give the pictures in folders named by class, or a table (image,label), and this shows accuracy, confusion and the worst mistakes."
        )
        return
    with st.container(key="score"):
        among = "" if judgement.top5 is None else f" · among the first five {judgement.top5 / judgement.pictures:.1%}"
        st.text(f"{judgement.accuracy:.1%} right ({judgement.right:,} of {judgement.pictures:,}){among}")
    with st.container(key="confusion-and-classes"):
        left, right = st.columns([3, 2], gap="medium")
    with left:
        _confusion(judgement, names)
    with right:
        _per_class(judgement, names)
    _worst(judgement, names)


def _choice(here: Session) -> None:
    sources = [name for name in _SPOKEN if name != "example" or here.example is not None]

    def take(name: str, data: bytes) -> None:
        try:
            here.truth = TruthChoice("file", truth_from_bytes(data, name), name)
        except LabelsError as error:
            here.message = ("error", str(error))

    def choose(source: str) -> None:
        here.truth = TruthChoice(source, here.truth.said, here.truth.file_name)

    columns = st.columns([2, 3], vertical_alignment="top")
    columns[0].selectbox(
        "What the pictures are is said by",
        sources,
        format_func=lambda name: _SPOKEN[name],
        **controlled("truth-source", source_of(here), choose),
    )
    if source_of(here) == "file":
        with columns[1]:
            upload_field(here, "truth", "image,label in CSV, or JSON", take, bare=True)
            if here.truth.file_name:
                plain.quiet(f"{plural(len(here.truth.said), 'row')} from {visible(here.truth.file_name, 60)}")


def _called(index: int, names: Labels) -> str:
    return visible(names[index], 60) if names and index < len(names) else f"class {index}"


def _seen(judgement: Judgement) -> list[int]:
    """Classes that a picture is of, or was answered with."""
    counts = judgement.confusion.sum(axis=0) + judgement.confusion.sum(axis=1)
    return [index for index, count in enumerate(counts) if count]


def _confusion(judgement: Judgement, names: Labels) -> None:
    plain.heading("Confusion: a row is what it is, a column what was answered")
    classes = _seen(judgement)
    if len(classes) > IN_FIGURE:
        _pairs(judgement, names)
        return
    matrix = judgement.confusion[classes][:, classes]
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / totals.clip(min=1)
    ticks = [plain.in_plotly(_called(index, names)) for index in classes]
    unique = [
        f"{tick} ({index})" if ticks.count(tick) > 1 else tick for tick, index in zip(ticks, classes, strict=True)
    ]
    page = PAGES[st.context.theme.type == "dark"]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=unique,
            y=unique,
            customdata=matrix,
            text=[[str(cell) if cell else "" for cell in row] for row in matrix.tolist()],
            texttemplate="%{text}" if len(classes) <= NUMBERS_IN_CELLS else None,
            colorscale=[(share, mixed(CELLS, page, glaze)) for share, glaze in ((0, 0.04), (0.02, 0.25), (1, 1))],
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="is %{y}, answered %{x}: %{customdata} (%{z:.0%} of this row)<extra></extra>",
        )
    )
    side = 26 if len(classes) <= NUMBERS_IN_CELLS else 12
    figure.update_layout(
        height=130 + max(side * len(classes), 120),
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        yaxis={"autorange": "reversed", "automargin": True, "type": "category", "showgrid": False},
        xaxis={"automargin": True, "type": "category", "tickangle": -45, "showgrid": False},
    )
    with st.container(key="confusion-matrix"):
        st.plotly_chart(figure, key="confusion", config={"displayModeBar": False})


def _pairs(judgement: Judgement, names: Labels) -> None:
    cells = judgement.as_json()["confusion"]
    wrong = [cell for cell in cells if cell["truth"] != cell["answer"]][:PAIRS]
    table = pd.DataFrame(
        {
            "is": [_called(cell["truth"], names) for cell in wrong],
            "answered": [_called(cell["answer"], names) for cell in wrong],
            "pictures": [cell["pictures"] for cell in wrong],
        }
    )
    st.dataframe(table, hide_index=True, key="confused-pairs")


def _per_class(judgement: Judgement, names: Labels) -> None:
    plain.heading("By class, the worst first")
    rows = sorted(judgement.per_class.items(), key=lambda row: row[1][0] / row[1][1])
    table = pd.DataFrame(
        {
            "class name": [_called(index, names) for index, _ in rows],
            "right, share": [right / total for _, (right, total) in rows],
            "of": [total for _, (_, total) in rows],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        key="per-class",
        height=ROW * (min(len(table), 11) + 1) + 3,
        column_config={
            "right, share": st.column_config.ProgressColumn("right", min_value=0, max_value=1, format="percent")
        },
    )


def _worst(judgement: Judgement, names: Labels) -> None:
    plain.heading("Mistakes, the most confident first: a click on a row shows the picture")
    if not judgement.worst:
        plain.quiet("None.")
        return
    table = pd.DataFrame(
        {
            "picture": [visible(row.image) for row in judgement.worst],
            "is": [_called(row.truth, names) for row in judgement.worst],
            "answered": [_called(row.answer, names) for row in judgement.worst],
            "sure": [row.probability for row in judgement.worst],
        }
    )
    session.current().mistakes = tuple(row.image for row in judgement.worst)
    st.dataframe(
        table,
        hide_index=True,
        key="mistakes",
        on_select=_select,
        selection_mode="single-row",
        height=ROW * (min(len(table), 8) + 1) + 3,
        column_config={"sure": st.column_config.ProgressColumn("sure", min_value=0, max_value=1, format="percent")},
    )


def _select() -> None:
    here = session.current()
    chosen = session.selected_rows("mistakes")
    if chosen and chosen[0] < len(here.mistakes):
        here.shown_picture = here.mistakes[chosen[0]]
