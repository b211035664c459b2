"""Pace: batch size, precision and memory layout, each with the time that was measured with it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from ckpt_explorer.inference.pace import MAX_BATCH, PRECISIONS
from ckpt_explorer.ui import plain
from ckpt_explorer.ui.session import Session, controlled


def show(here: Session) -> None:
    """The three switches, and a table of what was measured; a change answers all pictures anew."""
    with st.expander("Pace: batch size, precision, memory layout", key="pace"):
        columns = st.columns([1, 1.4, 1.6], vertical_alignment="bottom")
        columns[0].number_input(
            "Pictures a batch",
            1,
            MAX_BATCH,
            step=1,
            **controlled("batch-size", here.pace.batch_size, lambda value: _change(here, batch_size=int(value))),
        )
        columns[1].selectbox(
            "Compute in",
            list(PRECISIONS),
            format_func=PRECISIONS.__getitem__,
            **controlled("precision", here.pace.precision, lambda value: _change(here, precision=value)),
        )
        columns[2].toggle(
            "Channels last in memory",
            **controlled("channels-last", here.pace.channels_last, lambda value: _change(here, channels_last=value)),
        )
        if not here.timings:
            plain.quiet("What each costs is measured when pictures are answered, and shown here.")
            return
        rows = [
            {
                "batch": pace.batch_size,
                "precision": PRECISIONS[pace.precision],
                "channels last": pace.channels_last,
                "pictures": timing["pictures"],
                "a second": timing["pictures_per_second"],
                "latency p50, ms": timing["latency_ms"]["p50"],
                "p90": timing["latency_ms"]["p90"],
                "p99": timing["latency_ms"]["p99"],
                "reading p50, ms": timing["reading_ms"]["p50"],
            }
            for pace, timing in here.timings.items()
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, key="timings")
        plain.quiet(
            "Latency is a batch's time in the network, which each of its pictures waits for; p99 is exceeded by one in a hundred."
        )


def _change(here: Session, **values: object) -> None:
    here.pace = replace(here.pace, **values)  # type: ignore[arg-type]  # the widgets give what the fields hold
