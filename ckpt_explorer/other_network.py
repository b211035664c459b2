"""Where the file's network and the chosen one part, by their structure: depth, blocks, stem, shortcuts, widths, input.

Both are taken apart in the same way, by their keys and shapes, so a class of one's own is compared like a named one.
Ids are those of the catalogue of what goes wrong (A1 to A14).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.architectures.architecture import Architecture
from ckpt_explorer.architectures.spec import ResNetSpec
from ckpt_explorer.errors import Diagnosis
from ckpt_explorer.key_pair import KeyPair, Status, Verdict, named
from ckpt_explorer.suggestion import Candidate
from ckpt_explorer.suggestion.pairing import model_anatomy
from ckpt_explorer.suggestion.structure import networks_in, read_structure
from ckpt_explorer.text import listed, plural, shape_as_text, visible


@dataclass(frozen=True)
class Compared:
    """The file's network and the chosen one as rows of numbers; `choose` is what to choose instead.

    `stems` says whether both have a first conv: without one, its numbers are only the usual ones.
    """

    file: ResNetSpec
    chosen: ResNetSpec
    name: str
    choose: str
    stems: bool


def network_diagnoses(alignment: Alignment, candidates: tuple[Candidate, ...]) -> Iterator[Diagnosis]:
    """One sentence for each way in which the file's network is another; nothing where either is no residual network."""
    if alignment.verdict is Verdict.COMPLETE:
        return
    ours = networks_in(alignment.state_dict)
    theirs = model_anatomy(alignment.architecture)
    if not ours or theirs is None:
        return
    compared = Compared(
        read_structure(ours[0]).spec,
        read_structure(theirs).spec,
        alignment.architecture.name,
        _choice(alignment.architecture, candidates),
        ours[0].stem is not None and theirs.stem is not None,
    )
    yield from (found for test in TESTS if (found := test(compared)))


def _choice(architecture: Architecture, candidates: tuple[Candidate, ...]) -> str:
    best = candidates[0].name if candidates else architecture.name
    if best == architecture.name:
        return "choose a custom network with these numbers"
    return f"choose {visible(best)}, which agrees with the file best"


def _blocks(compared: Compared) -> Diagnosis | None:
    file, chosen = compared.file, compared.chosen
    words = {"basic": "basic blocks (two 3x3 convs)", "bottleneck": "bottlenecks (1x1, 3x3, 1x1)"}
    if file.block == chosen.block:
        return None
    return Diagnosis(
        "A2",
        f"The file's network is made of {words[file.block]}, {compared.name} of {words[chosen.block]}",
        f"{compared.choose}; no rule turns one into the other.",
    )


def _depth(compared: Compared) -> Diagnosis | None:
    file, chosen = compared.file.blocks, compared.chosen.blocks
    if file == chosen:
        return None
    return Diagnosis(
        "A1",
        f"The file has {_counts(file)} blocks in its stages, {compared.name} has {_counts(chosen)}",
        f"{compared.choose}.",
    )


def _counts(blocks: tuple[int, ...]) -> str:
    return listed([str(count) for count in blocks], 12)


def _shortcuts(compared: Compared) -> Diagnosis | None:
    file, chosen = compared.file.shortcut, compared.chosen.shortcut
    if file == chosen or compared.file.blocks != compared.chosen.blocks:
        return None
    words = {
        "A": "have no parameters (option A, padded with zeros)",
        "B": "project where the shape changes (option B)",
        "C": "project in every block (option C)",
    }
    return Diagnosis(
        "A3",
        f"The file's shortcuts {words[file]}, those of {compared.name} {words[chosen]}",
        f"{compared.choose}: the shortcuts would be random otherwise.",
    )


def _stem(compared: Compared) -> Diagnosis | None:
    file, chosen = compared.file.stem_kernel, compared.chosen.stem_kernel
    if file == chosen or not compared.stems:
        return None
    small = " Small kernels go with stride 1 and no max-pool (CIFAR)." if file == 3 else ""
    return Diagnosis(
        "A4",
        f"The file's first conv is {file}x{file}, that of {compared.name} {chosen}x{chosen}",
        f"{compared.choose}; exchanging the kernel alone would compute something else.{small}",
    )


def _widths(compared: Compared) -> Diagnosis | None:
    file, chosen = compared.file, compared.chosen
    if file.block != chosen.block:
        return None
    ours, theirs = (
        (spec.width, spec.groups, spec.width_per_group if spec.block == "bottleneck" else 64) for spec in (file, chosen)
    )
    if ours == theirs:
        return None
    return Diagnosis(
        "A6",
        f"The file's network has {_width(file)}, {compared.name} has {_width(chosen)}",
        f"{compared.choose}.",
    )


def _width(spec: ResNetSpec) -> str:
    inside = f", {spec.inner_width(0)} inside the first stage's blocks" if spec.block == "bottleneck" else ""
    return f"{plural(spec.width, 'channel')} at its base{inside}, in {plural(spec.groups, 'group')}"


def _input(compared: Compared) -> Diagnosis | None:
    file, chosen = compared.file.in_channels, compared.chosen.in_channels
    if file == chosen or not compared.stems:
        return None
    return Diagnosis(
        "A14",
        f"The file's first conv takes {plural(file, 'channel')}, that of {compared.name} {plural(chosen, 'channel')}",
        f"build the network with {plural(file, 'input channel')}, or decide on the Load page how the first conv is adapted (the sum over RGB keeps the scale, the mean does not).",
    )


TESTS: tuple[Callable[[Compared], Diagnosis | None], ...] = (_blocks, _depth, _shortcuts, _stem, _widths, _input)


def head_diagnosis(alignment: Alignment, head_rows: list[KeyPair]) -> Diagnosis | None:
    """A head of the file's own: layers where the network has its one last layer, or where it has none."""
    if alignment.verdict is Verdict.INCOMPATIBLE:
        return None
    left = [pair for pair in alignment.rows(Status.UNEXPECTED) if not pair.is_counter]
    if not left:
        return None
    last = {pair.model.rsplit(".", 1)[0] for pair in head_rows if pair.model}
    own = [pair for pair in left if any((pair.renamed or "").startswith(f"{name}.") for name in last)]
    missing = bool(head_rows) and all(pair.status is Status.MISSING for pair in head_rows)
    if missing and own:
        kernels = [pair for pair in own if len(pair.checkpoint_shape or ()) == 2]
        layers = listed([f"{visible(pair.name)} {shape_as_text(pair.checkpoint_shape)}" for pair in kernels[:4]], 4)
        return Diagnosis(
            "A13",
            f"The file has a head of its own{f' ({layers})' if kernels else ''}, the network has one linear layer there",
            "load the trunk for features, or give the class with this head as your own.",
        )
    keys = [pair.checkpoint or "" for pair in left]
    if missing or not set(keys) <= _file_head(alignment):
        return None
    return Diagnosis(
        "A12",
        f"The file has a last layer ({named(keys)}) that the network has no place for",
        "leave it out: that changes no feature; for class answers choose a network with a head.",
    )


def _file_head(alignment: Alignment) -> set[str]:
    """The keys of the last linear layer of the file's network."""
    found = networks_in(alignment.state_dict)
    head = found[0].head if found else None
    return set(head.keys.values()) if head else set()


def shape_diagnosis(alignment: Alignment, known: bool) -> Diagnosis | None:
    """Tensors of another shape, where no sentence before (`known`) has said why: strict=False does not cover them."""
    rows = alignment.rows(Status.SHAPE_MISMATCH)
    if known or not rows:
        return None
    first = rows[0]
    counted = (
        "1 tensor has another shape in the network,"
        if len(rows) == 1
        else f"{len(rows):,} tensors have another shape in the network, such as"
    )
    return Diagnosis(
        "S8",
        f"{counted} {visible(first.name)}: {shape_as_text(first.checkpoint_shape)} in the file, {shape_as_text(first.model_shape)} in the network",
        "strict=False does not forgive shapes: decide for them on the Load page.",
    )
