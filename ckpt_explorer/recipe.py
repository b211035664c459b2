"""Recipe: how one tensor of the network is made of the file's: its sources, and the arithmetic that rules state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckpt_explorer.checkpoint import StateDict
from ckpt_explorer.rules import RenamedKey, RuleSet
from ckpt_explorer.rules.arithmetic import Combination, Shape, combination, operation

if TYPE_CHECKING:
    import torch


class Recipe(NamedTuple):
    """The file's keys that make a tensor, in order, and what is done to them; `rules` are the rules that say so.

    Without `combination` and `steps` the tensor is its one source as it is.
    """

    sources: tuple[str, ...]
    shape: Shape
    combination: Combination | None = None
    steps: tuple[str, ...] = ()
    rules: tuple[int, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the tensor is its source as it is."""
        return self.combination is None and not self.steps

    @property
    def says(self) -> str:
        """The arithmetic in words."""
        made = [] if self.combination is None else [str(self.combination)]
        return ", then ".join([*made, *self.steps])

    def tensor(self, state_dict: StateDict) -> torch.Tensor:
        """The tensor; its sources are read now and not before."""
        tensors = [state_dict.dense(key) for key in self.sources]
        made = tensors[0] if self.combination is None else self.combination.compute(*tensors)
        for step in self.steps:
            made = operation(step).compute(made)
        return made if self.is_plain else made.contiguous()


def recipe_for(rows: Sequence[RenamedKey], rules: RuleSet, shapes: Mapping[str, Shape]) -> Recipe | None:
    """What the rules make of the keys that have one name; None where two parts are wanted and they don't fit."""
    rows = sorted(rows, key=lambda row: row.operand[1] if row.operand else 0)
    sources = tuple(row.key for row in rows)
    made: Combination | None = None
    in_force: list[int] = []
    shape: Shape | None = shapes[sources[0]]
    if rows[0].operand is not None:
        position = rows[0].operand[0]
        made = combination(rules[position].find)
        parts = [row.operand for row in rows]
        if made.less and parts == [(position, 0)]:
            made = None
        elif parts != [(position, part) for part in range(len(made.parts))]:
            return None
        else:
            shape = made.shape([shapes[key] for key in sources])
            in_force.append(position)
    if shape is None:
        return None
    steps = []
    for position in dict.fromkeys(position for row in rows for position in row.rules):
        rule = rules[position]
        if rule.kind == "transform" and (after := operation(rule.to).shape(shape)) is not None:
            steps.append(rule.to)
            shape = after
            in_force.append(position)
    return Recipe(sources, shape, made, tuple(steps), tuple(in_force))
