"""Options that change what a network computes and not its keys, where the file's words are of a framework that used them.

They are offered and never taken: keys and shapes can't show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ckpt_explorer.anatomy.tokens import bare, tokens


@dataclass(frozen=True)
class Offer:
    """Words that keys of a framework's files have, each group with one at least, and the options to try."""

    framework: str
    words: tuple[frozenset[str], ...]
    options: Mapping[str, str]
    only_bottleneck: bool = False


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OFFERS: tuple[Offer, ...] = (
    Offer(
        "Caffe",
        (_words("branch"), _words("res bn scale")),
        {"stride_in_1x1": "yes", "ceil_mode": "yes"},
        only_bottleneck=True,
    ),
    Offer(
        "detectron2",
        (_words("res"), _words("norm"), _words("shortcut"), _words("stem")),
        {"stride_in_1x1": "yes"},
        only_bottleneck=True,
    ),
    Offer("TensorFlow", (_words("moving"), _words("variance"), _words("gamma scale")), {"eps": "0.001"}),
)


def offers_for(keys: Iterable[str], bottleneck: bool, already: Mapping[str, object]) -> Offer | None:
    """The options that a file with these keys may need; None where no framework's words are there, or they are set."""
    seen = {bare(token) for key in keys if len(key) <= 300 for token in tokens(key)}
    for offer in OFFERS:
        if offer.only_bottleneck and not bottleneck:
            continue
        if all(group & seen for group in offer.words) and not set(offer.options) & set(already):
            return offer
    return None
