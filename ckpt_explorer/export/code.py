"""Rules as plain PyTorch code: a script that needs no package of ours and does what `convert` does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules import Rule
from ckpt_explorer.rules.arithmetic import Combination, combination, operation
from ckpt_explorer.rules.pattern import compiled
from ckpt_explorer.rules.replacement import Chosen, Piece, pieces_of
from ckpt_explorer.text import visible

_HEAD = '''"""Gives the tensors of a checkpoint the names of {network}. Needs PyTorch and nothing else.

    python {script} CHECKPOINT OUT.pth

The rules, in order:
{rules}
"""

import argparse
import re
import sys

import torch

torch.serialization.add_safe_globals([argparse.Namespace])  # a training script's arguments: data, no code
PATH = {path!r}  # where the weights lie in the file; "" is the top
{left_out}

def new_name(key):
    """The network's name for a key of the file, and which part of the tensor it is; None where it is left out."""
    part = 0
{naming}
    return key, part


def changed(name, t):
    """The tensor as the network wants it."""
{changing}
    return t.contiguous()

{combining}
def converted(state_dict):
    """The network's state dict."""
    found = {{}}
    for key, value in state_dict.items():
        named = new_name(key) if isinstance(key, str) and not (key in LEFT_OUT or key.startswith(LEFT_OUT_BELOW)) else None
        if named is not None:
            found.setdefault(named[0], {{}})[named[1]] = torch.as_tensor(value)
    out = {{name: changed(name, {join}) for name, parts in found.items()}}
{filling}    return out


def sub(pattern, replacement, key):
    """re.sub, where a number that falls below 0 leaves the key as it is."""
    try:
        return re.sub(pattern, replacement, key)
    except ValueError:
        return key


def number(value):
    """A number of a name, which is never below 0."""
    if value < 0:
        raise ValueError(value)
    return value

{grouping}
def opened(path):
    """The state dict of a checkpoint."""
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        return load_file(path)
    content = torch.load(path, map_location="cpu", weights_only=True)
    content = content.state_dict() if hasattr(content, "state_dict") else content
    left = PATH
    while left:  # keys may hold dots themselves: the longest that fits is taken
        step = max((key for key in content if isinstance(key, str) and (left + ".").startswith(key + ".")), key=len)
        content, left = content[step], left[len(step) + 1 :]
    return {{key: value for key, value in content.items() if hasattr(value, "shape")}}


if __name__ == "__main__":
    torch.save(converted(opened(sys.argv[1])), sys.argv[2])
'''
GROUPING = '''
def located(value, sizes):
    """The group that a number falls into where so many stand one behind the other, and its place in it; both from 0."""
    for group, size in enumerate(sizes):
        if 0 <= value < size:
            return group, value
        value -= size
    raise ValueError(value)

'''
_WEIGHT_NORM = '''
def weight_norm(g, v):
    """The weight of a layer under weight norm: v, each output at the length that g says."""
    length = v.flatten(1).norm(dim=1).reshape(-1, *[1] * (v.dim() - 1))
    return v * (g.reshape(length.shape) / length)

'''


def as_code(alignment: Alignment, script: str = "rename.py") -> str:
    """The script for this alignment.

    Raises:
        RuleError: a rule can't be written in it.
    """
    rules = [rule for rule in alignment.rules if rule.enabled]
    combined = [combination(rule.find) for rule in rules if rule.kind == "combine"]
    ways = {(ends.scaled, ends.less, bool(ends.third)) for ends in combined}
    scaled = ways == {(True, False, False)}
    kept, below = _left_out(alignment)
    changing = [line for rule in rules for line in _changes(rule)]
    if len(ways) > 1:
        raise RuleError("A script combines tensors in one way only: these rules do it in two.")
    lists = f"LEFT_OUT = {_as_tuple(kept)}\nLEFT_OUT_BELOW = {_as_tuple(below)}\n"
    filling = "".join(
        f"    out[{key!r}] = torch.full({alignment.architecture.tree[key].shape!r}, {value!r})\n"
        for key, value in alignment.fills.items()
    )
    naming = "\n".join(f"    {line}" for rule in rules for line in _names(rule))
    return _HEAD.format(
        network=visible(alignment.architecture.name),
        script=script,
        rules="\n".join(f"    {_in_docstring(str(rule))}" for rule in rules) or "    none: the keys fit as they are",
        path=alignment.state_dict.path,
        left_out=lists,
        naming=naming or "    # no key is renamed",
        grouping=GROUPING if needs_grouping(naming) else "",
        changing="\n".join(f"    {line}" for line in changing) or "    # no tensor is changed",
        combining=_WEIGHT_NORM if scaled else "",
        join=_join(combined[0]) if combined else "parts[0]",
        filling=filling,
    )


def _join(ends: Combination) -> str:
    """The expression that makes one tensor of its parts."""
    if ends.third:
        made = "parts[0] / (parts[1] @ (parts[0].flatten(1) @ parts[2]))"
    elif ends.scaled:
        made = "weight_norm(parts[0], parts[1])"
    else:
        made = f"parts[0] {'-' if ends.less else '*'} parts[1].to(parts[0].dtype)"
    return f"{made} if len(parts) == {len(ends.parts)} else parts[0]"


def _in_docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''")


def _as_tuple(texts: Iterable[str]) -> str:
    return f"({', '.join(map(repr, texts))}{',' if texts else ''})"


def _left_out(alignment: Alignment) -> tuple[list[str], list[str]]:
    """Keys of the file that are no part of the network, and fronts of keys behind which no other lies."""
    used = {source for recipe in alignment.recipes.values() for source in recipe.sources}
    left = [row.key for row in alignment.renaming.keys if row.key not in used and row.renamed is not None]
    if not left:
        return [], []
    fronts = {key[: at + 1] for key in used for at, mark in enumerate(key) if mark == "."}
    kept: dict[str, None] = {}
    below: dict[str, None] = {}
    for key in left:
        own = next((key[: at + 1] for at, mark in enumerate(key) if mark == "." and key[: at + 1] not in fronts), None)
        (kept if own is None else below)[own or key] = None
    return list(kept), list(below)


def pattern_and_replacement(rule: Rule) -> tuple[str, str] | None:
    """A renaming rule as a regular expression of Python and a Python expression for its replacement; None for others."""
    if rule.kind == "strip prefix":
        return f"^{_escaped(rule.find)}(?=.)", "''"
    if rule.kind == "add prefix":
        return "^", _raw(rule.find)
    if rule.kind == "remove segment":
        return rf"(?:^|(?<=\.)){_escaped(rule.find.strip('.'))}\.", "''"
    if rule.kind == "regex":
        return rule.find, repr(rule.to)
    if rule.kind == "rename":
        found = compiled(rule.find)
        return found.compiled.pattern, _replacement(pieces_of(rule.to, found), found.compiled.pattern)
    return None


def needs_grouping(code: str) -> bool:
    """Whether this code calls the function of `GROUPING`."""
    return "located(" in code


def _escaped(text: str) -> str:
    import re

    return re.escape(text)


def _raw(text: str) -> str:
    """A text that stands for itself in a replacement."""
    return repr(text.replace("\\", "\\\\"))


def _replacement(pieces: list[Piece], pattern: str) -> str:
    if all(isinstance(piece, str) for piece in pieces):
        return _raw("".join(piece for piece in pieces if isinstance(piece, str)))
    parts = []
    for piece in pieces:
        if isinstance(piece, str):
            parts += [repr(piece)] if piece else []
            continue
        if isinstance(piece, Chosen):
            parts.append(f'{piece.texts!r}[m["{piece.group}"]]')
            continue
        is_letter = f"(?P<{piece.name}>[0-9]+)" not in pattern and f"(?P<{piece.name}>(?:" not in pattern
        caught = f'ord(m["{piece.name}"].lower()) - 97' if is_letter else f'int(m["{piece.name}"])'
        if not piece.steps and not piece.letter and not is_letter:
            parts.append(f'm["{piece.name}"]')
            continue
        for sign, amount in piece.steps:
            if isinstance(amount, tuple):
                caught = f"located({caught}, {amount!r})[{int(sign == '%')}]"
            else:
                caught = f"({caught}) {sign} {amount}"
        value = f"number({caught})"
        parts.append(f"chr({ord(piece.letter)} + {value})" if piece.letter else f"str({value})")
    return f"lambda m: {' + '.join(parts)}"


def _names(rule: Rule) -> Iterator[str]:
    """Lines of `new_name` for one rule."""
    found = pattern_and_replacement(rule)
    if found is not None:
        yield f"key = sub({found[0]!r}, {found[1]}, key)"
    elif rule.kind == "drop":
        yield f"if re.search({compiled(rule.find).compiled.pattern!r}, key):"
        yield "    return None"
    elif rule.kind == "combine":
        ends = combination(rule.find)
        for part, end in enumerate(ends.parts):
            yield f"if key == {end!r} or key.endswith({'.' + end!r}):"
            yield f"    key, part = key[: -{len(end)}] + {rule.to!r}, {part}"


def _changes(rule: Rule) -> Iterator[str]:
    """Lines of `changed` for one rule."""
    if rule.kind == "transform":
        made = operation(rule.to)
        yield f"if re.search({compiled(rule.find).compiled.pattern!r}, name) and {made.fits}:"
        yield f"    t = {made.code}  # {rule.to}"
