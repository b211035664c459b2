"""How the pictures are prepared: the form, what the pictures themselves say of it, and what a choice among near ones is worth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from ckpt_explorer.api import agreements, fitting_preprocessing, input_channels, usual_preprocessing
from ckpt_explorer.errors import PreprocessingError
from ckpt_explorer.evidence.fitting_preprocessing import FoundPreprocessing
from ckpt_explorer.evidence.pictures import spread
from ckpt_explorer.evidence.ranking import Ranking
from ckpt_explorer.inference.agreement import Agreement
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.inference.preprocessing import PRESETS, Preprocessing, preprocessing, size_kept, values_from_text
from ckpt_explorer.loading import LoadedModel
from ckpt_explorer.text import plural
from ckpt_explorer.ui import plain, session
from ckpt_explorer.ui.choices import StepsChoice
from ckpt_explorer.ui.session import Session, controlled
from ckpt_explorer.ui.watched import Tell, watched

MOST_COMPARED = 200
"""Pictures whose answers are compared: each preparation costs a forward pass over them."""


def show(here: Session, loaded: LoadedModel) -> Preprocessing | None:
    """The preprocessing as chosen; None, with a sentence, where it can't be used."""
    channels = input_channels(loaded)
    try:
        usual = usual_preprocessing(loaded)
    except PreprocessingError as error:
        plain.say(str(error), "error", key="preprocessing")
        return None
    usual_for = (usual.size, channels)
    if here.steps is None or here.steps_for != usual_for:
        here.steps_for = usual_for
        here.steps = _filled_in(usual, here.example.preprocess if here.example else usual.name)
    form = here.steps
    if form.found_for != (here.load_version, here.pictures_version):
        form.found, form.agreements = None, ()
    plain.heading("Preprocessing")
    _fields(here, form, channels)
    steps = _steps(form, channels)
    if here.images:
        _by_the_pictures(here, loaded, form, usual)
    return steps


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _filled_in(steps: Preprocessing, preset: str) -> StepsChoice:
    return StepsChoice(preset, steps.size, steps.resize, _numbers(steps.mean), _numbers(steps.std), steps.bgr)


def _put(here: Session, steps: Preprocessing, preset: str) -> None:
    """Fill in the form; what the pictures said stays beside it."""
    form = _filled_in(steps, preset)
    if here.steps is not None:
        form = replace(form, found=here.steps.found, agreements=here.steps.agreements, found_for=here.steps.found_for)
    here.steps = form


def _fields(here: Session, form: StepsChoice, channels: int) -> None:
    def choose(name: str) -> None:
        _put(here, preprocessing(name, size=size_kept(name, form.size), channels=channels), name)

    def resize_to(size: int) -> None:
        form.size = size
        form.resize = preprocessing(form.preset, size=size, channels=channels).resize

    columns = [*st.columns([3, 1.2, 1.2, 1], vertical_alignment="bottom"), *st.columns(2)]
    columns[0].selectbox(
        "Preset",
        list(PRESETS),
        format_func=lambda name: PRESETS[name].label,
        **controlled("preset", form.preset if form.preset in PRESETS else "imagenet", choose),
    )
    columns[1].number_input(
        "Size, px", 1, 4096, step=1, **controlled("size", form.size, lambda value: resize_to(int(value)))
    )
    columns[2].number_input(
        "Shorter side, px",
        1,
        8192,
        step=1,
        **controlled("resize", form.resize, lambda value: setattr(form, "resize", int(value))),
    )
    columns[3].toggle(
        "BGR", disabled=channels != 3, **controlled("bgr", form.bgr, lambda value: setattr(form, "bgr", value))
    )
    columns[4].text_input("Mean", **controlled("mean", form.mean, lambda value: setattr(form, "mean", value)))
    columns[5].text_input(
        "Standard deviation", **controlled("std", form.std, lambda value: setattr(form, "std", value))
    )


def _steps(form: StepsChoice, channels: int) -> Preprocessing | None:
    """What the form says, as a sentence below it; a sentence on what is wrong with it, and None."""
    try:
        steps = preprocessing(
            form.preset,
            size=form.size,
            resize=form.resize,
            mean=values_from_text(form.mean),
            std=values_from_text(form.std),
            bgr=form.bgr,
            channels=channels,
        )
    except PreprocessingError as error:
        plain.say(str(error), "error", key="preprocessing")
        return None
    plain.quiet(str(steps))
    return steps


def _by_the_pictures(here: Session, loaded: LoadedModel, form: StepsChoice, usual: Preprocessing) -> None:
    """The button that asks the pictures, and what they said."""
    with st.container(horizontal=True, vertical_alignment="center", key="ask-pictures"):
        asked = st.button(
            f"Find it from {plural(len(here.images), 'picture')}", key="find-preprocessing", type="secondary"
        )
        compared = (
            form.found is not None
            and bool(form.found.others)
            and st.button("Compare the answers", key="compare-preprocessing")
        )
        if form.found is None:
            plain.quiet("What reaches the first BatchNorms says which preparation the network was trained with.")
    if asked:
        _find(here, loaded, usual)
    if compared and form.found is not None:
        _compare(here, loaded, form, form.found)
    if form.found is not None:
        _found(form, form.found)


def _images(here: Session) -> list[NamedImage]:
    return [NamedImage(name, source) for name, source in here.images.items()]


def _find(here: Session, loaded: LoadedModel, usual: Preprocessing) -> None:
    def work(tell: Tell) -> FoundPreprocessing | None:
        return fitting_preprocessing(
            loaded, _images(here), usual, lambda done, of: tell("Trying preparations", done, of)
        )

    found = watched(here, "Trying preparations", "stop-asking", work)
    if found is None:
        here.message = here.message or (
            "error",
            "The network has no BatchNorm statistics to judge a preprocessing by: look in the code that trained it.",
        )
    else:
        _put(here, found.chosen.steps, found.chosen.family)
        assert here.steps is not None
        here.steps.found, here.steps.agreements = found, ()
        here.steps.found_for = (here.load_version, here.pictures_version)
    st.rerun()


def _compare(here: Session, loaded: LoadedModel, form: StepsChoice, found: FoundPreprocessing) -> None:
    images = _images(here)
    some = [images[place] for place in spread(MOST_COMPARED, len(images))]

    def work(tell: Tell) -> tuple[Agreement, ...]:
        return agreements(
            loaded,
            some,
            found.chosen.steps,
            found.others,
            progress=lambda done, of: tell("Comparing answers", done, of),
        )

    form.agreements = watched(here, "Comparing answers", "stop-asking", work) or ()
    st.rerun()


def _found(form: StepsChoice, found: FoundPreprocessing) -> None:
    plain.say("\n".join(found.sentences), "note" if len(found.group) > 1 else "good", key="preprocessing-found")
    if len(found.near) > 1:
        with st.container(horizontal=True, key="near-preprocessing"):
            for row in found.near:
                st.button(
                    f"Take {row.name}",
                    key=f"take-preprocessing-{row.name}",
                    on_click=_take,
                    args=(row.name,),
                )
    if form.agreements:
        says = "; ".join(row.says for row in form.agreements)
        plain.say(f"Beside {found.chosen.name}: {says}.", "note", key="preprocessing-agreement")
    with st.expander("All that was tried"):
        st.dataframe(_table(found, "preprocessing"), hide_index=True, key="preprocessing-ranking")
        if found.sizes is not None:
            st.dataframe(_table(found.sizes, "size"), hide_index=True, key="size-ranking")
        plain.quiet(
            "Means and variances of your pictures at the first BatchNorms, against those of training: 0 is right. What fits can't be told apart by these pictures."
        )


def _table(found: Ranking[Any], what: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            what: [row.name for row in found.ranking],
            "mean |z|": [round(row.mean_z, 3) for row in found.ranking],
            "log-variance gap": [round(row.log_variance_gap, 3) for row in found.ranking],
            "fits": [row.name in found.group for row in found.ranking],
        }
    )


def _take(name: str) -> None:
    here = session.current()
    found = here.steps.found if here.steps is not None else None
    row = found.row(name) if found is not None else None
    if found is not None and row is not None:
        _put(here, row.steps.with_cut_of(found.chosen.steps), row.family)
