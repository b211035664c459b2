"""A run: mutants one after the other, what went wrong made small and kept, and the figures at the end."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz.corpus import Files, corpus
from tests.fuzz.mutants import Mutant, mutant, smaller
from tests.fuzz.opening import Outcome
from tests.fuzz.workers import Worker

NAMES = (
    "model.pth",
    "model.pth",
    "model.pth",
    "model.ckpt",
    "resnet18-5c106cde.pth",
    "w.safetensors",
    "a.tar",
    "x.npz",
    "m\n\x1b.pt",
)
TRIES = 150
"""How often a finding is opened again to make it smaller."""
SECONDS_TO_SHRINK = 60.0


@dataclass
class Figures:
    """What a run has to show."""

    mutants: Counter[str] = field(default_factory=Counter)
    opened: Counter[str] = field(default_factory=Counter)
    failures: dict[str, int] = field(default_factory=dict)
    slowest: tuple[float, str] = (0.0, "")
    largest: tuple[float, str] = (0.0, "")
    seconds: float = 0.0
    workers: int = 0

    def __str__(self) -> str:
        rows = [f"{'format':14} {'mutants':>9} {'opened':>9}"]
        rows += [f"{name:14} {count:9,} {self.opened[name]:9,}" for name, count in sorted(self.mutants.items())]
        total, opened = sum(self.mutants.values()), sum(self.opened.values())
        rows.append(f"{'all':14} {total:9,} {opened:9,}   in {self.seconds:,.0f} s, {self.workers:,} processes")
        rows.append(
            f"slowest {self.slowest[0]:.2f} s ({self.slowest[1]}), most memory {self.largest[0]:.0f} MB ({self.largest[1]})"
        )
        rows.append(f"{len(self.failures):,} kinds of failures")
        rows += [f"  {count:5,} x {says}" for says, count in self.failures.items()]
        return "\n".join(rows)


def run(
    seed: int,
    seconds: float,
    keep: Path | None = None,
    say: Callable[[str], None] = print,
    first: int = 0,
    most: int | None = None,
) -> Figures:
    """Open mutants of `seed` for so long, from number `first` on; each is made of `seed` and its number alone."""
    seeds = corpus()
    worker = Worker(list(seeds.values()))
    figures = Figures()
    start, last, number = time.monotonic(), time.monotonic(), first
    try:
        while time.monotonic() - start < seconds and (most is None or number - first < most):
            rng = Random(f"{seed}-{number}")
            one, name = mutant(seeds, rng), rng.choice(NAMES)
            outcome = worker.tried(one.whole(one.core), name)
            label = f"{seed}-{number}, {one.seed}: {one.how}"
            _note(figures, one, outcome, label)
            if outcome.wrong and figures.failures[_kind(outcome.wrong)] == 1:
                say(f"FAILURE {label}: {outcome.wrong}")
                small = _shrunk(worker, one, name, _kind(outcome.wrong)) if keep else one
                if keep:
                    _keep(keep, small, name, f"{label}: {outcome.wrong}")
            if time.monotonic() - last > 60:
                say(f"{number - first + 1:,} mutants, {len(figures.failures)} kinds of failures")
                last = time.monotonic()
            number += 1
    finally:
        figures.workers = worker.started
        worker.close()
    figures.seconds = time.monotonic() - start
    return figures


def _note(figures: Figures, one: Mutant, outcome: Outcome, label: str) -> None:
    figures.mutants[one.format] += 1
    figures.opened[one.format] += outcome.opened
    figures.slowest = max(figures.slowest, (outcome.seconds, label))
    figures.largest = max(figures.largest, (outcome.megabytes, label))
    if outcome.wrong:
        kind = _kind(outcome.wrong)
        figures.failures[kind] = figures.failures.get(kind, 0) + 1


def _kind(wrong: str) -> str:
    """Failures of one cause: the same but for numbers and texts."""
    return re.sub(r"\d[\d,]* MB", "… MB", re.split(r""": ['"]""", wrong, maxsplit=1)[0])


def _shrunk(worker: Worker, one: Mutant, name: str, kind: str) -> Mutant:
    """The mutant with as much of what was changed taken away as leaves the failure what it is."""
    deadline, tries, step = time.monotonic() + SECONDS_TO_SHRINK, 0, max(len(one.core) // 2, 1)
    while step and tries < TRIES and time.monotonic() < deadline:
        at = 0
        while at < len(one.core) and tries < TRIES and time.monotonic() < deadline:
            core = one.core[:at] + one.core[at + step :]
            tries += 1
            try:
                files = one.whole(core)
            except Exception:  # noqa: BLE001  what is left can't be packed again
                at += step
                continue
            if _kind(worker.tried(files, name).wrong) == kind:
                one = smaller(one, core)
            else:
                at += step
        step //= 2
    return one


def _keep(folder: Path, one: Mutant, name: str, says: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.glob("*.txt")))
    (folder / f"{number:03}.txt").write_text(
        f"{says}\nname: {name!r}\ncore: {one.core[:3000]!r}\n", encoding="utf-8", errors="replace"
    )
    files: Files = one.whole(one.core)
    held: Mapping[str, bytes] = (
        {f"{number:03}.bin": files}
        if isinstance(files, bytes)
        else {f"{number:03}/{file}": data for file, data in files.items()}
    )
    for file, data in held.items():
        target = folder / file.replace("..", "__")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def as_json(figures: Figures) -> str:
    """The figures for a program."""
    return json.dumps({"mutants": figures.mutants, "opened": figures.opened, "failures": figures.failures})
