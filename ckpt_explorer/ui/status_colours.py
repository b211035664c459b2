"""The colours of the statuses, read from the key diff's own style, so that map and list can't differ."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from ckpt_explorer.key_pair import Status

STYLE = Path(__file__).parent / "key_diff" / "key_diff.css"
_RULE = re.compile(r"--([a-z]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
PAGES = {False: "#ffffff", True: "#0f1319"}
"""The page's background, light and dark, as in `.streamlit/config.toml`."""
_NAMES = {Status.SHAPE_MISMATCH: "mismatch"}


@cache
def colours(dark: bool) -> dict[str, str]:
    """Every colour of the style in this theme, as `#rrggbb` by its name."""
    return {name: (night if dark else day) for name, day, night in _RULE.findall(STYLE.read_text(encoding="utf-8"))}


def colour_of(status: Status, dark: bool) -> str:
    """The colour of a status in this theme."""
    return colours(dark)[_NAMES.get(status, str(status))]


def mixed(colour: str, page: str, share: float) -> str:
    """`colour` on `page`, as a glaze of this share would look."""
    pairs = zip(channels(colour), channels(page), strict=True)
    return "#" + "".join(f"{round(share * one + (1 - share) * other):02x}" for one, other in pairs)


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of `#rrggbb`, from 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
