"""align(): line a state dict's keys up against a network, one KeyPair a row, and say whether they fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from ckpt_explorer.architectures.architecture import Architecture, ModelTensor
from ckpt_explorer.checkpoint import Checkpoint, StateDict
from ckpt_explorer.collector import collector_paused
from ckpt_explorer.errors import CheckpointExplorerError, RuleError
from ckpt_explorer.fit import fit
from ckpt_explorer.key_pair import KeyPair, Status, Verdict, is_counter
from ckpt_explorer.recipe import Recipe, recipe_for
from ckpt_explorer.rules import RenamedKey, Renaming, RuleSet, Touched
from ckpt_explorer.rules.arithmetic import filling
from ckpt_explorer.rules.pattern import compiled
from ckpt_explorer.strangers import belongs_to_a_variable, strangers_among
from ckpt_explorer.verdict import explain

if TYPE_CHECKING:
    import torch

__all__ = ["Alignment", "KeyPair", "Status", "Verdict", "align", "align_despite"]


@dataclass(frozen=True, eq=False)
class Alignment:
    """A state dict held against a network: rows in the model's order, then what is left of the file.

    `recipes` say for each filled key of the model how it is made, `fills` are constants that rules put where the file
    has nothing, and `by_order` the file's keys that nothing but order put in their place.
    """

    state_dict: StateDict
    architecture: Architecture
    rules: RuleSet
    renaming: Renaming
    pairs: tuple[KeyPair, ...]
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    fills: Mapping[str, float] = field(default_factory=dict)
    by_order: frozenset[str] = frozenset()

    def tensor(self, model_key: str) -> torch.Tensor:
        """The tensor that the file gives for a key of the model, after the stated arithmetic; read when it is asked for.

        Raises:
            KeyError: the file gives none.
        """
        return self.recipes[model_key].tensor(self.state_dict)

    def tensors(
        self, keys: Iterable[str] | None = None, waiting: Callable[[], None] | None = None
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """The same for each of these keys of the model, by default all that are filled, in order.

        Of a file at an address, what all of them need comes in a few large requests. `waiting` is called whenever some
        of that has arrived, and may raise to abandon it.
        """
        from ckpt_explorer.reading.sources.ahead import Ahead

        sources = {key: self.recipes[key].sources for key in (self.recipes if keys is None else keys)}
        infos = {key: [self.state_dict[name] for name in names] for key, names in sources.items()}
        ahead = Ahead(info for some in infos.values() for info in some)
        for key, some in infos.items():
            ahead.bring(some, waiting)
            yield key, self.tensor(key)

    def rows(self, *statuses: Status) -> tuple[KeyPair, ...]:
        """The rows that have one of these statuses."""
        return tuple(pair for pair in self.pairs if pair.status in statuses)

    @cached_property
    def summary(self) -> dict[str, int]:
        """How many rows have each status, by its name with an underscore."""
        counts = Counter(pair.status for pair in self.pairs)
        return {str(status).replace(" ", "_"): counts[status] for status in Status}

    @cached_property
    def filled(self) -> tuple[str, ...]:
        """The model's keys that the file fills, without counters of batches: those are no evidence of anything."""
        rows = self.rows(Status.MATCHED, Status.ADAPTED)
        return tuple(dict.fromkeys(pair.model for pair in rows if pair.model and not is_counter(pair.model)))

    @cached_property
    def unfilled(self) -> tuple[str, ...]:
        """The model's keys that the file does not fill; counters of batches are not asked for."""
        rows = self.rows(Status.MISSING, Status.SHAPE_MISMATCH)
        keys = dict.fromkeys(pair.model for pair in rows if pair.model and not is_counter(pair.model))
        return tuple(key for key in keys if key not in self.fills)

    @cached_property
    def doubted(self) -> tuple[str, ...]:
        """The model's keys that nothing but the order of names gave their source."""
        rows = self.rows(Status.MATCHED, Status.ADAPTED)
        keys = (pair.model for pair in rows if pair.model and pair.checkpoint in self.by_order)
        return tuple(dict.fromkeys(key for key in keys if not is_counter(key)))

    @cached_property
    def strangers(self) -> tuple[str, ...]:
        """Learned tensors of the file that lie inside a part of the model and have no place there, by renamed key."""
        placed = {pair.checkpoint for pair in self.pairs if pair.model and pair.checkpoint}
        left = [
            pair
            for pair in self.rows(Status.UNEXPECTED)
            if pair.renamed and not pair.is_counter and not belongs_to_a_variable(pair.checkpoint or "", placed)
        ]
        if not left:
            return ()
        filled = _modules(pair.model for pair in self.pairs if pair.model and pair.checkpoint)
        origin = set(strangers_among(self.pairs, self.architecture.head, self._first_conv))
        head = tuple({part.rsplit(".", 1)[0] + "." for part in self.architecture.head})
        depth = 2 if len({name.split(".")[0] for name in self.architecture.tree}) == 1 else 1
        return tuple(
            pair.renamed
            for pair in left
            if pair.renamed and (pair.checkpoint in origin or _inside(pair.renamed, filled, head, depth))
        )

    @property
    def _first_conv(self) -> str | None:
        """The model's key of the conv that takes the image."""
        return next((key for key, wanted in self.architecture.tree.items() if len(wanted.shape) >= 4), None)

    @cached_property
    def verdict(self) -> Verdict:
        """Complete, partial or incompatible, as DESIGN's words have it. See `says` for the reason."""
        if not self.filled or not set(self.unfilled) <= set(self.architecture.head):
            return Verdict.INCOMPATIBLE
        if self.strangers:  # asked last: to look for them among many keys takes its time
            return Verdict.INCOMPATIBLE
        if not self.unfilled:  # constants are no values of the file: what they stand for is for a person to confirm
            return Verdict.PARTIAL if self.fills else Verdict.COMPLETE
        return Verdict.PARTIAL

    @property
    def says(self) -> str:
        """The verdict and its reason, in one or two sentences for a person."""
        return explain(self)

    def _row_as_json(self, pair: KeyPair) -> dict[str, Any]:
        row = pair.as_json()
        if pair.model and pair.checkpoint in self.by_order:
            row["by_order"] = True
        return row

    def as_json(self) -> dict[str, Any]:
        """What `align --json` gives, without alternatives and diagnoses."""
        rules = [
            {**rule.as_json(), "touches": row.count}
            for rule, row in zip(self.rules, self.renaming.touched, strict=True)
        ]
        return {
            "state_dict": self.state_dict.path,
            "architecture": self.architecture.as_json(),
            "rules": rules,
            "keys": [self._row_as_json(pair) for pair in self.pairs],
            "summary": self.summary,
            "verdict": str(self.verdict),
            "says": self.says,
        }


@collector_paused()
def align(
    source: Checkpoint | StateDict,
    architecture: Architecture,
    rules: RuleSet | None = None,
    by_order: frozenset[str] = frozenset(),
) -> Alignment:
    """Hold a state dict against a network, through `rules`.

    `by_order` are keys of the file of which whoever wrote the rules says that only order put them in their place.

    Of a Checkpoint, the state dict is the one that a `take from` rule names, else the selected one. No tensor is
    read: keys, shapes and dtypes decide.

    Raises:
        RuleError: a rule is not valid; RuleCollision: two keys would get one name.
        CheckpointExplorerError: a `take from` rule names a state dict that is not there.
    """
    rules = rules or RuleSet()
    state_dict = source
    if isinstance(source, Checkpoint):
        state_dict = source.state_dict if rules.taken_from is None else _taken(source, rules)
    assert isinstance(state_dict, StateDict)
    renaming = rules.apply(state_dict)
    arithmetic = frozenset(at for at, rule in enumerate(rules) if rule.kind == "transform")
    by_name: dict[str, list[RenamedKey]] = {}
    for row in renaming.keys:
        if row.renamed is not None and row.renamed in architecture.tree:
            by_name.setdefault(row.renamed, []).append(row)
    recipes: dict[str, Recipe] = {}
    fills = _fills(rules, [key for key in architecture.tree if key not in by_name], architecture)
    pairs: list[KeyPair] = []
    for key, wanted in architecture.tree.items():
        if key not in by_name:
            pairs.append(_missing_row(key, wanted, fills))
        elif (recipe := _recipe(by_name[key], rules, arithmetic, state_dict)) is None:
            pairs += _unmade_rows(by_name[key], key, wanted, state_dict)
        else:
            pairs += (rows := _model_rows(by_name[key], recipe, key, wanted, state_dict))
            if rows[0].status is not Status.SHAPE_MISMATCH:
                recipes[key] = recipe
    left = [row for row in renaming.keys if row.renamed not in architecture.tree]
    unexpected = _left_rows([row for row in left if row.renamed is not None], state_dict, Status.UNEXPECTED)
    ignored = _left_rows([row for row in left if row.renamed is None], state_dict, Status.IGNORED)
    values = {key: value for key, (value, _) in fills.items()}
    counted = _counted(rules, renaming, recipes, fills)
    return Alignment(
        state_dict, architecture, rules, counted, (*pairs, *unexpected, *ignored), recipes, values, by_order
    )


def _recipe(rows: list[RenamedKey], rules: RuleSet, arithmetic: frozenset[int], state_dict: StateDict) -> Recipe | None:
    row = rows[0]
    if len(rows) == 1 and row.operand is None and arithmetic.isdisjoint(row.rules):
        return Recipe((row.key,), state_dict[row.key].shape)
    return recipe_for(rows, rules, {row.key: state_dict[row.key].shape for row in rows})


def _fills(rules: RuleSet, missing: list[str], architecture: Architecture) -> dict[str, tuple[float, int]]:
    """The constants that fill rules put into missing keys of the model, with the rule's position."""
    fills: dict[str, tuple[float, int]] = {}
    for position, rule in enumerate(rules):
        if rule.kind == "fill" and rule.enabled:
            value = filling(rule.to, float(architecture.options.get("eps", 1e-5)))
            found = compiled(rule.find)
            fills.update({key: (value, position) for key in missing if found.found_in(key, 1.0)})
    return fills


def _counted(
    rules: RuleSet, renaming: Renaming, recipes: Mapping[str, Recipe], fills: Mapping[str, tuple[float, int]]
) -> Renaming:
    """The renaming with, for rules of arithmetic, the tensors that they really change."""
    if not any(rule.kind in ("transform", "fill") for rule in rules):
        return renaming
    changed = Counter(position for recipe in recipes.values() for position in recipe.rules)
    examples = {at: (recipe.sources[0], key) for key, recipe in recipes.items() for at in recipe.rules}
    filled = Counter(position for _, position in fills.values())
    touched = list(renaming.touched)
    for position, rule in enumerate(rules):
        if rule.kind == "transform":
            touched[position] = Touched(changed[position], *examples.get(position, (None, None)))
        elif rule.kind == "fill":
            first = next((key for key, (_, at) in fills.items() if at == position), None)
            touched[position] = Touched(filled[position], first, first)
    return Renaming(renaming.keys, tuple(touched))


def _taken(source: Checkpoint, rules: RuleSet) -> StateDict:
    """The state dict that the last `take from` names; where there is none, the complaint is about that rule."""
    position, rule = [row for row in enumerate(rules) if row[1].kind == "take from" and row[1].enabled][-1]
    try:
        return source.state_dict_at(rule.find)
    except CheckpointExplorerError as error:
        raise RuleError(str(error), position) from None


def align_despite(
    source: Checkpoint | StateDict,
    architecture: Architecture,
    rules: RuleSet,
    by_order: frozenset[str] = frozenset(),
) -> tuple[Alignment, dict[int, str]]:
    """Align with as many of `rules` as can be applied: one that can't is switched off, and its complaint given.

    For a person who edits rules: the rest of the list goes on working while one rule is wrong. The complaints are
    sentences by position; the alignment's own rules are those in force.
    """
    complaints: dict[int, str] = {}
    while True:
        try:
            return align(source, architecture, rules, by_order), complaints
        except RuleError as error:
            if error.position is None or error.position in complaints:
                raise
            complaints[error.position] = str(error)
            rules = rules.replaced(error.position, rules[error.position].switched(False))


def _missing_row(key: str, wanted: ModelTensor, fills: Mapping[str, tuple[float, int]]) -> KeyPair:
    if key in fills:
        value, position = fills[key]
        note = f"not in the file: filled with {value:g}, as rule {position + 1} says"
        return KeyPair(None, None, key, Status.MISSING, None, wanted.shape, wanted.dtype, position, note)
    note = "a counter that is not needed" if is_counter(key) else ""
    return KeyPair(None, None, key, Status.MISSING, None, wanted.shape, wanted.dtype, note=note)


def _unmade_rows(rows: list[RenamedKey], key: str, wanted: ModelTensor, state_dict: StateDict) -> list[KeyPair]:
    """Rows for parts of a tensor that can't be put together."""
    return [
        KeyPair(
            row.key,
            row.renamed,
            key,
            Status.SHAPE_MISMATCH,
            state_dict[row.key].shape,
            wanted.shape,
            state_dict[row.key].dtype,
            row.rules[-1] if row.rules else None,
            "the tensor that it is to be combined with is not there, or has another shape",
        )
        for row in rows
    ]


def _model_rows(
    rows: list[RenamedKey], recipe: Recipe, key: str, wanted: ModelTensor, state_dict: StateDict
) -> list[KeyPair]:
    """One row a source of the model's tensor."""
    made = []
    for row in rows:
        info = state_dict[row.key]
        status, note = fit(recipe.shape, info.dtype, wanted)
        if not recipe.is_plain:
            note = "; ".join(part for part in (recipe.says, note) if part)
            if status is Status.MATCHED or (status is Status.SHAPE_MISMATCH and recipe.shape == wanted.shape):
                status = Status.ADAPTED
        rule = row.rules[-1] if row.rules else None
        made.append(KeyPair(row.key, row.renamed, key, status, info.shape, wanted.shape, info.dtype, rule, note))
    return made


def _left_rows(rows: list[RenamedKey], state_dict: StateDict, status: Status) -> list[KeyPair]:
    """Rows for keys of the file that have no place in the model. Column by column: there may be 50,000 of them."""
    if not rows:
        return []
    keys, renamed, touched, _ = zip(*rows, strict=True)
    infos = list(map(state_dict.tensors.__getitem__, keys))
    last = [rules[-1] if rules else None for rules in touched]
    shapes, dtypes = map(attrgetter("shape"), infos), map(attrgetter("dtype"), infos)
    nothing = repeat(None, len(keys))
    columns = zip(keys, renamed, nothing, repeat(status), shapes, repeat(None), dtypes, last, repeat(""), strict=False)
    return list(map(_NEW_TUPLE, repeat(KeyPair), columns))


_NEW_TUPLE: Callable[..., KeyPair] = tuple.__new__
"""Faster than the named tuple's own constructor, which wants its fields one by one."""


def _modules(keys: Iterable[str]) -> set[str]:
    """All dotted module paths above `keys`."""
    paths: set[str] = set()
    for key in keys:
        parts = key.split(".")
        paths.update(".".join(parts[:depth]) for depth in range(1, len(parts)))
    return paths


def _inside(key: str, filled: set[str], head: tuple[str, ...], depth: int) -> bool:
    """Whether `key` lies inside a module of the model that the file fills, its head excepted.

    `depth` is 1, or 2 where the model keeps everything below one name.
    """
    path = key.split(".", depth)
    if (key + ".").startswith(head) or path[0] + "." in head:
        return False
    return (depth == 1 or len(path) > 2) and ".".join(path[:depth]) in filled
