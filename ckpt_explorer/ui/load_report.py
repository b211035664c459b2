"""The Load page's parts: how to load, the report by name, and the evidence in the order a doubter would ask."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ckpt_explorer.alignment import Alignment, Verdict
from ckpt_explorer.api import predict_random
from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.evidence import ValuesCheck, check_values
from ckpt_explorer.export import state_dict_bytes
from ckpt_explorer.loading import DTYPES, LoadedModel, LoadReport, available_devices, load, report_of
from ckpt_explorer.text import plural, visible
from ckpt_explorer.ui import answers, decide, evidence, journey, plain, verdict
from ckpt_explorer.ui.session import Session, controlled
from ckpt_explorer.ui.watched import Tell, watched

SHOWN_LINES = 10
LIST_HEIGHT = 260
"""Pixels of a list that is longer; it scrolls."""

GROUPS: tuple[tuple[str, str], ...] = (
    ("missing", "− Missing: the network wants them, the file lacks them"),
    ("shape_mismatch", "≠ Shape mismatch: in both, of another shape"),
    ("unexpected", "+ Unexpected: the file has them, the network has no place"),
    ("ignored", "· Ignored: a rule leaves them out"),
    ("adapted", "◑ Adapted: go in after a cast that rounds"),
    ("matched", "● Matched: go in as they are"),
)


def offer(here: Session, alignment: Alignment) -> None:
    """How to load, and the button that does it; a reference is converted instead."""
    verdict.show(alignment)
    if alignment.architecture.build is None:
        plain.say(
            "This target is another checkpoint's keys and no network: there is nothing to load, and the converted file can be downloaded.",
            "note",
            key="reference",
        )
        _names(report_of(alignment, strict=False))
        _downloads(here)
        return
    decide.show(here)
    choice = here.load_choice
    complete = alignment.verdict is Verdict.COMPLETE and not alignment.summary["unexpected"]
    strict = complete if choice.strict is None else choice.strict
    devices = available_devices()
    device = choice.device if choice.device in devices else devices[0]
    columns = st.columns([3, 1, 1], vertical_alignment="bottom")
    with columns[0]:
        st.radio(
            "How",
            [True, False],
            format_func=lambda value: (
                "Strict: refuse anything missing, unexpected or of another shape"
                if value
                else "Partial (strict=False): load what fits, name the rest"
            ),
            **controlled("strict", strict, lambda value: setattr(choice, "strict", value)),
        )
    columns[1].selectbox(
        "Device", devices, **controlled("device", device, lambda value: setattr(choice, "device", value))
    )
    columns[2].selectbox(
        "As", DTYPES, **controlled("dtype", choice.dtype, lambda value: setattr(choice, "dtype", value))
    )
    if st.button(
        "Load" if here.loaded is None else "Load again",
        type="primary" if here.loaded is None else "secondary",
        key="load",
    ):
        _load(here, alignment, strict, device)
    if here.loaded is None:
        _names(report_of(alignment, strict))


def _load(here: Session, alignment: Alignment, strict: bool, device: str) -> None:
    """Load with progress, and compare what was loaded with the file."""
    here.forget_loaded()

    def work(tell: Tell) -> tuple[LoadedModel, ValuesCheck]:
        def progress(done: int, of: int) -> None:
            tell(f"Reading tensors: {done:,} of {of:,}", done, of)

        loaded = load(alignment, device=device, dtype=here.load_choice.dtype, strict=strict, progress=progress)
        tell("Comparing every tensor with the file", 1, 1)
        return loaded, check_values(loaded)

    found = watched(here, "Reading tensors", "stop-loading", work)
    if found is not None:
        here.loaded, here.values = found
        here.loaded_as = (here.place, alignment.rules)
    st.rerun()


def show(here: Session, loaded: LoadedModel) -> None:
    """What was loaded, by name, and the evidence for it."""
    plain.heading("What it is worth")
    answers.trust_banner(here, loaded, evidence.ALL)
    plain.heading("Evidence")
    values = here.values
    if values is not None:
        good = not values.different
        cast = f" ({values.adapted:,} after a cast)" if values.adapted else ""
        text = f"Values: {values.equal + values.adapted:,} of {plural(values.tensors, 'tensor')} in the network equal the file's, bit for bit{cast}."
        plain.say(
            f"{text} That does not show that each is in its right place.", "good" if good else "error", key="values"
        )
    random = loaded.report.random
    plain.say(
        f"Random: {', '.join(map(visible, random[:8]))}{' …' if len(random) > 8 else ''} came from no file."
        if random
        else "Random: no tensor of the network was left as it was initialised.",
        "warning" if random else "good",
        key="random",
    )
    try:
        check = predict_random(loaded)
    except CheckpointExplorerError as error:
        plain.say(str(error), "error", key="shape-check")
    else:
        plain.say(f"Shape: {check.says}", "note" if check.finite else "error", key="shape-check")
    evidence.show(here, loaded)
    _names(loaded.report)
    _downloads(here)


def _names(report: LoadReport) -> None:
    """Every tensor by name, those that need a look first."""
    plain.heading("The report, by name")
    names = report.as_json()
    for field, title in GROUPS:
        keys: list[str] = names[field]
        if not keys:
            continue
        opened = field in ("missing", "shape_mismatch", "unexpected")
        with st.expander(f"{title} · {len(keys):,}", expanded=opened, key=f"group-{field}"):
            sources = report.matched if field == "matched" else report.adapted if field == "adapted" else {}
            lines = [f"{visible(key)}  ←  {visible(sources[key])}" if sources else visible(key) for key in keys]
            with st.container(key=f"names-{field}"):
                st.code("\n".join(lines), language=None, height=None if len(lines) <= SHOWN_LINES else LIST_HEIGHT)
    empty = [title.split(":")[0] for field, title in GROUPS if not names[field]]
    plain.quiet(f"None: {', '.join(empty)}" if empty else "")


def _downloads(here: Session) -> None:
    """The converted state dict, under the network's own keys; made when it is asked for."""
    plain.heading("Take it home: a flat state dict under the network's own keys")
    assert here.checkpoint is not None
    stem = Path(here.checkpoint.name).stem or "checkpoint"

    def data(suffix: str) -> bytes:
        """Made from the session at the click: a kept callable that held the file would keep it when the tab is closed."""
        return state_dict_bytes(journey.aligned(here).alignment, suffix)

    with st.container(horizontal=True, key="downloads"):
        st.download_button(
            "Download .safetensors",
            lambda: data(".safetensors"),
            f"{stem}-converted.safetensors",
            key="download-safetensors",
            on_click="ignore",
        )
        st.download_button(
            "Download .pth", lambda: data(".pth"), f"{stem}-converted.pth", key="download-pth", on_click="ignore"
        )
