"""Where in the file the network stands: the prefix under which its keys are found, however nested the wrappers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ckpt_explorer.copies import is_copy

INNER_WRAPPERS = (
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "module",
    "_module",
    "_timm_module",
)
"""Segments that a wrapper puts inside a key: torch.compile, FSDP, activation checkpointing, DataParallel."""


class Votes(NamedTuple):
    """How many keys of the model are found below `file_prefix` when the model's `model_prefix` is taken off."""

    file_prefix: str
    model_prefix: str
    keys: int


def model_prefixes(keys: Iterable[str]) -> tuple[str, ...]:
    """The prefixes that a model itself may put before a network: none, and every prefix of more than half its keys."""
    names = list(keys)
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        counts.update(".".join(parts[:depth]) + "." for depth in range(1, len(parts)))
    return ("", *(prefix for prefix, count in counts.items() if count * 2 > len(names)))


def vote(file_keys: Mapping[str, str], model_keys: Mapping[str, str]) -> list[Votes]:
    """Under which prefixes of the file the model's keys are found, best first.

    Both mappings go from a key to its canonical name; a file key votes for every prefix at whose end the rest of
    it is a key of the model. Of equals, a momentum copy comes after the network itself, and a shorter prefix first.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for model_prefix in model_prefixes(model_keys):
        below = {name[len(model_prefix) :] for name in model_keys.values() if name.startswith(model_prefix)}
        for name in file_keys.values():
            parts = name.split(".")
            for depth in range(len(parts)):
                if ".".join(parts[depth:]) in below:
                    prefix = ".".join(parts[:depth]) + "." if depth else ""
                    counts[(prefix, model_prefix)] += 1
    found = [Votes(prefix, model_prefix, count) for (prefix, model_prefix), count in counts.items()]
    return sorted(
        found,
        key=lambda row: (
            -row.keys,
            is_copy(row.file_prefix),
            len(row.model_prefix),
            len(row.file_prefix),
            row.file_prefix,
        ),
    )
