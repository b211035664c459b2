"""What is the matter with this checkpoint and this network? Each situation is a row of a table: a test and a sentence.

The ids are those of the catalogue of what goes wrong; F and P rows are found while reading.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.checkpoint import Checkpoint, StateDict
from ckpt_explorer.errors import Diagnosis
from ckpt_explorer.key_pair import KeyPair, Status, Verdict, named
from ckpt_explorer.other_network import head_diagnosis, network_diagnoses, shape_diagnosis
from ckpt_explorer.suggestion import Candidate
from ckpt_explorer.suggestion.conv_biases import biases_before_norms, taking_off
from ckpt_explorer.suggestion.function_options import offers_for
from ckpt_explorer.suggestion.relatives import relatives_of
from ckpt_explorer.suggestion.rules import Alternative
from ckpt_explorer.suggestion.structure import networks_in
from ckpt_explorer.text import plural, shape_as_text, visible

if TYPE_CHECKING:
    from ckpt_explorer.suggestion.second_opinion import SecondOpinion


@dataclass(frozen=True)
class Situation:
    """All that a test may look at."""

    checkpoint: Checkpoint
    alignment: Alignment
    candidates: tuple[Candidate, ...]
    alternatives: tuple[Alternative, ...]
    opinion: SecondOpinion | None = None

    @property
    def head_rows(self) -> list[KeyPair]:
        """Rows of the model's last layer."""
        head = set(self.alignment.architecture.head)
        return [pair for pair in self.alignment.pairs if pair.model in head]


def _container(case: Situation) -> Diagnosis | None:
    path = case.alignment.state_dict.path
    if not path:
        return None
    return Diagnosis(
        "K1",
        f"The weights lie under {visible(path)!r}, beside other things",
        "the explorer takes them from there; in code, descend to it before load_state_dict.",
    )


def _lightning(case: Situation) -> Diagnosis | None:
    if not any(entry.path == "pytorch-lightning_version" for entry in case.checkpoint.entries):
        return None
    return Diagnosis(
        "K3",
        "PyTorch Lightning wrote this file",
        "its state dict has the attribute name of the network in front; the rules take it off.",
    )


def _prefix(case: Situation) -> Diagnosis | None:
    for rule, touched in zip(case.alignment.rules, case.alignment.renaming.touched, strict=True):
        if rule.kind == "strip prefix" and rule.enabled and touched.count:
            return Diagnosis(
                "K6",
                f"{plural(touched.count, 'key')} stand behind the prefix {visible(rule.find)!r}, as a wrapper leaves it",
                "the rule strips it exactly.",
            )
    return None


def _copies(case: Situation) -> Diagnosis | None:
    if not case.alternatives:
        return None
    others = named([f"{row.state_dict} {row.prefix}".strip() for row in case.alternatives])
    return Diagnosis(
        "K9",
        f"The file holds the network more than once ({others})",
        "choose the copy to load; averaged and raw weights can differ in accuracy.",
    )


def _counters(case: Situation) -> Diagnosis | None:
    if case.alignment.verdict is Verdict.INCOMPATIBLE or not any(
        pair.is_counter for pair in case.alignment.rows(Status.MISSING)
    ):
        return None
    return Diagnosis(
        "V3",
        "num_batches_tracked is not in the file, as torch before 0.4.1 wrote it",
        "nothing depends on it; it starts at 0.",
    )


def _class_count(case: Situation) -> Diagnosis | None:
    for pair in case.head_rows:
        ours, theirs = pair.checkpoint_shape, pair.model_shape
        if pair.status is Status.SHAPE_MISMATCH and ours and theirs and ours[1:] == theirs[1:]:
            return Diagnosis(
                "A10",
                f"Only the class count differs: {visible(pair.name)} is {shape_as_text(ours)} in the file and {shape_as_text(theirs)} in the network",
                f"build the network with {ours[0]:,} classes, or load partially and train a new head.",
            )
    return None


def _no_head(case: Situation) -> Diagnosis | None:
    rows = [pair for pair in case.head_rows if not pair.is_counter]
    if (
        not rows
        or any(pair.status is not Status.MISSING for pair in rows)
        or case.alignment.verdict is Verdict.INCOMPATIBLE
    ):
        return None
    return Diagnosis(
        "A11",
        "The file has no last layer for this network",
        "use the features, or train a head: class answers would be random.",
    )


def _relative(case: Situation) -> tuple[str, str] | None:
    """The family that the file seems to be of, and what shows it: the same whatever the rules are."""
    state_dict = case.alignment.state_dict
    if state_dict not in _relatives:
        networks = networks_in(state_dict)
        _relatives[state_dict] = next(relatives_of(state_dict, networks[0] if networks else None), None)
    return _relatives[state_dict]


_relatives: WeakKeyDictionary[StateDict, tuple[str, str] | None] = WeakKeyDictionary()


def _strangers(case: Situation) -> Diagnosis | None:
    if not case.alignment.strangers:
        return None
    biases = biases_before_norms(case.alignment)
    renamed = {pair.renamed for pair in case.alignment.pairs if pair.checkpoint in biases}
    if renamed.issuperset(case.alignment.strangers) and (rules := taking_off(case.alignment)):
        lines = "; ".join(str(rule) for rule in rules)
        return Diagnosis(
            "A7",
            f"{plural(len(biases), 'conv')} of the file {'has' if len(biases) == 1 else 'have'} a bias, as {visible(next(iter(biases)))}, which the network's {'has' if len(biases) == 1 else 'have'} not, with a BatchNorm behind",
            f"take each bias off the BatchNorm's running mean, which computes the same: decide unexpected=into the norms, or add these rules: {lines}.",
        )
    relative = _relative(case)
    seems = f"; it seems to be {relative[0]}, as {visible(relative[1])} shows" if relative else ""
    return Diagnosis(
        "A7",
        f"The file holds learned tensors inside the network that it has no place for: {named(case.alignment.strangers)}{seems}",
        "find the class that this file was trained with, and give it as your own; a partial load would compute something else.",
    )


def _another_family(case: Situation) -> Diagnosis | None:
    if case.alignment.verdict is not Verdict.INCOMPATIBLE or case.alignment.strangers:
        return None
    relative = _relative(case)
    if relative is None:
        return None
    return Diagnosis(
        "A7",
        f"The file seems to be {relative[0]}: {visible(relative[1])} shows it{_nearest(case)}",
        "find the class that this file was trained with, and give it as your own.",
    )


def _nearest(case: Situation) -> str:
    """The network with a name that the file is nearest to, and in what it differs from that."""
    named_one = next((row for row in case.candidates if row.name != "custom"), None)
    if named_one is None or not named_one.against:
        return ""
    return f". The nearest network with a name is {named_one.name}, but {named_one.against}"


def _by_order(case: Situation) -> Diagnosis | None:
    doubted = case.alignment.doubted
    if not doubted or case.alignment.verdict is Verdict.INCOMPATIBLE:
        return None
    return Diagnosis(
        "K18",
        f"Nothing but the order of names decides where {plural(len(doubted), 'tensor')} of the file belong ({named(doubted)})",
        "compare with the code that trained them: tensors of one shape load in each other's place without a word.",
    )


def _second_opinion(case: Situation) -> Diagnosis | None:
    return None if case.opinion is None else case.opinion.diagnosis


def _function_options(case: Situation) -> Diagnosis | None:
    if case.alignment.verdict is Verdict.INCOMPATIBLE or case.alignment.architecture.kind not in ("named", "custom"):
        return None
    bottleneck = any(".conv3." in key for key in case.alignment.architecture.tree)
    offer = offers_for(list(case.alignment.state_dict)[:2000], bottleneck, case.alignment.architecture.options)
    if offer is None:
        return None
    options = " ".join(f"--option {name}={value}" for name, value in offer.options.items())
    return Diagnosis(
        "S5",
        f"The names are those of {offer.framework}, whose networks may differ in {', '.join(offer.options)}: keys do not show it",
        f"compare answers with and without {options} (on the Align page: the network's options).",
    )


def _no_resnet(case: Situation) -> Diagnosis | None:
    if case.candidates:
        return None
    return Diagnosis(
        "F14",
        "No residual stages were found in this state dict",
        "choose another state dict of the file, or give the class it was trained with.",
    )


def _double(case: Situation) -> Diagnosis | None:
    floats = [info.dtype for info in case.alignment.state_dict.values() if "float" in info.dtype]
    if floats.count("float64") * 2 <= len(floats):
        return None
    return Diagnosis(
        "D4",
        "The weights are saved in double precision (float64), which no MPS device computes with",
        "they are cast to float32 on loading, which rounds them.",
    )


def _half(case: Situation) -> Diagnosis | None:
    halves = {info.dtype for info in case.alignment.state_dict.values()} & {"float16", "bfloat16"}
    if not halves:
        return None
    return Diagnosis(
        "D5",
        f"The weights are saved in half precision ({', '.join(sorted(halves))})",
        "they are cast to float32 for the CPU, which loses nothing.",
    )


TESTS: tuple[Callable[[Situation], Diagnosis | None], ...] = (
    _no_resnet,
    _strangers,
    _another_family,
    _by_order,
    _second_opinion,
    _container,
    _lightning,
    _prefix,
    _copies,
    _class_count,
    _no_head,
    _counters,
    _half,
    _double,
    _function_options,
)


def diagnoses_of(
    checkpoint: Checkpoint,
    alignment: Alignment,
    candidates: tuple[Candidate, ...],
    alternatives: tuple[Alternative, ...],
    opinion: SecondOpinion | None = None,
) -> tuple[Diagnosis, ...]:
    """What is to be said of this checkpoint and this network, in the order of the table."""
    case = Situation(checkpoint, alignment, candidates, alternatives, opinion)
    found = [row for test in TESTS if (row := test(case))]
    ids = {row.id for row in found}
    apart = [] if "A7" in ids and _relative(case) else list(network_diagnoses(alignment, candidates))
    if apart:  # where two plain networks part says more than that something is left over
        found = [row for row in found if row.id != "A7"]
    head = head_diagnosis(alignment, case.head_rows)
    if head is not None:  # it says more than that the last layer is missing
        found = [row for row in found if row.id != "A11"] + [head]
    shape = shape_diagnosis(alignment, known=bool(apart) or "A10" in ids)
    return (*apart, *found, *([] if shape is None else [shape]))
