"""Another copy of the network in the same file (EMA or raw, student or teacher), side by side on the same pictures."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.evidence import trust
from ckpt_explorer.inference.against import Comparison, compare_answers, fitting_copies, side_by_side
from ckpt_explorer.inference.prediction import ClassScore, Prediction
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.inference.truth import Truth
from ckpt_explorer.text import plural, visible
from ckpt_explorer.ui import journey, one_picture, plain, predict_run, session
from ckpt_explorer.ui.predict_run import Against, PredictRun
from ckpt_explorer.ui.session import Session, controlled

NOBODY = "Nothing"
CARDS = 5
ROW = 35

Labels = tuple[str, ...] | None
Pairs = list[tuple[Prediction, Prediction]]


def show(here: Session, steps: Preprocessing, truth: Truth | None, names: Labels) -> None:
    """The choice of a copy, and what came of the comparison; nothing where the file holds the network once."""
    run, loaded = here.run, here.loaded
    if run is None or loaded is None:
        return
    other = _copies(here)
    if not other.copies:
        return
    plain.heading("Another copy of this network is in the file: both on the same pictures")
    _choice(other)
    if other.chosen is None:
        plain.quiet(
            "Averaged and raw weights, or student and teacher, can differ in accuracy: choose one to see both side by side."
        )
        return
    second = other.run
    if second is None or second.wanted != run.wanted:
        ready = not run.stopped
        if st.button(
            f"Answer {plural(len(run.images), 'picture')} with it", key="compare", type="primary", disabled=not ready
        ):
            other.begin(run, loaded, steps)
            assert other.run is not None and other.run.job is not None
            other.run.job.ends_soon(predict_run.AT_ONCE, predict_run.AT_ONCE)
            st.rerun()
        return
    if second.is_running:
        _watch()
        return
    if _settled(other, second):
        _compared(here, other, run, second, truth, names)


def _copies(here: Session) -> Against:
    """The copies of the file that fit; held against the network once while it is loaded and the pictures stay."""
    if here.against is None:
        assert here.checkpoint is not None
        now = journey.aligned(here)
        here.against = Against(fitting_copies(here.checkpoint, now.alignment, now.suggestion.alternatives))
    return here.against


def _called(name: str | None) -> str:
    if name is None:
        return NOBODY
    return visible(name, 60) or "the copy that is proposed first"


def _choice(other: Against) -> None:
    options = [None, *other.copies]
    columns = st.columns([2, 3], vertical_alignment="bottom")
    columns[0].selectbox(
        "Compare with",
        range(len(options)),
        format_func=lambda at: _called(options[at]),
        **controlled("compare-with", options.index(other.chosen), lambda at: other.choose(options[at])),
    )


@st.fragment(run_every=0.4)
def _watch() -> None:
    """The bar and the stop button, while the other copy answers."""
    here = session.current()
    run = here.against.run if here.against is not None else None
    if run is None or not run.is_running:
        here.say_again()
        st.rerun()
    done = len(run.answers)
    with st.container(key="comparing", border=True):
        st.progress(done / len(run.images), f"The other copy: {done:,} of {plural(len(run.images), 'picture')}")
        st.button("Stop", key="stop-comparing", on_click=_stop)


def _stop() -> None:
    other = session.current().against
    if other is not None:
        other.stop()


def _go_on() -> None:
    other = session.current().against
    if other is not None and other.run is not None:
        other.run.go_on()


def _settled(other: Against, second: PredictRun) -> bool:
    """Whether there are answers of both; says how the run ended where that was not by itself."""
    assert second.job is not None
    if second.stopped:
        plain.say(
            f"Stopped after {len(second.answers):,} of {plural(len(second.images), 'picture')}: those are compared.",
            "note",
            key="compare-stopped",
        )
        st.button("Go on", key="compare-on", on_click=_go_on)
        return bool(second.answers)
    try:
        if not other.said and not second.collected:
            second.collected = second.job.collect()
    except CheckpointExplorerError as error:
        other.said = str(error)
    if other.said:
        plain.say(other.said, "error", key="compare")
    return not other.said


def _compared(
    here: Session, other: Against, first: PredictRun, second: PredictRun, truth: Truth | None, names: Labels
) -> None:
    done = min(len(first.answers), len(second.answers))
    one, two = first.answers[:done], second.answers[:done]
    pairs = side_by_side(one, two)
    if not pairs:
        plain.quiet("No picture could be read by both.")
        return
    ours, theirs = f"loaded: {_loaded_name(here)}", f"other: {_called(other.chosen)}"
    compared = compare_answers(one, two, truth.classes if truth is not None else None)
    plain.say(_says(compared, ours, theirs), "note", key="compared")
    if other.loaded is not None:
        for number, sentence in enumerate(trust(other.loaded).says):
            plain.say(f"Of the other copy: {sentence}", "warning", key=f"compare-trust-{number}")
    _cards(first, pairs, compared, names)
    _table(pairs, truth, names, ours, theirs)


def _loaded_name(here: Session) -> str:
    path = here.checkpoint.selected if here.checkpoint is not None else ""
    return visible(path, 60) or "the top of the file"


def _says(compared: Comparison, ours: str, theirs: str) -> str:
    said = f"Both give the same answer to {compared.same:,} of {plural(compared.pictures, 'picture')} ({compared.agreement:.1%})."
    if compared.right is None or not compared.judged:
        return said
    shares = [
        f"{name}: {right / compared.judged:.1%} right ({right:,} of {compared.judged:,})"
        for name, right in zip((ours, theirs), compared.right, strict=True)
    ]
    return "\n".join((said, *shares))


def _answer(score: ClassScore, names: Labels) -> str:
    called = visible(names[score.index], 60) if names and score.index < len(names) else f"class {score.index}"
    return f"{called}  {'–' if score.probability is None else f'{score.probability:.1%}'}"


def _cards(run: PredictRun, pairs: Pairs, compared: Comparison, names: Labels) -> None:
    """The first pictures that are answered differently."""
    if not compared.differ:
        return
    with st.container(key="differing", horizontal=True, gap="small"):
        for number, (one, two) in enumerate(pairs[: min(CARDS, len(compared.differ))]):
            with st.container(key=f"differs-{number}", width=130):
                one_picture.thumbnail(run, one.image)
                st.text(f"loaded:\n{_answer(one.top[0], names)}\nother:\n{_answer(two.top[0], names)}")
                plain.quiet(one_picture.caption(one.image, 18))


def _table(pairs: Pairs, truth: Truth | None, names: Labels, ours: str, theirs: str) -> None:
    plain.heading("Both answers, those that differ first")
    columns: dict[str, list[str]] = {
        "picture of both": [visible(one.image) for one, _ in pairs],
        "": ["≠" if one.top[0].index != two.top[0].index else "=" for one, two in pairs],
        ours: [_answer(one.top[0], names) for one, _ in pairs],
        theirs: [_answer(two.top[0], names) for _, two in pairs],
    }
    if truth is not None:
        wanted = [truth.classes.get(one.image) for one, _ in pairs]
        columns["is"] = [
            "" if index is None else visible(names[index], 60) if names else f"class {index}" for index in wanted
        ]
        columns["right are"] = [
            "" if index is None else RIGHT[(one.top[0].index == index, two.top[0].index == index)]
            for index, (one, two) in zip(wanted, pairs, strict=True)
        ]
    with st.container(key="both-answers"):
        st.dataframe(pd.DataFrame(columns), hide_index=True, height=ROW * (min(len(pairs), 12) + 1) + 3)


RIGHT = {(True, True): "both", (True, False): "the loaded", (False, True): "the other", (False, False): "neither"}
