"""identify(): which ResNets a state dict could be, ranked, with what speaks for each and against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ckpt_explorer.architectures.spec import (
    FUNCTION_OPTIONS,
    NAMED_SPECS,
    ResNetSpec,
    options_of,
    spec_as_json_options,
    torchvision_name,
)
from ckpt_explorer.checkpoint import TensorInfo
from ckpt_explorer.errors import ArchitectureError
from ckpt_explorer.suggestion.structure import Structure, structure_of
from ckpt_explorer.text import listed, plural

if TYPE_CHECKING:
    from ckpt_explorer.architectures import Architecture

MAX_CANDIDATES = 5


@dataclass(frozen=True)
class Candidate:
    """A network that the state dict could be: `score` is the share of its features that agree, from 0 to 1."""

    name: str
    num_classes: int | None
    in_channels: int
    score: float
    why: str
    against: str
    options: Mapping[str, Any]

    @property
    def architecture(self) -> Architecture:
        """The network itself, with the class count and input channels that the file shows."""
        from ckpt_explorer.architectures import architecture

        return architecture(self.name, num_classes=self.num_classes, in_channels=self.in_channels, options=self.options)

    def as_json(self) -> dict[str, Any]:
        """The candidate as `inspect --json` lists it."""
        return {
            "name": self.name,
            "num_classes": self.num_classes,
            "in_channels": self.in_channels,
            "score": round(self.score, 3),
            "why": self.why,
            "against": self.against,
            "options": dict(self.options),
        }


def identify(tensors: Mapping[str, TensorInfo]) -> tuple[Candidate, ...]:
    """The networks that these tensors could belong to, best first; none where there are no residual stages.

    Told from structure: block kind, blocks a stage, widths, groups, stem, shortcut, classes and input channels. A
    named network wins over `custom`, which is offered when no named one agrees in everything. No torch is needed.
    """
    structure = structure_of(tensors)
    if structure is None:
        return ()
    ranked = sorted(
        (_candidate(name, spec, structure) for name, spec in NAMED_SPECS.items()), key=lambda row: -row.score
    )
    best = ranked[:MAX_CANDIDATES]
    if best[0].against and (custom := _custom(structure)):
        best = (
            [custom, *best[: MAX_CANDIDATES - 1]]
            if custom.score > best[0].score
            else [*best[: MAX_CANDIDATES - 1], custom]
        )
    return tuple(best)


def as_custom(tensors: Mapping[str, TensorInfo]) -> Candidate | None:
    """The custom network of exactly the structure that these tensors show; None where no network describes it.

    It is what the fields of `custom` begin with, also where a named network fits.
    """
    structure = structure_of(tensors)
    return _custom(structure) if structure else None


def _candidate(name: str, spec: ResNetSpec, structure: Structure) -> Candidate:
    agrees, total, against = 0.0, 0.0, []
    for weight, share, complaint in _features(spec, structure.spec):
        total += weight
        agrees += weight * share
        if share < 1:
            against.append(complaint)
    against += _strange(structure)
    score = agrees / total * (0.8 if structure.strangers else 1)
    return Candidate(
        name=name,
        num_classes=structure.num_classes,
        in_channels=structure.spec.in_channels,
        score=score,
        why=_why(structure, None if against else name),
        against="; ".join(against),
        options={},
    )


def _features(named: ResNetSpec, seen: ResNetSpec) -> Iterator[tuple[float, float, str]]:
    """Weight, agreement from 0 to 1, and the complaint, for each feature that keys and shapes show."""
    yield 4, named.block == seen.block, f"its blocks are {seen.block} and not {named.block}"
    same = sum(1 - abs(a - b) / max(a, b) for a, b in zip(named.blocks, seen.blocks, strict=False))
    counts = "-".join(map(str, seen.blocks))
    yield (
        4,
        same / max(len(named.blocks), len(seen.blocks)),
        f"{counts} blocks a stage and not {'-'.join(map(str, named.blocks))}",
    )
    for name, label, weight in (
        ("width", "channels behind the stem", 1.0),
        ("groups", "groups", 1.5),
        ("width_per_group", "width a group", 1.5),
        ("expansion", "expansion", 1.0),
        ("stem_kernel", "pixels in the stem's kernel", 1.5),
    ):
        ours, theirs = getattr(seen, name), getattr(named, name)
        yield weight, float(ours == theirs), f"{ours} {label} and not {theirs}"
    yield 1, named.shortcut == seen.shortcut, f"shortcut option {seen.shortcut} and not {named.shortcut}"


def _strange(structure: Structure) -> list[str]:
    strange = (
        [f"its blocks hold {listed(structure.strangers)}, which a plain ResNet does not have"]
        if structure.strangers
        else []
    )
    return [*strange, *structure.oddities]


_FAMILY = {"resnext": "ResNeXt", "wide": "Wide ResNet", "resnet": "ResNet"}


def _spoken(name: str) -> str:
    """`ResNet-101` for resnet101, for a sentence."""
    if name == "custom":
        return "a plain ResNet that has no name"
    family = next(label for start, label in _FAMILY.items() if name.startswith(start))
    number = "".join(
        torchvision_name(name).removeprefix("wide_").removeprefix("resnext").removeprefix("resnet").split("_cifar")[0]
    )
    stem = " with a CIFAR stem" if name.endswith("_cifar") else ""
    option = f" of CIFAR, shortcut option {name[-1].upper()}" if "_cifar_" in name else ""
    return f"{family}-{number}{option}{stem}"


def _why(structure: Structure, name: str | None) -> str:
    spec = structure.spec
    deepest = max(range(len(spec.blocks)), key=lambda stage: spec.blocks[stage])
    blocks = f"{plural(sum(spec.blocks), spec.block + ' block')} {'-'.join(map(str, spec.blocks))} ({spec.blocks[deepest]} in layer{deepest + 1})"
    parts = [f"{blocks}: {_spoken(name)}" if name else blocks]
    if spec.groups > 1:
        parts.append(f"{spec.groups} groups")
    stem = (
        f"stem of {structure.stem_convs} convs"
        if structure.stem_convs > 1
        else f"{spec.stem_kernel}x{spec.stem_kernel} stem"
    )
    parts.append(f"{stem} for {plural(spec.in_channels, 'channel')}")
    parts.append(
        f"the last layer has {plural(structure.num_classes, 'row')}" if structure.num_classes else "no last layer"
    )
    return "; ".join(parts)


def _custom(structure: Structure) -> Candidate | None:
    """The network of exactly this structure, where a ResNetSpec can describe it."""
    from ckpt_explorer.architectures.spec import spec_from_options

    try:
        spec = spec_from_options(structure.spec, {})
    except ArchitectureError:
        return None
    options = {**spec_as_json_options(spec)}
    default = options_of(ResNetSpec())
    shown = {name: value for name, value in options.items() if name in FUNCTION_OPTIONS or value != default[name]}
    strange = _strange(structure)
    return Candidate(
        name="custom",
        num_classes=structure.num_classes,
        in_channels=spec.in_channels,
        score=(0.8 if structure.strangers else 1.0) - 0.1 * len(structure.oddities),
        why=_why(replace(structure, spec=spec), "custom"),
        against="; ".join([*strange, *(f"a guess: {guess}" for guess in structure.guessed)]),
        options=shown,
    )
