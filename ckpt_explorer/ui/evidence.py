"""The evidence on the Load page, in the order in which a doubter asks, each kind with what it can't see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
import streamlit as st

from ckpt_explorer.evidence.health import BLIND as HEALTH_BLIND
from ckpt_explorer.evidence.self_check import BLIND as SELF_CHECK_BLIND
from ckpt_explorer.evidence.two_seeds import BLIND as TWO_SEEDS_BLIND
from ckpt_explorer.evidence.verification import Verification, verify
from ckpt_explorer.evidence.wiring import BLIND as WIRING_BLIND
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.loading import LoadedModel
from ckpt_explorer.text import plural, visible
from ckpt_explorer.ui import plain
from ckpt_explorer.ui.session import Session
from ckpt_explorer.ui.watched import watched

MOST_PICTURES = 100
"""Pictures that are looked at: more make the figures hardly sharper."""

SHOWN = 8
ALL = 1_000
"""Doubts that are shown where all are."""

MOST_TICKS = 8
"""Places along the network that are named below a figure."""

NAME_WIDTH = 0.06
"""What the name of a place takes of a figure's width, at 900 pixels."""

COLOURS = ("#3b6fd4", "#c98a1b", "#3b6fd4")
FAULT = "#d5483e"
"""Colours that can be seen on light and on dark."""

FLAT = 0.5
"""Figures that stay below are drawn as low as they are: noise is not blown up to the height of the page."""


def show(here: Session, loaded: LoadedModel) -> None:
    """The button that looks closer, and what was found when it was pressed last for this network."""
    pictures = min(len(here.images), MOST_PICTURES)
    on = f" and {plural(pictures, 'picture')}" if pictures else ""
    if here.verification is None:
        if st.button(f"Look closer: at the weights{on}", key="verify"):
            _look(here, loaded)
        if not pictures:
            plain.quiet("With pictures on the Predict page, what arrives at each BatchNorm is looked at too.")
        return
    _found(here.verification)
    if st.button(f"Look again: at the weights{on}", key="verify"):
        _look(here, loaded)


def _look(here: Session, loaded: LoadedModel) -> None:
    """Gather the evidence with progress."""
    pictures = [NamedImage(name, source) for name, source in list(here.images.items())[:MOST_PICTURES]]
    found = watched(here, "Looking", "stop-verifying", lambda tell: verify(loaded, pictures, progress=tell))
    if found is not None:
        here.verification = found
    st.rerun()


def doubts(found: Verification, most: int = ALL) -> None:
    """What is doubted, a box each, in the order of the evidence; that nothing is, where nothing is."""
    rows = found.doubts
    if not rows:
        seen = (
            f"by the weights and {plural(found.batchnorm.pictures, 'picture')}"
            if found.batchnorm
            else "by the weights alone"
        )
        plain.say(f"Nothing is doubted, {seen}.", "good", key="doubts")
    for number, doubt in enumerate(rows[:most]):
        plain.say(str(doubt), "error", key=f"doubt-{number}")
    if len(rows) > most:
        plain.quiet(f"… and {len(rows) - most:,} more, on the Load page.")


def _found(found: Verification) -> None:
    plain.heading("Health: are the tensors sound in themselves?")
    _health(found)
    plain.heading("Two seeds: does anything take part that is not from the file?")
    plain.say(f"Two seeds: {found.seeds.says}", "good" if found.seeds.same else "warning", key="two-seeds")
    plain.quiet(TWO_SEEDS_BLIND)
    plain.heading("Wiring: does each layer stand where it was trained? From the weights alone")
    _wiring(found)
    plain.heading("BatchNorm self-check: does each layer get what it was trained on?")
    _self_check(found)


def _health(found: Verification) -> None:
    rows = [
        f"{visible(row.key)}: {row.finding}{f' ({row.detail})' if row.detail else ''}" for row in found.health[:SHOWN]
    ]
    more = f"\n… and {len(found.health) - SHOWN:,} more" if len(found.health) > SHOWN else ""
    tone: plain.Tone = "warning" if any(row.is_doubt for row in found.health) else "note" if rows else "good"
    plain.say("Health: " + ("\n".join(rows) + more if rows else "nothing odd."), tone, key="health")
    plain.quiet(HEALTH_BLIND)


def _wiring(found: Verification) -> None:
    wiring = found.wiring
    tone: plain.Tone = "warning" if wiring.doubts else "good" if wiring.evidence == "trained" else "note"
    plain.say(f"Wiring: {wiring.says}", tone, key="wiring")
    _along(
        "wiring-chart",
        [row.norm for row in wiring.layers],
        (Curve("correlation of means", [row.correlation for row in wiring.layers]),),
        wiring.first_doubted,
        highest=1.0,
    )
    if wiring.layers:
        plain.quiet(
            "A point for each BatchNorm: how well the channel means that follow from the weights in front of it agree with those that it kept in training. "
            "1 is full agreement; a layer far below the others is not the one that was trained there."
        )
    plain.quiet(WIRING_BLIND)


def _self_check(found: Verification) -> None:
    check = found.batchnorm
    if check is None:
        plain.quiet(
            "Not run: it looks at pictures of the kind that the network was trained on, a dozen or more. Give them on the Predict page."
            if found.used is None
            else "The network has no BatchNorm with running statistics: nothing can be checked."
        )
        return
    plain.say(
        f"BatchNorm self-check: {check.says}",
        "warning" if check.first_doubted is not None else "good",
        key="self-check",
    )
    _along(
        "self-check-chart",
        [row.name for row in check.layers],
        (
            Curve("mean |z|", [row.alone.mean_z for row in check.layers]),
            Curve("log-variance gap", [row.alone.log_variance_gap for row in check.layers]),
            Curve("mean |z| as it answers", [row.mean_z for row in check.layers], "dot"),
        ),
        check.first_doubted,
    )
    plain.quiet(
        "A point for each BatchNorm, 0 is right. mean |z|: how far the channel means of your pictures are from those of training, in standard deviations; "
        "log-variance gap: how far the variances are (0.7 is a factor of two). A fault is a jump: solid, each layer by itself, it shows where; dotted, as the network answers, it goes on into the layers behind. "
        "A slow rise in the last layers comes from the pictures: few of them, or of few classes."
    )
    plain.quiet(SELF_CHECK_BLIND)
    if found.found is not None:
        plain.say("\n".join(found.found.sentences), "note", key="preprocessing-found")
    for number, row in enumerate(found.options):
        plain.say(f"Options: {row.says}", "warning" if row.is_doubt else "note", key=f"option-{number}")


@dataclass(frozen=True)
class Curve:
    """One figure along the depth of the network: its name, a value a layer (None where there is none), how it is drawn."""

    name: str
    values: Sequence[float | None]
    dash: str = "solid"


def _along(
    key: str, layers: list[str], curves: Sequence[Curve], doubted: str | None, highest: float | None = None
) -> None:
    """Figures along the depth of the network, from 0; the first doubted layer is marked by a line and its name."""
    if not layers:
        return
    drawn = go.Figure()
    names = [plain.in_plotly(layer) for layer in layers]
    for curve, colour in zip(curves, COLOURS, strict=False):
        drawn.add_scatter(
            x=list(range(len(layers))),
            y=curve.values,
            mode="lines" if curve.dash != "solid" else "lines+markers",
            name=curve.name,
            text=names,
            hovertemplate="%{text}: %{y:.3g}",
            line={"dash": curve.dash, "color": colour, "width": 2 if curve.dash == "solid" else 1.2},
            connectgaps=False,
        )
    finite = [value for curve in curves for value in curve.values if value is not None and math.isfinite(value)]
    low, high = min((0.0, *finite)), max((FLAT, *finite)) if highest is None else highest
    room = 0.06 * (high - low)
    at = next((row for row, layer in enumerate(layers) if doubted and f"{layer}.".startswith(f"{doubted}.")), None)
    if at is not None:
        drawn.add_vline(x=at, line={"dash": "dash", "color": FAULT, "width": 1.5})
        drawn.add_annotation(
            x=at,
            y=1,
            yref="paper",
            text=f"{names[at]} is doubted",
            showarrow=False,
            font={"color": FAULT},
            xanchor="left" if at < len(layers) / 4 else "right" if at > len(layers) * 3 / 4 else "center",
            yanchor="bottom",
        )
    places, labels = _apart(*_stages(layers), len(layers))
    drawn.update_layout(
        height=250,
        margin={"l": 40, "r": 10, "t": 54, "b": 10},
        xaxis={
            "title": "from the first BatchNorm to the last",
            "tickvals": places,
            "ticktext": [plain.in_plotly(label) for label in labels],
            "range": [-0.5, len(layers) - 0.5],
            "tickangle": 0,
            "automargin": True,
        },
        yaxis={"range": [low - room, high + room]},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.16, "yanchor": "bottom"},
        showlegend=True,
        hovermode="x unified" if len(curves) > 1 else "closest",
    )
    st.plotly_chart(drawn, key=key, config={"displayModeBar": False})


def _apart(places: list[int], labels: list[str], layers: int) -> tuple[list[int], list[str]]:
    """The names that have room below a figure: of two that would touch, the one that more layers have."""
    kept: list[int] = []
    ends = [*places[1:], layers]
    for number, place in enumerate(places):
        if kept and place - places[kept[-1]] < NAME_WIDTH * layers:
            if ends[number] - place <= ends[kept[-1]] - places[kept[-1]]:
                continue
            kept.pop()
        kept.append(number)
    return [places[number] for number in kept], [labels[number] for number in kept]


def _stages(layers: Sequence[str]) -> tuple[list[int], list[str]]:
    """Where a new part of the network begins, and what it is called; a few numbered places where there are too many."""
    heads = [layer.partition(".")[0] for layer in layers]
    firsts = [at for at, head in enumerate(heads) if at == 0 or head != heads[at - 1]]
    if len(firsts) == 1:  # all behind one name: the numbers say as much
        return firsts, [heads[0]]
    if len(firsts) > MOST_TICKS:
        every = -(-len(layers) // MOST_TICKS)
        return list(range(0, len(layers), every)), [f"{at + 1}" for at in range(0, len(layers), every)]
    return firsts, [heads[at] for at in firsts]
