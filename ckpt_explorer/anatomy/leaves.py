"""Which tensor of a layer is this? From the last words of its key, in the words of every framework that is common.

A table of the words that frameworks use: it knows layers, never projects.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from ckpt_explorer.anatomy.tokens import bare, tokens

Role = Literal["weight", "bias", "mean", "var", "count"]


class Leaf(NamedTuple):
    """What a tensor is in its layer: `role`, and which operand of an arithmetic it is where it is made of several."""

    role: Role
    operand: str = ""


_WORDS: dict[Role, str] = {
    "weight": "weight weights kernel w filter filters gamma scale s",
    "bias": "bias biases b beta offset shift",
    "mean": "running_mean moving_mean mean rm mean_ema.average mean.ema running.mean mu",
    "var": "running_var moving_var moving_variance running_variance var variance riv rv var_ema.average variance.ema sigma2",
    "count": "num_batches_tracked num_batches",
}
_OPERANDS: dict[str, Leaf] = {
    "weight_orig": Leaf("weight", "orig"),
    "weight_mask": Leaf("weight", "mask"),
    "bias_orig": Leaf("bias", "orig"),
    "bias_mask": Leaf("bias", "mask"),
    "weight_g": Leaf("weight", "g"),
    "weight_v": Leaf("weight", "v"),
    "weight_u": Leaf("weight", "u"),
    "parametrizations.weight.original": Leaf("weight", "orig"),
    "parametrizations.weight.0._u": Leaf("weight", "u"),
    "parametrizations.weight.0._v": Leaf("weight", "v"),
    "parametrizations.weight.original0": Leaf("weight", "g"),
    "parametrizations.weight.original1": Leaf("weight", "v"),
}
LEAVES: dict[tuple[str, ...], Leaf] = {
    tuple(map(bare, tokens(word))): Leaf(role) for role, words in _WORDS.items() for word in words.split()
} | {tuple(map(bare, tokens(word))): leaf for word, leaf in _OPERANDS.items()}
"""Leaves by the bare tokens of their names."""

_LONGEST = max(map(len, LEAVES))
_PLAIN: dict[str, Leaf] = {
    **{word: Leaf(role) for role, words in _WORDS.items() for word in words.split() if "." not in word},
    **{word: leaf for word, leaf in _OPERANDS.items() if "." not in word},
}
MAX_KEY = 400
"""Characters of a key that is looked at; a longer one is no name that a network gives."""


def split(key: str) -> tuple[str, Leaf] | None:
    """The layer's name and which of its tensors `key` is; None where no framework's word stands at its end.

    The longest word counts: `bn1_running_mean` is the mean of `bn1`, and not that of `bn1_running`.
    """
    front, _, last = key.rpartition(".")
    found = _PLAIN.get(last)
    if found is not None:
        return front, found
    if len(key) > MAX_KEY:
        return None
    parts = tokens(key.removesuffix(":0"))
    for length in range(min(_LONGEST, len(parts)), 0, -1):
        leaf = LEAVES.get(tuple(map(bare, parts[-length:])))
        if leaf is not None:
            return "".join(parts[:-length]), leaf
    return None
