"""Trust: what an answer of this network is worth, in words that stand above the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ckpt_explorer.key_pair import Verdict, named
from ckpt_explorer.loading import LoadedModel
from ckpt_explorer.text import plural

Level = Literal["answers", "features", "nothing"]

_STATISTICS = (".running_mean", ".running_var")


@dataclass(frozen=True)
class Trust:
    """How far the network's output can be trusted: `answers` (class answers too), `features` (not the head), `nothing`.

    `says` are the sentences that belong above an answer; `random` the model's keys that came from no file, and
    `statistics` says where BatchNorm's running statistics came from.
    """

    level: Level
    says: tuple[str, ...]
    random: tuple[str, ...]
    statistics: Literal["file", "missing", "untrained", "none"]

    def as_json(self) -> dict[str, Any]:
        """The evidence that `predict --json` gives with its answers."""
        return {
            "level": self.level,
            "trusted": self.level == "answers",
            "says": list(self.says),
            "random": list(self.random),
            "batchnorm_statistics": self.statistics,
        }


def trust(loaded: LoadedModel) -> Trust:
    """Judge what the loaded network's output is worth, from its report and from its BatchNorm statistics.

    It reads the running statistics only. It says nothing about preprocessing, class order, or tensors in each
    other's place.
    """
    random = loaded.report.random
    statistics = _statistics(loaded)
    says: list[str] = []
    level: Level = "answers"
    head = set(loaded.architecture.head)
    lost = tuple(key for key in random if key.endswith(_STATISTICS))
    if random and set(random) <= head:
        level = "features"
        says.append(f"The head is random ({named(random)}): class answers mean nothing, features can be used.")
    elif random:
        level = "nothing"
        says.append(
            f"{plural(len(random), 'tensor')} of the network came from no file ({named(random)}): its answers mean nothing."
        )
    if lost:
        level = "nothing"
        says.append(
            f"BatchNorm's running statistics are missing in {plural(len(lost), 'place')}: the network normalises with 0 and 1, and every answer is wrong."
        )
    elif statistics == "untrained":
        level = "nothing"
        says.append(
            "BatchNorm's running statistics are all still at 0 and 1: they were never trained or not saved, and answers can't be trusted."
        )
    if not random and loaded.alignment.verdict is not Verdict.COMPLETE:
        level = "nothing" if loaded.alignment.verdict is Verdict.INCOMPATIBLE else level
        says.append(loaded.alignment.says)
    return Trust(level, tuple(says), random, statistics)


def _statistics(loaded: LoadedModel) -> Literal["file", "missing", "untrained", "none"]:
    """Where the running statistics came from; `untrained` when every one in the file is still at its start value."""
    keys = [key for key in loaded.architecture.tree if key.endswith(_STATISTICS)]
    if not keys:
        return "none"
    if any(key in loaded.report.random for key in keys):
        return "missing"
    here = loaded.module.state_dict()
    started = all(bool((here[key] == (1.0 if key.endswith("_var") else 0.0)).all()) for key in keys)
    return "untrained" if started else "file"
