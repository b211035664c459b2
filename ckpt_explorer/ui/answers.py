"""The network's answers: what they are worth, a card a picture, a table of all, and what to take home."""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from ckpt_explorer.api import predict_random
from ckpt_explorer.errors import CheckpointExplorerError, InferenceError
from ckpt_explorer.evidence import trust
from ckpt_explorer.inference.answer_table import answers_as_csv
from ckpt_explorer.inference.findings import findings
from ckpt_explorer.inference.judgement import Judgement
from ckpt_explorer.inference.prediction import ClassScore, NamedImage, Prediction
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.inference.truth import Truth
from ckpt_explorer.loading import LoadedModel
from ckpt_explorer.text import plural, visible
from ckpt_explorer.ui import accuracy, against, evidence, notes, one_picture, plain, predict_run, session
from ckpt_explorer.ui.choices import LabelsChoice
from ckpt_explorer.ui.predict_run import PredictRun
from ckpt_explorer.ui.session import Session

CARDS = 10
DOUBTS = 3
"""Doubts that stand above the answers."""

FAILURES = 5
ORDER = ("picture", "right", "is", "name", "class", "probability", "second")
"""The columns of all answers, the first the last to be out of sight."""

ROW = 35

Labels = tuple[str, ...] | None


def trust_banner(here: Session, loaded: LoadedModel, most: int = DOUBTS) -> None:
    """What an answer of this network is worth, and the first `most` doubts; it stands above every answer."""
    judged = trust(loaded)
    found = here.verification
    doubted = len(found.doubts) if found else 0
    if doubted:
        they = "it is" if doubted == 1 else "they are"
        plain.say(
            f"The evidence speaks against this network, with {plural(doubted, 'doubt')}: until {they} explained, no answer can be trusted.",
            "error",
            key="trust-doubted",
        )
    elif judged.level == "answers":
        plain.say(
            "Every tensor of the network comes from the file, and its BatchNorm statistics were trained: answers can be trusted as far as the preprocessing and the class names are those of the training.",
            "good",
            key="trust",
        )
    for number, sentence in enumerate(judged.says):
        plain.say(sentence, "error" if judged.level == "nothing" else "warning", key=f"trust-{number}")
    if found is not None:
        evidence.doubts(found, most)


def show(here: Session, loaded: LoadedModel, steps: Preprocessing, labels: Labels) -> None:
    """The answers for the pictures that are there; without any, the how-to's own check."""
    plain.heading("Answers")
    if not here.images:
        _without_pictures(loaded, steps)
        return
    run = _run(here, loaded, steps)
    if run.is_running:
        _watch()
        return
    if not _settled(here, run):
        return
    _failures(run)
    if not run.good:
        return
    truth = accuracy.truth_of(here, run, loaded.architecture.num_classes, labels)
    names = labels or (truth.names if truth is not None else None)
    judged = accuracy.judged(run, truth, loaded.architecture.num_classes, names)
    _summary(here, loaded, run, judged)
    _findings(run, judged, names)
    _cards(run, names)
    with st.container(key="all-and-one"):
        left, right = st.columns([3, 2], gap="medium")
    with left:
        _table(run, names, truth)
        _downloads(run, names, truth, judged)
    with right:
        one_picture.show(names)
    accuracy.show(here, truth, judged, names)
    against.show(here, steps, truth, names)


def _without_pictures(loaded: LoadedModel, steps: Preprocessing) -> None:
    plain.quiet(
        "No picture yet. Drop some above, or a zip: with a folder for each class (cat/1.png) you also get the accuracy, the confusion "
        "matrix and the worst mistakes. Of every picture you see its likeliest classes, where the network looked, and which of your others are like it."
    )
    plain.quiet("Until then, the check that how-tos end with:")
    try:
        plain.say(predict_random(loaded, steps.size).says, "note", key="shape-check")
    except CheckpointExplorerError as error:
        plain.say(str(error), "error", key="shape-check")


def _run(here: Session, loaded: LoadedModel, steps: Preprocessing) -> PredictRun:
    """The run for what is chosen, begun where there is none."""
    wanted = (here.load_version, steps, here.pictures_version, here.pace)
    if here.run is None or here.run.wanted != wanted:
        if here.run is not None:
            here.run.stop()
        images = tuple(NamedImage(name, source) for name, source in here.images.items())
        here.run = PredictRun(wanted, images, here.pace)
        here.run.begin(lambda: loaded, steps)
        assert here.run.job is not None
        here.run.job.ends_soon(predict_run.AT_ONCE, predict_run.AT_ONCE)
    return here.run


@st.fragment(run_every=0.4)
def _watch() -> None:
    """The bar and the stop button, while a run goes on; after it the page runs again with what came of it."""
    here = session.current()
    run = here.run
    if run is None or not run.is_running:
        here.say_again()
        st.rerun()
    done = len(run.answers)
    with st.container(key="classifying", border=True):
        speed = f" · {run.timing.per_second:,.1f} a second" if run.timing.pictures else ""
        st.progress(done / len(run.images), f"{done:,} of {plural(len(run.images), 'picture')}{speed}")
        st.button("Stop", key="stop-classifying", on_click=_stop)


def _stop() -> None:
    run = session.current().run
    if run is not None:
        run.stop()


def _settled(here: Session, run: PredictRun) -> bool:
    """Whether a run that does not go on has answers; says how it ended where that was not by itself."""
    assert run.job is not None
    if run.stopped:
        plain.say(
            f"Stopped after {len(run.answers):,} of {plural(len(run.images), 'picture')}: what is answered is shown.",
            "note",
            key="stopped",
        )
        st.button("Go on", key="classify", type="primary", on_click=_go_on)
        return bool(run.answers)
    try:
        if run.error is None and not run.collected:
            run.collected = run.job.collect()
            here.timings[run.pace] = run.timing.as_json()
    except InferenceError as error:
        run.error = error
    if run.error is not None:
        plain.say(str(run.error), "error", key="predict")
    return run.error is None


def _go_on() -> None:
    run = session.current().run
    if run is not None:
        run.go_on()


def _failures(run: PredictRun) -> None:
    """A box for each picture that could not be read; of many, the rest in a list."""
    for number, row in enumerate(run.failed[:FAILURES]):
        plain.say(row.says, "error", key=f"picture-{number}")
    rest = run.failed[FAILURES:]
    if rest:
        with st.expander(f"{len(rest):,} more could not be read", key="failures"):
            st.dataframe(pd.DataFrame({"why": [visible(row.says) for row in rest]}), hide_index=True, key="failed")


def _summary(here: Session, loaded: LoadedModel, run: PredictRun, judged: Judgement | None) -> None:
    good = run.good
    milliseconds = sum(row.milliseconds for row in good) / len(good)
    plain.quiet(
        f"{plural(len(good), 'picture')} · output shape {good[0].output_shape} a picture · {milliseconds:.1f} ms a picture on {loaded.device} · "
        f"{run.timing.per_second:,.1f} a second with reading · {run.timing.says}"
    )
    if judged is not None:
        held_out = "held-out " if here.example is not None and accuracy.source_of(here) == "example" else ""
        plain.quiet(f"{judged.right:,} of {plural(judged.pictures, f'{held_out}picture')} right")
    for note in dict.fromkeys(note for row in good for note in row.notes):
        plain.quiet(note)


def _findings(run: PredictRun, judged: Judgement | None, names: Labels) -> None:
    notes.show(findings(run.answers, judged), "finding")
    if judged is not None and judged.order is not None and names is not None:
        renamed = judged.order.renamed(names)
        st.button("Take this order", key="take-order", type="primary", on_click=_take_order, args=(renamed,))


def _take_order(names: tuple[str, ...]) -> None:
    session.current().labels = LabelsChoice("file", names, "the order that the pictures speak for")


def called(score: ClassScore, names: Labels) -> str:
    """The class's name, or its number where it has none."""
    return visible(names[score.index], 60) if names and score.index < len(names) else f"class {score.index}"


def percent(score: ClassScore) -> str:
    """The probability as a person reads it."""
    return "–" if score.probability is None else f"{score.probability:.1%}"


def _cards(run: PredictRun, names: Labels) -> None:
    rows = run.good[:CARDS]
    with st.container(key="cards", horizontal=True, gap="small"):
        for number, row in enumerate(rows):
            with st.container(key=f"answer-{number}", width=92):
                one_picture.thumbnail(run, row.image)
                st.text(f"{called(row.top[0], names)}  {percent(row.top[0])}")
                plain.quiet(one_picture.caption(row.image))
    if len(run.good) > CARDS:
        plain.quiet(f"The first {CARDS} of {len(run.good):,}; all are in the table.")


def _table(run: PredictRun, names: Labels, truth: Truth | None) -> None:
    plain.heading("All: a click on a row shows the picture")
    rows: list[Prediction] = run.good
    columns: dict[str, list[object]] = {
        "picture": [visible(row.image) for row in rows],
        "class": [row.top[0].index for row in rows],
        "name": [called(row.top[0], names) for row in rows],
        "probability": [row.top[0].probability for row in rows],
        "second": [f"{called(row.top[1], names)} {percent(row.top[1])}" if len(row.top) > 1 else "" for row in rows],
    }
    if truth is not None:
        wanted = [truth.classes.get(row.image) for row in rows]
        columns["is"] = [
            "" if index is None else visible(names[index], 60) if names else f"class {index}" for index in wanted
        ]
        columns["right"] = [
            "" if index is None else "✓" if index == row.top[0].index else "✕"
            for index, row in zip(wanted, rows, strict=True)
        ]
    st.dataframe(
        pd.DataFrame(columns),
        hide_index=True,
        key="answers",
        on_select=_select,
        selection_mode="single-row",
        height=ROW * (min(len(rows), 12) + 1) + 3,
        column_order=[column for column in ORDER if column in columns and (names or column != "name")],
        column_config={
            "probability": st.column_config.ProgressColumn(
                "probability", min_value=0, max_value=1, format="percent", width=130
            ),
            "name": st.column_config.TextColumn("answer"),
            "class": st.column_config.NumberColumn("class", width=60),
            "right": st.column_config.TextColumn("right", width=50),
        },
    )


def _select() -> None:
    here = session.current()
    chosen = session.selected_rows("answers")
    if chosen and here.run is not None and chosen[0] < len(here.run.good):
        here.shown_picture = here.run.good[chosen[0]].image


def _downloads(run: PredictRun, names: Labels, truth: Truth | None, judged: Judgement | None) -> None:
    key = ("files", len(run.answers), names, id(truth))
    if key not in run.shown:
        document = {
            "predictions": [row.as_json() for row in run.answers],
            "labels": list(names) if names else None,
            "timing": {**run.pace.as_json(), **run.timing.as_json()},
            "accuracy": judged.as_json(names) if judged is not None else None,
        }
        table = answers_as_csv(run.answers, names, truth.classes if truth is not None else None)
        run.shown[key] = (table.encode(), json.dumps(document, ensure_ascii=True))
    table, text = run.shown[key]
    with st.container(horizontal=True, key="downloads"):
        st.download_button(
            "Download as CSV",
            table,
            "answers.csv",
            "text/csv",
            key="download-answers",
            on_click="ignore",
        )
        st.download_button(
            "Download as JSON",
            text,
            "answers.json",
            "application/json",
            key="download-json",
            on_click="ignore",
        )
