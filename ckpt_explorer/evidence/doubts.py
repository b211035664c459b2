"""Doubts: what the evidence, taken together, speaks against, each with the one next step.

The ids are those of the catalogue of what goes wrong. A doubt names a tensor or a layer; where two kinds of evidence
speak of one place it is said once, by the kind that a doubter asks first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ckpt_explorer.errors import Diagnosis
from ckpt_explorer.evidence.fitting_preprocessing import RankedPreparation
from ckpt_explorer.evidence.fitting_size import RankedSize
from ckpt_explorer.evidence.trust import trust
from ckpt_explorer.key_pair import Verdict, named
from ckpt_explorer.text import plural, visible

if TYPE_CHECKING:
    from ckpt_explorer.evidence.verification import Verification

FAR_TIMES, FAR_PLUS = 3.0, 0.3
"""How much farther than the nearest a given preparation must be to be doubted: three times, and 0.3 deviations."""
LEAST_APART = 0.1
"""Deviations that a given size must be farther at least than the network's own."""
SHOWN = 12


def doubts_of(found: Verification) -> tuple[Diagnosis, ...]:
    """Everything that is doubted, in the order of the evidence."""
    return tuple(
        doubt
        for kind in (_load, _values, _health, _random, _wiring, _preparation, _size, _options, _layers)
        for doubt in kind(found)
    )


def _load(found: Verification) -> Iterator[Diagnosis]:
    alignment = found.loaded.alignment
    random = found.loaded.report.random
    head = set(alignment.architecture.head)
    if alignment.verdict is Verdict.INCOMPATIBLE:
        share = f"{len(alignment.filled):,} of {plural(len(alignment.architecture.tree), 'tensor')}"
        yield Diagnosis(
            "S1",
            f"This network was not loaded from this file, only {share} of it: {alignment.says.rstrip('.')}",
            "see the Align page, or align, for the keys that are left over.",
        )
    elif random and set(random) <= head:
        yield Diagnosis(
            "A11",
            f"The last layer came from no file: {named(list(random))} would be random",
            "use the features, or train a head: class answers mean nothing.",
        )
    elif alignment.verdict is not Verdict.COMPLETE:
        yield Diagnosis("S1", alignment.says.rstrip("."), "find the file that brings these tensors.")


def _values(found: Verification) -> Iterator[Diagnosis]:
    if found.values.different:
        yield Diagnosis(
            "S1",
            f"{plural(len(found.values.different), 'tensor')} in the network differ from the file: {named(list(found.values.different))}",
            "load again; something has changed them since.",
        )


def _health(found: Verification) -> Iterator[Diagnosis]:
    rows = [row for row in found.health if row.is_doubt]
    for finding in dict.fromkeys(row.finding for row in rows):
        alike = [row for row in rows if row.finding == finding]
        keys = ", ".join(visible(row.key) for row in alike[:SHOWN]) + (" …" if len(alike) > SHOWN else "")
        yield Diagnosis(
            "S9",
            f"{keys}: {finding} ({alike[0].detail})",
            "take the file from where it was published again, or an earlier one of the same training.",
        )
    missing = [key for key in found.loaded.report.random if key.endswith((".running_mean", ".running_var"))]
    if missing:
        yield Diagnosis(
            "S9",
            f"BatchNorm's running statistics are not in the file ({named(missing)}), and the network normalises with 0 and 1",
            "find a file that has them, or run training pictures through in training mode to measure them.",
        )
    elif trust(found.loaded).statistics == "untrained" and not any("running" in row.key for row in rows):
        yield Diagnosis(
            "S9", "BatchNorm's running statistics are all still at 0 and 1", "find a file of a trained network."
        )


def _random(found: Verification) -> Iterator[Diagnosis]:
    seeds = found.seeds
    if seeds.forward_is_random:
        yield Diagnosis(
            "S3",
            "The same picture gives another answer each time",
            "look for dropout or random numbers in the network's own forward.",
        )
    known = set(found.loaded.report.random)
    beyond = [name for name in seeds.random if name not in known]
    if beyond:
        yield Diagnosis(
            "S2",
            f"Random numbers that no file fixes take part in the answers: {named(beyond)}",
            "save them with the network: register them as buffers or parameters.",
        )
    inside = [name for name in seeds.random if name in known]
    if (
        inside
        and found.loaded.alignment.verdict is not Verdict.INCOMPATIBLE
        and not (set(inside) <= set(found.loaded.architecture.head))
    ):
        yield Diagnosis(
            "S2",
            f"Tensors that came from no file take part in the answers: {named(inside)}",
            "find a file that brings them.",
        )


def _options(found: Verification) -> Iterator[Diagnosis]:
    for row in found.options:
        if row.is_doubt:
            yield Diagnosis(
                "S5",
                row.says.rstrip("."),
                f"build it with --option {row.option} (on the Align page: the network's options), and compare the answers.",
            )


def _wiring(found: Verification) -> Iterator[Diagnosis]:
    said = {row.key.rpartition(".")[0] for row in found.health if row.is_doubt}
    for doubt in found.wiring.doubts:
        if any(key.rpartition(".")[0] in said for key in doubt.tensors):
            continue
        if doubt.next:
            yield Diagnosis("S5", f"From {visible(doubt.layer)} on: {doubt.says.rstrip('.')}", doubt.next)
            continue
        yield Diagnosis(
            "S10",
            f"{visible(doubt.layer)} ({named(list(doubt.tensors))}): {doubt.says.rstrip('.')}",
            "compare its place with the code that trained it, or take the file anew.",
        )


def _preparation(found: Verification) -> Iterator[Diagnosis]:
    used = _wrong_preparation(found)
    if used is not None and found.found is not None:
        best = found.found.chosen
        yield Diagnosis(
            "S4",
            f"The preprocessing {visible(used.name)} is not what this network was trained with (mean |z| {used.mean_z:.2f}, log-variance gap {used.log_variance_gap:.2f} in the first layers, against {best.mean_z:.2f} and {best.log_variance_gap:.2f})",
            f"use --preprocess {best.family or best.name}{' --bgr' if best.steps.bgr else ''}, or auto.",
        )


def _size(found: Verification) -> Iterator[Diagnosis]:
    wrong = _wrong_size(found)
    if wrong is not None and found.found is not None and found.found.sizes is not None:
        kept = found.found.sizes.kept
        yield Diagnosis(
            "S4",
            f"Pictures of {wrong.name} are not what this network was trained with (the first layers are {wrong.distance:.2f} off, against {kept.distance:.2f} at {kept.name})",
            f"use --size {kept.steps.size}, or leave the size to the network.",
        )


def _wrong_size(found: Verification) -> RankedSize | None:
    """The size that was used, where the network's own fits clearly better."""
    sizes = found.found.sizes if found.found is not None else None
    if sizes is None or found.used is None or not sizes.fits or sizes.kept.steps.has_cut_of(found.used):
        return None
    used = sizes.row(found.used)
    near = sizes.kept.distance  # of the same pictures: what these few are off by is in both figures
    limit = max(near + LEAST_APART, min(FAR_TIMES * near, near + FAR_PLUS))
    return used if used is not None and used.name not in sizes.group and used.distance > limit else None


def _wrong_preparation(found: Verification) -> RankedPreparation | None:
    """The preparation that was used, where another fits clearly better."""
    ranked = found.found
    if ranked is None or found.used_name in ranked.group:
        return None
    used = ranked.row(found.used_name)
    if used is None:
        return None
    nearest = min((row for row in ranked.ranking if row.name in ranked.group), key=lambda row: row.distance)
    limit = max(FAR_TIMES * nearest.distance, nearest.distance + FAR_PLUS)
    return used if used.distance > limit else None


def _layers(found: Verification) -> Iterator[Diagnosis]:
    check = found.batchnorm
    if check is None or any(doubt.next for doubt in found.wiring.doubts):  # another network: it would be any layer
        return
    blamed = {row.key.rpartition(".")[0] for row in found.health if row.is_doubt} | {
        doubt.layer for doubt in found.wiring.doubts
    }
    blamed |= {key.rpartition(".")[0] for key in found.loaded.report.random}
    blocks = tuple(key[:-1] for doubt in found.wiring.doubts for key in doubt.tensors if key.endswith(".*"))
    conv_before = {row.norm: row.conv for row in found.wiring.layers}
    wrong = _wrong_preparation(found) is not None or _wrong_size(found) is not None
    for number, layer in enumerate(check.layers):
        if not layer.doubt or (number == 0 and wrong):
            continue
        if layer.name in blamed or conv_before.get(layer.name) in blamed or layer.name.startswith(blocks):
            return  # it is said already, and what follows may be off because of it
        if number == 0:
            says = f"No usual preprocessing makes {visible(layer.name)} get what it was trained on ({layer.doubt}): the conv in front of it is not the one that was trained, or these pictures are of another kind"
            yield Diagnosis("S10", says, "try the preprocessing of the project that the file is from.")
        else:
            says = f"{visible(layer.name)} is the first layer that does not get what it was trained on ({layer.doubt})"
            yield Diagnosis(
                "S10",
                says,
                "look at the conv in front of it, and at its statistics: one of them is not of this training.",
            )
        return
