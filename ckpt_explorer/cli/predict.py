"""predict: pictures through the network; without a picture, the shape check of the how-tos."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from ckpt_explorer.alignment import Verdict
from ckpt_explorer.api import (
    agreements,
    fitting_preprocessing,
    input_channels,
    predict_random,
    usual_preprocessing,
)
from ckpt_explorer.cli.align import exit_status
from ckpt_explorer.cli.answering import answer_images
from ckpt_explorer.cli.journey import proposed
from ckpt_explorer.cli.output import write_json, write_line
from ckpt_explorer.errors import LabelsError
from ckpt_explorer.evidence import Trust, check_values, trust
from ckpt_explorer.evidence.fitting_preprocessing import FoundPreprocessing
from ckpt_explorer.inference.against import other_copy
from ckpt_explorer.inference.agreement import Agreement
from ckpt_explorer.inference.collection import Collection, collect
from ckpt_explorer.inference.label_sets import LABEL_SETS
from ckpt_explorer.inference.labels import check_labels, labels, labels_from_bytes
from ckpt_explorer.inference.prediction import check_counts
from ckpt_explorer.inference.preprocessing import Preprocessing, preprocessing, size_kept, values_from_text
from ckpt_explorer.loading import LoadedModel, load
from ckpt_explorer.text import visible

AUTO = "auto"
"""The name that leaves the preprocessing to the pictures."""


def run(arguments: Namespace) -> int:
    """Carry out `predict`; returns the exit status: 0 when the verdict is complete and the answers are worth something."""
    proposal = proposed(arguments)
    complete = proposal.alignment.verdict is Verdict.COMPLETE
    loaded = load(proposal.alignment, device=arguments.device, dtype=arguments.dtype, strict=arguments.strict)
    judged = trust(loaded)
    names = given_labels(arguments.labels, loaded)
    check_counts(arguments.top, arguments.batch_size)
    collection = collect(arguments.images) if arguments.images else None
    steps, fitting = prepared_by(arguments, loaded, collection)
    found: dict[str, Any] = {"auto": fitting.as_json(fitting.chosen.name)} if fitting else {}
    same = _agreements(arguments, loaded, collection, fitting)
    if same:
        found["agreement"] = [row.as_json() for row in same]
    answer: dict[str, Any] = {
        "architecture": loaded.architecture.as_json(),
        "verdict": str(proposal.alignment.verdict),
        "device": loaded.device,
        "preprocess": {**steps.as_json(), **found},
        "evidence": {**judged.as_json(), "values": check_values(loaded).as_json()},
        "load": loaded.report.as_json(),
        "predictions": [],
    }
    if collection is None:
        check = predict_random(loaded, arguments.size)
        answer["random_check"] = check.as_json()
        failed = 0
    else:
        other = other_copy(proposal, arguments.against) if arguments.against is not None else None
        answered = answer_images(arguments, loaded, collection, steps, names, other)
        answer.update(answered.as_json(arguments.top))
        failed = answered.failed
        answered.warn()
    if arguments.json:
        write_json(answer)
    else:
        _write_trust(loaded, judged, complete, proposal.alignment.says)
        if collection is None:
            write_line(check.says)
        else:
            if fitting is not None:
                for sentence in fitting.sentences:
                    write_line(sentence)
            for row in same:
                write_line(f"{row.says}.")
            answered.write(steps, arguments.top)
    return max(exit_status(proposal), int(judged.level != "answers"), int(failed > 0))


def _agreements(
    arguments: Namespace, loaded: LoadedModel, collection: Collection | None, fitting: FoundPreprocessing | None
) -> tuple[Agreement, ...]:
    """How many answers stay the same with what else was found near, where that was asked for."""
    if not arguments.agreement or collection is None or fitting is None:
        return ()
    return agreements(loaded, collection.images, fitting.chosen.steps, fitting.others, batch_size=arguments.batch_size)


def prepared_by(
    arguments: Namespace, loaded: LoadedModel, collection: Collection | None
) -> tuple[Preprocessing, FoundPreprocessing | None]:
    """The preprocessing of the arguments, and what was found where they say `auto` and there are pictures to find it by."""
    if arguments.preprocess != AUTO:
        return given_preprocessing(arguments, loaded), None
    usual = given_preprocessing(Namespace(**{**vars(arguments), "preprocess": None}), loaded)
    found = fitting_preprocessing(loaded, collection.images, usual) if collection else None
    return (found.chosen.steps, found) if found else (usual, None)


def chosen_preprocessing(arguments: Namespace, loaded: LoadedModel) -> Preprocessing | None:
    """The preprocessing that the arguments name; None where they leave it to the pictures."""
    said = (arguments.preprocess, arguments.size, arguments.resize, arguments.bgr, arguments.mean, arguments.std)
    if arguments.preprocess == AUTO or all(value is None for value in said):
        return None
    return given_preprocessing(arguments, loaded)


def given_preprocessing(arguments: Namespace, loaded: LoadedModel) -> Preprocessing:
    """The preprocessing of the arguments; what they leave open is the network's usual one, as is the size of a network of
    small pictures where a preset for large ones is named."""
    values = {"mean": arguments.mean, "std": arguments.std}
    free = {name: values_from_text(text) for name, text in values.items() if text is not None}
    given = (
        arguments.preprocess
        or any(value is not None for value in (arguments.size, arguments.resize, arguments.bgr))
        or free
    )
    usual = usual_preprocessing(loaded)
    if not given:
        return usual
    size = arguments.size
    if size is None:
        size = usual.size if arguments.preprocess is None else size_kept(arguments.preprocess, usual.size)
    return preprocessing(
        arguments.preprocess or (usual.name if usual.name != "custom" else "imagenet"),
        size=size,
        resize=arguments.resize,
        mean=free.get("mean"),
        std=free.get("std"),
        bgr=arguments.bgr,
        channels=input_channels(loaded),
    )


def given_labels(given: str | None, loaded: LoadedModel) -> tuple[str, ...] | None:
    """The class names of `--labels`: a known set by name, or a file; checked against the network's class count."""
    if given is None:
        return None
    if given in LABEL_SETS:
        names = labels(given)
    else:
        path = Path(given)
        try:
            names = labels_from_bytes(path.read_bytes(), path.name)
        except OSError as error:
            raise LabelsError(f"The labels file {visible(given)} can't be read: {error.strerror}.") from None
    if loaded.architecture.num_classes:
        check_labels(names, loaded.architecture.num_classes, Path(given).name)
    return names


def _write_trust(loaded: LoadedModel, judged: Trust, complete: bool, says: str) -> None:
    write_line(f"{loaded.architecture.name} on {loaded.device}: {loaded.report}")
    if not complete:
        write_line(f"! {says}")
    for sentence in judged.says:
        if sentence != says:
            write_line(f"! {sentence}")
