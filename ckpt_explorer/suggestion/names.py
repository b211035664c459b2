"""The common other names of a ResNet's parts, as groups of names for one thing.

A group is symmetric: the first member is torchvision's word, and any member may be the model's or the file's. The
names are written as patterns of the rename language, so that a difference in name is a rule by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ckpt_explorer.rules import Rule
from ckpt_explorer.rules.pattern import Rewrite
from ckpt_explorer.rules.rewriting import rename as rename_by_pattern

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "the last linear layer",
        (
            "fc.",
            "linear.",
            "classifier.",
            "last_linear.",
            "head.fc.",
            "cls_head.fc.",
            "head.",
            "logits.",
            "output.",
            "out.",
        ),
    ),
    (
        "the shortcut",
        ("downsample.", "shortcut.", "skip.", "identity_downsample.", "skip_connection.", "residual.", "proj."),
    ),
    ("the shortcut's conv", ("downsample.0.", "downsample.conv.")),
    ("the shortcut's norm", ("downsample.1.", "downsample.bn.", "downsample.norm.")),
    ("the norm", ("bn{n}.", "norm{n}.", "batchnorm{n}.", "batch_norm{n}.", "bnorm{n}.")),
)

SECONDS = 1.0


@lru_cache(maxsize=256)
def _rewrite(find: str, to: str) -> Rewrite:
    return rename_by_pattern(find, to)


_OTHER_NAMES: list[tuple[str, list[tuple[str, str]]]] = [
    (first, [(other, other.replace("{n}", "").rstrip(".")) for other in others]) for _, (first, *others) in GROUPS
]
"""For each group torchvision's word, and the others, each with the plain text that every key with it holds."""


def canonical_names(keys: Iterable[str]) -> dict[str, str]:
    """Each key with the common other names in it replaced by torchvision's.

    Keys are looked at one by one only where some other name occurs in any of them: most files use torchvision's.
    """
    given = list(keys)
    text = "\n".join(given)
    if not any(plain in text for _, others in _OTHER_NAMES for _, plain in others):
        return {key: key for key in given}
    return {key: _canonical(key) for key in given}


def _canonical(key: str) -> str:
    for first, others in _OTHER_NAMES:
        for other, plain in others:
            if plain in key:
                renamed = _rewrite(other, first)(key, SECONDS)
                if renamed is not None and _is_leaf_of(renamed, first):
                    key = renamed
                    break
    return key


def _is_leaf_of(key: str, name: str) -> bool:
    """For the last linear layer: only `fc.weight` and `fc.bias` at the very end; other parts may be anywhere."""
    return name != "fc." or (key.endswith((".fc.weight", ".fc.bias")) or key in ("fc.weight", "fc.bias"))


def renames_between(source: set[str], target: set[str]) -> list[Rule]:
    """Renames that may lead from names used in `source` keys to those used in `target` keys, in the groups' order."""
    rules = []
    for what, members in GROUPS:
        here = [member for member in members if _used(member, source)]
        there = [member for member in members if _used(member, target)] or [members[0]]
        rules += [
            Rule("rename", ours, theirs, why=f"{what} has another name")
            for ours in here
            for theirs in there[:2]
            if ours != theirs
        ]
    return rules


def _used(member: str, keys: set[str]) -> bool:
    probe = _rewrite(member, member.replace("{n}", "0"))
    return any(probe(key, SECONDS) is not None for key in keys)
