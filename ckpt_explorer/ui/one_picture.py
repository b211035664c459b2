"""One picture: its likeliest classes as bars, where the network looked, and which of the others are like it."""

from __future__ import annotations

import re

import plotly.graph_objects as go
import streamlit as st

from ckpt_explorer.api import stages, where_it_looked
from ckpt_explorer.errors import CheckpointExplorerError, ImageError
from ckpt_explorer.inference.features import nearest
from ckpt_explorer.inference.images import open_image
from ckpt_explorer.inference.prediction import ClassScore, Prediction
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.text import visible
from ckpt_explorer.ui import plain, session
from ckpt_explorer.ui.predict_run import PredictRun
from ckpt_explorer.ui.session import Session, controlled

CHOICES = 2000
"""Pictures in the menu; others are reached by the tables."""

ALIKE = 5
SMALL = 320
BARS = "#3b6fd4"

CAPTION = 44
"""Characters of a picture's name below it."""

Labels = tuple[str, ...] | None


def caption(name: str, letters: int = 13) -> str:
    """A picture's name with the folder that it lies in, for below it: broken where a word ends, its own end kept."""
    shown = "/".join(name.split("/")[-2:])
    if len(shown) > CAPTION:
        shown = f"{shown[: CAPTION // 2]}…{shown[-(CAPTION // 2 - 1) :]}"
    shown = visible(shown)
    lines = [""]
    for word in re.findall(r"[^/_\-\s]*[/_\-\s]?", shown):
        if lines[-1] and len(lines[-1]) + len(word) > letters:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def thumbnail(run: PredictRun, name: str) -> None:
    """A small one of the picture called `name`; what can't be read any more says why."""
    key = ("thumbnail", name)
    if key not in run.shown:
        source = next(image for image in run.images if image.name == name)
        try:
            picture = open_image(source.source, name)
            picture.thumbnail((SMALL, SMALL))
            run.shown[key] = picture
        except ImageError as error:
            run.shown[key] = str(error)
    if isinstance(run.shown[key], str):
        plain.quiet(run.shown[key])
    else:
        st.image(run.shown[key], width="stretch")


@st.fragment
def show(names: Labels) -> None:
    """The picture that was chosen, in the menu or in a table."""
    here = session.current()
    run = here.run
    if run is None or not run.good:
        return
    plain.heading("One picture")
    row = _chosen(here, run)
    _bars(row, names)
    _looked(here, run, row)
    _alike(run, row)


def _chosen(here: Session, run: PredictRun) -> Prediction:
    rows = run.good[:CHOICES]
    chosen = next((row for row in run.good if row.image == here.shown_picture), rows[0])
    if chosen not in rows:
        rows = [chosen, *rows]
    numbered = {f"{number}. {visible(row.image, 60)}": row.image for number, row in enumerate(rows, 1)}

    def choose(option: str) -> None:
        here.shown_picture = numbered[option]

    value = next(option for option, name in numbered.items() if name == chosen.image)
    st.selectbox("Picture", list(numbered), label_visibility="collapsed", **controlled("bars-picture", value, choose))
    return chosen


def _called(score: ClassScore, names: Labels) -> str:
    return visible(names[score.index], 60) if names and score.index < len(names) else f"class {score.index}"


def _bars(row: Prediction, names: Labels) -> None:
    scores = list(reversed(row.top))
    figure = go.Figure(
        go.Bar(
            x=[score.probability or 0.0 for score in scores],
            y=[f"{plain.in_plotly(_called(score, names))} ({score.index})" for score in scores],
            text=["–" if score.probability is None else f"{score.probability:.1%}" for score in scores],
            orientation="h",
            marker_color=BARS,
            hovertemplate="%{y}: %{x:.4f}<extra></extra>",
        )
    )
    figure.update_layout(
        height=44 + 30 * len(scores),
        margin={"l": 8, "r": 8, "t": 4, "b": 24},
        xaxis={"range": [0, 1.12], "tickformat": ".0%"},
        yaxis={"automargin": True},
    )
    st.plotly_chart(figure, key="bars", config={"displayModeBar": False})


def _looked(here: Session, run: PredictRun, row: Prediction) -> None:
    """The picture with the heat map of the answered class over it, and the stage that it is of."""
    if here.loaded is None:
        return
    steps = _steps_of(run)
    try:
        if "stages" not in run.shown:
            run.shown["stages"] = stages(here.loaded, steps)
        found = run.shown["stages"]
        stage = here.stage if here.stage in found else found[-1]
        key = ("heat map", row.image, stage)
        if key not in run.shown:
            image = next(image for image in run.images if image.name == row.image)
            heat, shown = where_it_looked(
                here.loaded, image, preprocessing=steps, class_index=row.top[0].index, stage=stage
            )
            run.shown[key] = (heat.says, shown)
    except CheckpointExplorerError as error:
        plain.quiet(str(error))
        return
    said, shown = run.shown[key]
    st.selectbox(
        "Where it looked, at the stage",
        found,
        **controlled("stage", stage, lambda value: setattr(here, "stage", value)),
    )
    with st.container(key="where-it-looked"):
        st.image(shown, width=min(SMALL, max(shown.width, 160)))
    plain.quiet(said)


def _steps_of(run: PredictRun) -> Preprocessing | None:
    wanted = run.wanted
    return (
        next((part for part in wanted if isinstance(part, Preprocessing)), None) if isinstance(wanted, tuple) else None
    )


def _alike(run: PredictRun, row: Prediction) -> None:
    """The nearest of the user's own pictures, by what the network knows before its last layer."""
    import numpy as np

    if not run.features or len(run.good) < 2:
        return
    rows = run.good
    if "features" not in run.shown or len(run.shown["features"]) != sum(map(len, run.features)):
        run.shown["features"] = np.concatenate(run.features)
    features = run.shown["features"]
    position = rows.index(row)
    if position >= len(features):
        plain.quiet("Of so many pictures the features of the first are kept, and this one is not among them.")
        return
    plain.heading("Most alike")
    with st.container(horizontal=True, gap="small", key="alike"):
        for number, (other, likeness) in enumerate(nearest(features, position, ALIKE)):
            with st.container(key=f"alike-{number}", width=92):
                thumbnail(run, rows[other].image)
                plain.quiet(f"{likeness:.3f}\n{caption(rows[other].image)}")
