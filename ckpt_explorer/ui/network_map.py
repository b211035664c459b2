"""The map: the network from stem to head, each tensor an area by its size, in the colour and pattern of its status."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import streamlit as st

from ckpt_explorer.alignment import Alignment, Status
from ckpt_explorer.key_pair import SYMBOLS, KeyPair
from ckpt_explorer.text import plural, shape_as_text
from ckpt_explorer.ui import journey, plain, session
from ckpt_explorer.ui.map_layout import HEIGHT, WIDTH, Slab, Tile, laid_out
from ckpt_explorer.ui.plain import in_plotly
from ckpt_explorer.ui.status_colours import PAGES, colour_of, colours, mixed

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

KEY = "network-map"
HEIGHT_IN_PIXELS = 170
SHOWN_OF_A_NAME = 110
NARROWEST_WITH_LABEL = 0.15
"""Width of a slab that has its name above it, on a map that is five wide."""

QUIET = 0.42
"""How much of its colour a tile has that needs no one's attention."""

PATTERNS: dict[Status, str] = {
    Status.MATCHED: "",
    Status.ADAPTED: "/",
    Status.SHAPE_MISMATCH: "x",
    Status.MISSING: "-",
    Status.UNEXPECTED: "+",
    Status.IGNORED: ".",
}
"""What tells a status without colour; matched is plain."""


@st.fragment
def show() -> None:
    """The map of the alignment with the rules in force; a click selects the row, and the selected row is outlined.

    Streamlit keeps a fragment's arguments for as long as it keeps the session, so it has none: the file must go when
    its tab is closed.
    """
    here = session.current()
    if here.checkpoint is None:
        return
    if here.map_clicked:
        here.map_clicked = False
        st.rerun()
    alignment = journey.aligned(here).alignment
    slabs, tiles = laid_out(alignment)
    with st.container(key="map"):
        if not here.map_shown:
            st.button("Show the map", key="map-show", type="tertiary", on_click=_switch)
            return
        dark = st.context.theme.type == "dark"
        drawn = figure(alignment, slabs, tiles, here.selected_row, dark)
        st.plotly_chart(
            drawn,
            key=KEY,
            on_select=_clicked,
            selection_mode="points",
            theme=None,
            config={"displayModeBar": False, "scrollZoom": False, "doubleClick": False},
        )
        with st.container(horizontal=True, vertical_alignment="center", key="map-legend"):
            plain.quiet(_legend(tiles))
            st.button("Hide the map", key="map-hide", type="tertiary", on_click=_switch)


def _switch() -> None:
    here = session.current()
    here.map_shown = not here.map_shown


def _clicked() -> None:
    """Select the row that was clicked, in the list too."""
    here = session.current()
    event = session.widget_value(KEY) or {}
    points = event.get("selection", {}).get("points", [])
    if not points or here.checkpoint is None:
        return
    tiles = _by_status(laid_out(journey.aligned(here).alignment)[1])
    curve, at = points[0].get("curve_number"), points[0].get("point_index")
    if not isinstance(curve, int) or not isinstance(at, int) or not 0 <= curve < len(tiles):
        return
    row = next((tile.rows[0] for number, tile in enumerate(tiles[curve][1]) if number == at), None)
    if row is not None:
        here.select_row(row.checkpoint, row.model, seek=True)
        here.map_clicked = True


def _by_status(tiles: tuple[Tile, ...]) -> list[tuple[Status, list[Tile]]]:
    """The tiles as traces of the figure: those of each status that occurs."""
    found = [(status, [tile for tile in tiles if tile.status is status]) for status in Status]
    return [(status, own) for status, own in found if own]


def figure(
    alignment: Alignment,
    slabs: tuple[Slab, ...],
    tiles: tuple[Tile, ...],
    selected: tuple[str | None, str | None] | None,
    dark: bool,
) -> Figure:
    """The map as a plotly figure: one trace of bars a status, names of slabs above, the selected tile outlined."""
    from plotly.graph_objects import Bar, Figure

    shown = colours(dark)
    text, page = "#e6e9ee" if dark else "#1d2129", PAGES[dark]
    traces = [
        Bar(
            x=[tile.box.x + tile.box.width / 2 for tile in own],
            y=[tile.box.height for tile in own],
            base=[tile.box.y for tile in own],
            width=[tile.box.width for tile in own],
            customdata=[_hover(tile, alignment) for tile in own],
            hovertemplate="%{customdata}<extra></extra>",
            marker=_marker(status, colour_of(status, dark), page),
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            showlegend=False,
        )
        for status, own in _by_status(tiles)
    ]
    made = Figure(traces)
    made.update_layout(
        height=HEIGHT_IN_PIXELS,
        margin={"l": 2, "r": 2, "t": 22, "b": 2},
        barmode="overlay",
        bargap=0,
        dragmode=False,
        clickmode="event+select",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "Source Code Pro, monospace", "size": 12, "color": text},
        hoverlabel={
            "bgcolor": page,
            "bordercolor": shown["edge"],
            "font": {"color": text, "family": "Source Code Pro, monospace", "size": 12},
            "align": "left",
        },
        hovermode="closest",
        xaxis={"visible": False, "range": [0, WIDTH], "fixedrange": True},
        yaxis={"visible": False, "range": [0, HEIGHT], "fixedrange": True},
        annotations=[_label(slab) for slab in slabs if slab.box.width >= NARROWEST_WITH_LABEL],
        shapes=[_outline(tile, shown["accent"]) for tile in tiles if _is_selected(tile, selected)],
    )
    return made


def _marker(status: Status, colour: str, page: str) -> dict[str, Any]:
    pattern = PATTERNS[status]
    if not pattern:
        return {"color": mixed(colour, page, QUIET), "line": {"color": page, "width": 0.6}}
    return {
        "color": colour,
        "pattern": {"shape": pattern, "fgcolor": colour, "bgcolor": page, "size": 6, "solidity": 0.45},
        "line": {"color": colour, "width": 1.2},
    }


def _label(slab: Slab) -> dict[str, Any]:
    name = slab.name if len(slab.name) <= 24 else f"{slab.name[:23]}…"
    return {
        "x": slab.box.x + 0.012,
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "xanchor": "left",
        "text": in_plotly(name),
        "showarrow": False,
        "font": {"size": 11},
    }


def _outline(tile: Tile, colour: str) -> dict[str, Any]:
    box = tile.box
    return {
        "type": "rect",
        "x0": box.x,
        "x1": box.x + box.width,
        "y0": box.y,
        "y1": box.y + box.height,
        "line": {"color": colour, "width": 4},
        "layer": "above",
    }


def _is_selected(tile: Tile, selected: tuple[str | None, str | None] | None) -> bool:
    return selected is not None and any((row.checkpoint, row.model) == selected for row in tile.rows)


def _hover(tile: Tile, alignment: Alignment) -> str:
    """What is said of a tile, as the few tags that plotly knows; every name in it is escaped."""
    if len(tile.rows) > 1:
        found = Counter(row.status for row in tile.rows)
        counts = [f"{SYMBOLS[status]} {found[status]:,} {status}" for status in Status if found[status]]
        return "<br>".join([f"<b>{_name(tile.name)}</b>", plural(len(tile.rows), "tensor"), *counts])
    return "<br>".join(_lines(tile.rows[0], alignment))


def _lines(row: KeyPair, alignment: Alignment) -> list[str]:
    lines = [f"<b>{_name(row.model if row.model is not None else row.checkpoint or '')}</b>"]
    if row.checkpoint is not None and row.checkpoint != row.model:
        lines.append(f"in the file: {_name(row.checkpoint)}")
    shape = shape_as_text(row.model_shape if row.checkpoint_shape is None else row.checkpoint_shape)
    if row.status is Status.SHAPE_MISMATCH:
        shape = f"{shape_as_text(row.checkpoint_shape)} in the file, {shape_as_text(row.model_shape)} in the network"
    lines.append(f"{shape} {in_plotly(row.dtype or '')}")
    lines.append(f"{SYMBOLS[row.status]} {row.status}{f': {in_plotly(row.note)}' if row.note else ''}")
    if row.rule is not None and row.rule < len(alignment.rules):
        lines.append(f"rule {row.rule + 1}: {_name(str(alignment.rules[row.rule]))}")
    return lines


def _name(name: str) -> str:
    return in_plotly(name if len(name) <= SHOWN_OF_A_NAME else f"{name[: SHOWN_OF_A_NAME - 1]}…")


def _legend(tiles: tuple[Tile, ...]) -> str:
    """The statuses by symbol and word, and what an area means."""
    patterns = {"": "plain", "/": "slanted", "x": "crossed", "-": "lines", "+": "plus signs", ".": "dots"}
    present = dict.fromkeys(status for status, _ in _by_status(tiles))
    signs = "   ".join(f"{SYMBOLS[status]} {status}: {patterns[PATTERNS[status]]}" for status in present)
    grouped = (
        "" if all(len(tile.rows) == 1 for tile in tiles) else " A tile stands for a layer, with its worst row's colour."
    )
    return f"{signs}\nAreas grow with the cube root of a tensor's size.{grouped} Click one to find it in the list."
