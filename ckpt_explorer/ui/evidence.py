"""The evidence on the Load page, in the order in which a doubter asks, each kind with what it can't see."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.evidence.health import BLIND as HEALTH_BLIND
from ckpt_explorer.evidence.self_check import BLIND as SELF_CHECK_BLIND
from ckpt_explorer.evidence.two_seeds import BLIND as TWO_SEEDS_BLIND
from ckpt_explorer.evidence.verification import Verification, verify
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.loading import LoadedModel
from ckpt_explorer.text import plural, visible
from ckpt_explorer.ui import plain
from ckpt_explorer.ui.session import Session

MOST_PICTURES = 100
"""Pictures that are looked at: more make the figures hardly sharper."""

SHOWN = 8


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
    """Gather the evidence with progress; the button that is drawn before the work stops it at its next step."""
    bar = st.progress(0.0, "Looking")
    st.button("Stop", key="stop-verifying")

    def progress(what: str, done: int, of: int) -> None:
        bar.progress(min(done / of, 1.0) if of else 0.0, what)

    pictures = [NamedImage(name, source) for name, source in list(here.images.items())[:MOST_PICTURES]]
    try:
        here.verification = verify(loaded, pictures, progress=progress)
    except CheckpointExplorerError as error:
        here.message = ("error", str(error))
    st.rerun()


def _found(found: Verification) -> None:
    if not found.doubts:
        plain.say("Nothing is doubted.", "good", key="doubts")
    for number, doubt in enumerate(found.doubts):
        plain.say(str(doubt), "error", key=f"doubt-{number}")
    rows = [
        f"{visible(row.key)}: {row.finding}{f' ({row.detail})' if row.detail else ''}" for row in found.health[:SHOWN]
    ]
    more = f"\n… and {len(found.health) - SHOWN:,} more" if len(found.health) > SHOWN else ""
    plain.say("Health: " + ("\n".join(rows) + more if rows else "nothing odd."), "note", key="health")
    plain.quiet(HEALTH_BLIND)
    plain.say(f"Two seeds: {found.seeds.says}", "note" if found.seeds.same else "warning", key="two-seeds")
    plain.quiet(TWO_SEEDS_BLIND)
    plain.say(f"Wiring: {found.wiring.says}", "warning" if found.wiring.doubts else "note", key="wiring")
    _along(
        "wiring-chart",
        [row.norm for row in found.wiring.layers],
        {"correlation of means": [row.correlation for row in found.wiring.layers]},
        found.wiring.first_doubted,
    )
    if found.batchnorm is None:
        return
    plain.say(f"BatchNorm self-check: {found.batchnorm.says}", "note", key="self-check")
    _along(
        "self-check-chart",
        [row.name for row in found.batchnorm.layers],
        {
            "mean |z|": [row.mean_z for row in found.batchnorm.layers],
            "log-variance gap": [row.log_variance_gap for row in found.batchnorm.layers],
        },
        found.batchnorm.first_doubted,
    )
    plain.quiet(SELF_CHECK_BLIND)
    if found.found is not None:
        plain.say(f"Preprocessing: {found.found.says}", "note", key="preprocessing-found")


def _along(key: str, layers: list[str], figures: dict[str, list[float | None]], doubted: str | None) -> None:
    """Figures along the depth of the network; the first doubted layer is marked by a line and its name."""
    if not layers:
        return
    drawn = go.Figure()
    names = [plain.in_plotly(layer) for layer in layers]
    for name, values in figures.items():
        drawn.add_scatter(x=list(range(len(layers))), y=values, mode="lines+markers", name=name, text=names)
    at = next((row for row, layer in enumerate(layers) if doubted and layer.startswith(doubted)), None)
    if at is not None:
        drawn.add_vline(x=at, line_dash="dot", annotation_text=f"{names[at]} is doubted", annotation_position="top")
    drawn.update_layout(
        height=220,
        margin={"l": 40, "r": 10, "t": 30, "b": 30},
        xaxis={"title": "BatchNorm, from stem to head"},
        legend={"orientation": "h", "y": 1.25},
        showlegend=True,
    )
    st.plotly_chart(drawn, key=key, config={"displayModeBar": False})
