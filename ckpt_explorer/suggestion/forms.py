"""Forms: the names of layers in file and network side by side, each once, cut into block, layer and tensor.

A ResNet-152 has 932 keys, and 311 layers in 50 blocks: rules are looked for in these, and tried on all keys.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from ckpt_explorer.rules import Rule, RuleSet
from ckpt_explorer.suggestion.pairing import Pair

Rename = tuple[str, str]


class Form(NamedTuple):
    """A layer's name: in the file its block's `root`, the `layer` in it, and what separates a tensor `behind` it.

    `leaves` are words for its tensors that differ; `part` is stem, block or head, and `slot` the conv in a block that it
    is, or belongs to. `counted` is a name that it bears for a while where the file counts all convs alike.
    """

    root: str
    layer: str
    behind: str
    model_root: str
    model_layer: str
    leaves: tuple[Rename, ...]
    part: str
    slot: str
    is_norm: bool
    counted: str = ""

    @property
    def ours(self) -> str:
        """The front of its keys in the file."""
        return self.root + self.layer + self.behind

    @property
    def theirs(self) -> str:
        """The front of its keys in the network."""
        return f"{self.model_root}{self.counted or self.model_layer}."


def forms_of(pairs: Sequence[Pair]) -> list[Form]:
    """The layers of these pairs, each once."""
    leaves: dict[tuple[str, str, str, str, str, str], dict[str, str]] = defaultdict(dict)
    for file, model, place, _, operand, _ in pairs:
        words = leaves[(file.root, file.layer, file.leaf[:1], model.root, model.layer, place)]
        if not operand and file.leaf[1:] != model.leaf[1:]:
            words[file.leaf[1:]] = model.leaf[1:]
    return [_form(names, tuple(words.items())) for names, words in leaves.items()]


def _form(names: tuple[str, str, str, str, str, str], leaves: tuple[Rename, ...]) -> Form:
    root, layer, behind, model_root, model_layer, place = names
    part, _, slot = place.partition(" ")
    plain = slot.removesuffix(" norm")
    return Form(root, layer, behind, model_root, model_layer, leaves, part, plain, plain != slot)


def renamed_forms(forms: Sequence[Form], start: Sequence[Rule]) -> list[Form]:
    """The forms behind the rules that a list starts with."""
    if not start:
        return list(forms)
    names = RuleSet(tuple(start)).names([f"{form.ours}x" for form in forms])
    cut = [_cut(form, (name or "x")[:-1]) for form, name in zip(forms, names, strict=True)]
    roots: dict[str, Counter[str]] = defaultdict(Counter)
    for form in cut:
        if form.root:
            roots[form.model_root][form.root] += 1
    return [form if form.root or not form.model_root else _rooted(form, roots[form.model_root]) for form in cut]


def _cut(form: Form, name: str) -> Form:
    """A form whose name has lost its front, or segments inside of it."""
    if name == form.ours:
        return form
    layer = name[: len(name) - len(form.behind)]
    if form.root and name.startswith(form.root) and len(layer) > len(form.root):
        return form._replace(layer=layer[len(form.root) :])
    if form.ours.endswith(name) and len(form.ours) - len(name) <= len(form.root):
        return form._replace(root=form.root[len(form.ours) - len(name) :])
    return form._replace(root="", layer=layer)


def _rooted(form: Form, roots: Counter[str]) -> Form:
    """A form with the root that other layers of its block have, where its name begins with that."""
    root = next((root for root, _ in roots.most_common() if form.layer.startswith(root)), "")
    return form._replace(root=root, layer=form.layer[len(root) :])


def counted_forms(forms: Sequence[Form]) -> list[Form]:
    """The forms with the shortcut as one more conv of its block, where no block has a name of its own in the file.

    Such files count all convs, the shortcut's among them: `conv2d_5` stands behind `conv2d_4`. Empty where it is not so.
    """
    if any(form.root for form in forms) or not any(form.slot == "shortcut" for form in forms):
        return []
    first = {form.is_norm: form.model_layer for form in forms if form.slot == "conv1"}
    slots = {form.slot for form in forms if form.part == "block"}
    if len(first) < 2 or not all(name.endswith("1") for name in first.values()):
        return []
    return [
        form._replace(counted=f"{first[form.is_norm][:-1]}{len(slots)}") if form.slot == "shortcut" else form
        for form in forms
    ]


def shortcuts_of(forms: Sequence[Form]) -> dict[str, str]:
    """What becomes of the names that shortcuts bear for a while."""
    return {f"{form.counted[1:]}.": f"{form.model_layer[1:]}." for form in forms if form.counted}
