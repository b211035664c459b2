"""The colours of the statuses in the eyes of people who see fewer: each can be read, and told from its neighbours.

Simulations by the matrices of Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB; differences are
CIE76 in L*a*b*. What colour can't tell is told by symbol, word and pattern, so the floor is one that an eye notices.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from ckpt_explorer import Status
from ckpt_explorer.key_pair import SYMBOLS
from ckpt_explorer.ui.network_map import PATTERNS
from ckpt_explorer.ui.status_colours import channels, colour_of

PAGES = {False: "#ffffff", True: "#0f1319"}
SEEN: dict[str, list[list[float]]] = {
    "full": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
NOTICEABLE = 10.0
"""Of CIE76, where 2.3 is just noticeable to a trained eye that compares two patches side by side."""

Colour = np.ndarray


def linear(colour: str) -> Colour:
    values = np.array(channels(colour)) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: Colour) -> Colour:
    matrix = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    ratio = matrix @ rgb.clip(0, 1) / np.array([0.95047, 1.0, 1.08883])
    root = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def luminance(colour: str) -> float:
    return float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour))


@pytest.mark.parametrize("dark", PAGES)
@pytest.mark.parametrize("status", Status)
def test_every_status_can_be_read_on_its_page(status: Status, dark: bool) -> None:
    low, high = sorted([luminance(colour_of(status, dark)), luminance(PAGES[dark])])
    assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.2, AA for text


@pytest.mark.parametrize("dark", PAGES)
@pytest.mark.parametrize("eyes", SEEN)
def test_two_statuses_differ_in_everybodys_eyes(eyes: str, dark: bool) -> None:
    seen = {status: lab(np.array(SEEN[eyes]) @ linear(colour_of(status, dark))) for status in Status}
    alike = [
        (str(one), str(other), round(float(np.linalg.norm(seen[one] - seen[other])), 1))
        for one, other in combinations(Status, 2)
        if np.linalg.norm(seen[one] - seen[other]) < NOTICEABLE
    ]
    assert alike == []


def test_what_colour_does_not_tell_symbol_and_pattern_do() -> None:
    assert len(set(SYMBOLS.values())) == len(set(PATTERNS.values())) == len(Status)
