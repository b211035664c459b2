"""Health: what is odd in the tensors themselves, before anything is computed with them.

Only the values that came from the file are looked at, by their role: a zero in a BatchNorm's shift is nothing, a zero
in all of a kernel is the end of its layer. What honest files have as well (dead channels, a whole kind of tensor at its
start value because the network was made so) is a remark or nothing; the rest is a doubt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ckpt_explorer.evidence.wiring.silence import silent_tensors
from ckpt_explorer.key_pair import is_counter
from ckpt_explorer.loading import LoadedModel
from ckpt_explorer.text import plural

if TYPE_CHECKING:
    import torch

Role = Literal["kernel", "scale", "shift", "mean", "variance"]

BLIND = "It can't see values that are plausible and wrong: a random or shuffled kernel is as healthy as a trained one."

ABSURD: Mapping[Role, float] = {"kernel": 65504.0, "scale": 65504.0, "shift": 65504.0, "mean": 1e9, "variance": 1e18}
"""Beyond this a value is no weight: the largest number of half precision, in which every sound network can be saved; the
statistics of a first layer that is fed 0..255 can be larger."""

ODD_ONE_OUT = 0.2
"""A start value in more than this share of a role's tensors is how the network was made, and not a fault of one of them."""

MAY_BE_DEAD = ("all zero", "dead channels", "tiny variance")
"""What training and pruning do as well as an accident; which of them it was, the layers before and behind know."""

DEAD_IN_TRAINING = "nothing arrives there by the weights and by the statistics, as pruning and weight decay leave it"

TINY_VARIANCE = 1e-20
"""Below this a channel has not moved for hundreds of batches: each one took a tenth of what was left."""


@dataclass(frozen=True)
class HealthRow:
    """One odd tensor: the model's key, what was found in two words, and how many values or channels it is.

    `is_doubt` is False for what honest files have as well.
    """

    key: str
    finding: str
    detail: str
    is_doubt: bool = True

    def as_json(self) -> dict[str, str]:
        """`{"key", "finding", "detail"}`."""
        return {"key": self.key, "finding": self.finding, "detail": self.detail}


def check_health(loaded: LoadedModel) -> tuple[HealthRow, ...]:
    """What is odd in the tensors that came from the file, in the model's order; one row a tensor, the worst finding."""
    here = loaded.module.state_dict()
    sources = {**loaded.report.matched, **loaded.report.adapted}
    keys = [key for key in loaded.architecture.tree if key in sources and not is_counter(key)]
    tensors = {key: here[key] for key in keys if here[key].is_floating_point() and here[key].numel()}
    roles = {key: _role(key, tensors) for key in tensors}
    start = {key: value for key in tensors if (value := _still_at(tensors[key], roles[key])) is not None}
    rows: list[HealthRow] = []
    for key, tensor in tensors.items():
        found = next(_findings(key, tensor, roles[key]), None)
        if found is None and key in start and _is_odd_one_out(key, roles, start):
            found = HealthRow(key, "still at its start value", start[key])
        if found is not None:
            rows.append(found)
    return tuple(_without_silence(rows, loaded))


def _without_silence(rows: list[HealthRow], loaded: LoadedModel) -> list[HealthRow]:
    """The rows, of which those are remarks that the rest of the network bears out: what is dead was dead in training."""
    if not any(row.is_doubt and row.finding in MAY_BE_DEAD for row in rows):
        return rows
    borne_out = silent_tensors(loaded)
    return [
        replace(row, detail=f"{row.detail.partition(':')[0]}: {DEAD_IN_TRAINING}", is_doubt=False)
        if row.finding in MAY_BE_DEAD and row.key in borne_out
        else row
        for row in rows
    ]


def _role(key: str, tensors: Mapping[str, torch.Tensor]) -> Role:
    """What the tensor is for: by its name where it is a statistic, else by its shape and its neighbours."""
    leaf = key.rpartition(".")[2]
    if leaf == "running_var":
        return "variance"
    if leaf == "running_mean":
        return "mean"
    if tensors[key].dim() > 1:
        return "kernel"
    return "shift" if "bias" in leaf or leaf == "beta" else "scale"


def _findings(key: str, tensor: torch.Tensor, role: Role) -> Iterator[HealthRow]:
    """What is wrong with one tensor whatever the others are like, the worst first."""
    values = tensor.detach().float()
    count = values.numel()
    for name, mask in (("NaN", values.isnan()), ("Inf", values.isinf())):
        if wrong := int(mask.sum()):
            yield HealthRow(key, name, f"{wrong:,} of {plural(count, 'value')}: every answer becomes NaN or nonsense")
    if role == "variance" and (wrong := int((values < 0).sum())):
        low = float(values.min())
        yield HealthRow(key, "negative variance", f"{wrong:,} of {plural(count, 'channel')}, down to {low:.3g}")
    largest = float(values.abs().max())
    if largest > ABSURD[role]:
        yield HealthRow(
            key, "absurd magnitude", f"the largest value is {largest:.3g}: no trained tensor of its kind is so large"
        )
    if count > 1 and not largest and role in ("kernel", "variance"):
        what = "the layer gives nothing on" if role == "kernel" else "a layer whose inputs never varied was never fed"
        yield HealthRow(key, "all zero", f"all {plural(count, 'value')}: {what}")
    if role == "kernel" and count > values.shape[0] and largest and bool((values == values.flatten()[0]).all()):
        yield HealthRow(key, "constant", f"all {plural(count, 'value')} are {float(values.flatten()[0]):.3g}")
    if role == "kernel" and (dead := int((values.flatten(1).abs().amax(1) == 0).sum())):
        mostly = dead * 2 > values.shape[0]
        said = "more than half: it was pruned or overwritten" if mostly else "pruned or dead, as honest files have some"
        yield HealthRow(
            key, "dead channels", f"{dead:,} of {plural(values.shape[0], 'channel')} are zero: {said}", mostly
        )
    if role == "variance" and (tiny := int((values < TINY_VARIANCE).sum())):
        mostly = tiny * 2 > count
        yield HealthRow(
            key,
            "tiny variance",
            f"{tiny:,} of {plural(count, 'channel')} below {TINY_VARIANCE:g}: "
            + ("more than half never varied" if mostly else "dead channels, as honest files have some"),
            mostly,
        )


def _still_at(values: torch.Tensor, role: Role) -> str | None:
    """The start value that all of a tensor still has, in words; None where it has moved, or where there is none."""
    if role == "kernel" or not bool((values == values.flatten()[0]).all()):
        return None
    value = float(values.flatten()[0])
    if role in ("mean", "shift") and value == 0:
        return f"all {plural(values.numel(), 'value')} are 0, as before training"
    if role in ("variance", "scale") and value == 1:
        return f"all {plural(values.numel(), 'value')} are 1, as before training"
    if role == "scale" and value == 0:
        return f"all {plural(values.numel(), 'value')} are 0: its branch gives a constant"
    return None


def _is_odd_one_out(key: str, roles: Mapping[str, Role], start: Mapping[str, str]) -> bool:
    """Whether the others of this role have moved. Statistics at their start are a doubt however many they are."""
    role = roles[key]
    if role in ("mean", "variance"):
        return True
    alike = [other for other in roles if roles[other] == role]
    return sum(other in start for other in alike) <= max(1, round(ODD_ONE_OUT * len(alike)))
