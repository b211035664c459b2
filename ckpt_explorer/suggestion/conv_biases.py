"""Biases of convs that a BatchNorm follows: what a network without them needs, to compute the same as one with them.

BatchNorm takes its mean off what a conv gives, so a bias in front of it changes nothing but that mean: a network
without the bias, and with the mean less the bias, gives the same answers, in training as well.
"""

from __future__ import annotations

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.anatomy.leaves import Leaf
from ckpt_explorer.errors import RuleError
from ckpt_explorer.key_pair import Status
from ckpt_explorer.rules import Rule, RuleSet
from ckpt_explorer.suggestion.pairing import model_anatomy
from ckpt_explorer.suggestion.structure import networks_in
from ckpt_explorer.suggestion.templates import generalise

WORD = "conv_bias"
"""The leaf under which a bias waits beside the mean that it is taken off."""

WHY_CARRIED = "each conv has a bias that the network's has not: it is carried to the BatchNorm behind it"
WHY_TAKEN_OFF = (
    "BatchNorm takes its mean off what the conv gives: the mean less the bias does the same without the bias"
)


def biases_before_norms(alignment: Alignment) -> dict[str, str]:
    """The file's keys of conv biases without a place, each with the network's mean that it can be taken off.

    Told from structure: the bias lies with the tensor that fills the conv, and the mean is that of the norm behind it.
    """
    left = {pair.checkpoint for pair in alignment.rows(Status.UNEXPECTED) if pair.renamed}
    networks = networks_in(alignment.state_dict) if left else []
    model = model_anatomy(alignment.architecture) if networks else None
    if model is None:
        return {}
    beside = {
        layer.keys[Leaf("weight")]: bias
        for layer in networks[0].layers.convs
        if Leaf("weight") in layer.keys and (bias := layer.keys.get(Leaf("bias"))) in left and bias is not None
    }
    found: dict[str, str] = {}
    for place, row in model.placed.items():
        norm = model.placed.get(place._replace(norm=True))
        weight = row.layer.keys.get(Leaf("weight"), "")
        if place.norm or norm is None or weight not in alignment.recipes:
            continue
        mean = norm.layer.keys.get(Leaf("mean"), "")
        bias = beside.get(alignment.recipes[weight].sources[0])
        if bias is None or mean not in alignment.recipes:
            continue
        if alignment.state_dict[bias].shape == alignment.recipes[mean].shape:
            found[bias] = mean
    return found


def taking_off(alignment: Alignment) -> tuple[Rule, ...]:
    """The rules that take the biases of `biases_before_norms` off the means; none where they would do anything else."""
    biases = biases_before_norms(alignment)
    if not biases:
        return ()
    names = {pair.checkpoint: pair.renamed for pair in alignment.pairs if pair.checkpoint in biases and pair.renamed}
    carried = {
        name: f"{mean.rpartition('.')[0]}.{WORD}"
        for key, mean in biases.items()
        if (name := names.get(key)) is not None
    }
    leaf = next(iter(biases.values())).rpartition(".")[2]
    combine = Rule("combine", f"{leaf} - {WORD}", leaf, why=WHY_TAKEN_OFF)
    before = [pair.renamed for pair in alignment.pairs if pair.renamed is not None]
    wanted = [carried.get(name, name) for name in before]
    for table, front in ((_inside_of_blocks(carried, alignment), ""), (carried, "^")):
        rules = [Rule("rename", f"{front}{find}$", to, why=WHY_CARRIED) for find, to in generalise(table)]
        try:
            if table and RuleSet(tuple(rules)).names(before) == wanted:
                return (*rules, combine)
        except RuleError:  # names that no pattern can hold
            continue
    return ()


def _inside_of_blocks(carried: dict[str, str], alignment: Alignment) -> dict[str, str]:
    """The same names below the blocks that they lie in; empty where one would mean two things."""
    model = model_anatomy(alignment.architecture)
    roots = sorted({row.root for row in model.placed.values() if row.root} if model else (), key=len, reverse=True)
    found: dict[str, str] = {}
    for name, to in carried.items():
        root = next((f"{root}." for root in roots if name.startswith(f"{root}.") and to.startswith(f"{root}.")), "")
        if found.setdefault(name[len(root) :], to[len(root) :]) != to[len(root) :]:
            return {}
    return found
