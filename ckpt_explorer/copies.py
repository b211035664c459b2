"""Names of second copies of a network: averaged, momentum, teacher's, or of an earlier time.

A file that holds several copies of one network says by their names which of them was trained. The names only decide
between copies that are equal in all else.
"""

from __future__ import annotations

import re
from itertools import pairwise

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NOT_TRAINED = re.compile(
    r"ema\w*|averag\w*|avg|shadow|momentum|teacher|target|polyak|swa|old|prev|previous|initial|init|frozen|backup|anchor"
)
_MOMENTUM_ENCODER = (("encoder", "k"), ("key", "encoder"))


def is_averaged(name: str) -> bool:
    """Whether a key's prefix or a path reads like a copy that is not trained itself: of a student and its teacher, the teacher."""
    words = _words(name)
    return any(map(_NOT_TRAINED.fullmatch, words)) or any(pair in _MOMENTUM_ENCODER for pair in pairwise(words))


def is_copy(name: str) -> bool:
    """Whether it reads like one of several copies: as `is_averaged`, and the online one of a network and its target."""
    return is_averaged(name) or "online" in _words(name)


def _words(name: str) -> list[str]:
    """`netG_ema.modelEMA` as `net`, `g`, `ema`, `model`, `ema`."""
    return [word.lower() for word in _WORD.findall(name)]
