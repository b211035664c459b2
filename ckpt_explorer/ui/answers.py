"""The network's answers: what they are worth, a card a picture, a table of all, and one picture's classes as bars."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ckpt_explorer.api import predict, predict_random
from ckpt_explorer.errors import CheckpointExplorerError, ImageError
from ckpt_explorer.evidence import trust
from ckpt_explorer.examples import facts, right_answer
from ckpt_explorer.inference.images import open_image
from ckpt_explorer.inference.prediction import ClassScore, FailedImage, NamedImage, Prediction
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.loading import LoadedModel
from ckpt_explorer.text import plural, visible
from ckpt_explorer.ui import plain
from ckpt_explorer.ui.session import Session

CARDS = 20
A_ROW = 5
TOP = 5
ROW = 35

Labels = tuple[str, ...] | None


def trust_banner(loaded: LoadedModel) -> None:
    """What an answer of this network is worth; it stands above every answer."""
    judged = trust(loaded)
    if judged.level == "answers":
        plain.say(
            "Every tensor of the network comes from the file, and its BatchNorm statistics were trained: answers can be trusted as far as the preprocessing and the class names are those of the training.",
            "good",
            key="trust",
        )
    for number, sentence in enumerate(judged.says):
        plain.say(sentence, "error" if judged.level == "nothing" else "warning", key=f"trust-{number}")


def show(here: Session, loaded: LoadedModel, steps: Preprocessing, labels: Labels) -> None:
    """The answers for the pictures that are there; without any, the how-to's own check."""
    plain.heading("Answers")
    if not here.images:
        _without_pictures(loaded, steps)
        return
    wanted = (here.load_version, steps, here.pictures_version)
    if here.answers_for != wanted and not _classify(here, loaded, steps, wanted):
        return
    rows = here.answers or []
    good = [row for row in rows if isinstance(row, Prediction)]
    for number, row in enumerate(row for row in rows if isinstance(row, FailedImage)):
        plain.say(row.says, "error", key=f"picture-{number}")
    if not good:
        return
    _summary(here, loaded, good)
    _cards(here, good[:CARDS], labels)
    if len(good) > CARDS:
        plain.quiet(f"The first {CARDS} of {len(good):,}; all are in the table.")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _table(good, labels)
    with right:
        _bars(good, labels)


def _without_pictures(loaded: LoadedModel, steps: Preprocessing) -> None:
    plain.quiet("No picture yet: drop some above. Until then, the check that how-tos end with:")
    try:
        plain.say(predict_random(loaded, steps.size).says, "note", key="shape-check")
    except CheckpointExplorerError as error:
        plain.say(str(error), "error", key="shape-check")


def _classify(here: Session, loaded: LoadedModel, steps: Preprocessing, wanted: object) -> bool:
    """Classify all pictures, with progress and a button that stops it; False where there is no answer."""
    if here.stopped_for == wanted:
        plain.quiet("Stopped.")
        if not st.button("Classify", key="classify", type="primary"):
            return False
        here.stopped_for = None

    def stop() -> None:
        here.stopped_for = wanted

    place = st.empty()
    with place.container():
        st.button("Stop", key="stop-classifying", on_click=stop)
        bar = st.progress(0.0, "Reading pictures")

    def progress(done: int, of: int) -> None:
        bar.progress(done / of, f"{done:,} of {of:,} pictures")

    images = [NamedImage(name, data) for name, data in here.images.items()]
    try:
        here.answers = predict(loaded, images, preprocessing=steps, labels=None, top=TOP, progress=progress)
    except CheckpointExplorerError as error:
        here.answers = None
        plain.say(str(error), "error", key="predict")
        return False
    finally:
        place.empty()
    here.answers_for = wanted
    return True


def _summary(here: Session, loaded: LoadedModel, good: list[Prediction]) -> None:
    first = good[0]
    milliseconds = sum(row.milliseconds for row in good) / len(good)
    plain.quiet(
        f"{plural(len(good), 'picture')} · output shape {first.output_shape} a picture · {milliseconds:.1f} ms a picture on {loaded.device}"
    )
    known = facts()["images"] if here.example else {}
    judged = [row for row in good if row.image in known]
    if judged:
        right = sum(row.top[0].index == right_answer(row.image) for row in judged)
        plain.quiet(f"{right:,} of {plural(len(judged), 'held-out picture')} right")
    for note in dict.fromkeys(note for row in good for note in row.notes):
        plain.quiet(note)


def _called(score: ClassScore, labels: Labels) -> str:
    """The class's name, or its number where it has none."""
    return visible(labels[score.index], 60) if labels and score.index < len(labels) else f"class {score.index}"


def _percent(score: ClassScore) -> str:
    return "–" if score.probability is None else f"{score.probability:.1%}"


def _cards(here: Session, rows: list[Prediction], labels: Labels) -> None:
    for start in range(0, len(rows), A_ROW):
        for column, (number, row) in zip(
            st.columns(A_ROW), enumerate(rows[start : start + A_ROW], start), strict=False
        ):
            with column, st.container(key=f"answer-{number}", border=True):
                _thumbnail(here, row.image)
                best = row.top[0]
                st.text(f"{_called(best, labels)}  {_percent(best)}")
                plain.quiet(visible(row.image, 40))


def _thumbnail(here: Session, name: str) -> None:
    try:
        picture = open_image(here.images[name], name)
    except ImageError as error:
        plain.quiet(str(error))
        return
    picture.thumbnail((320, 320))
    st.image(picture, width=160)


def _table(rows: list[Prediction], labels: Labels) -> None:
    plain.heading("All")
    table = pd.DataFrame(
        {
            "picture": [visible(row.image) for row in rows],
            "class": [row.top[0].index for row in rows],
            "name": [_called(row.top[0], labels) for row in rows],
            "probability": [row.top[0].probability for row in rows],
            "second": [
                f"{_called(row.top[1], labels)} {_percent(row.top[1])}" if len(row.top) > 1 else "" for row in rows
            ],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        key="answers",
        height=ROW * (min(len(table), 10) + 1) + 3,
        column_config={
            "probability": st.column_config.ProgressColumn("probability", min_value=0, max_value=1, format="percent")
        },
    )
    st.download_button(
        "Download as CSV",
        table.to_csv(index=False).encode(),
        "answers.csv",
        "text/csv",
        key="download-answers",
        on_click="ignore",
    )


@st.fragment
def _bars(rows: list[Prediction], labels: Labels) -> None:
    plain.heading("One picture's classes")
    names = {f"{number + 1}. {visible(row.image, 60)}": row for number, row in enumerate(rows)}
    row = names[st.selectbox("Picture", list(names), key="bars-picture", label_visibility="collapsed")]
    scores = list(reversed(row.top))
    figure = go.Figure(
        go.Bar(
            x=[score.probability or 0.0 for score in scores],
            y=[f"{plain.in_plotly(_called(score, labels))} ({score.index})" for score in scores],
            text=[_percent(score) for score in scores],
            orientation="h",
            marker_color="#1a56db",
            hovertemplate="%{y}: %{x:.4f}<extra></extra>",
        )
    )
    figure.update_layout(
        height=60 + 38 * len(scores),
        margin={"l": 8, "r": 8, "t": 8, "b": 30},
        xaxis={"range": [0, 1.08], "tickformat": ".0%", "title": "probability"},
        yaxis={"automargin": True},
    )
    st.plotly_chart(figure, key="bars", config={"displayModeBar": False})
