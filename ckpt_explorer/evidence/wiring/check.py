"""check_wiring(): does every layer stand where it was trained? From the weights alone, without an image.

Training left in every BatchNorm the mean and the variance of what arrived there, and what arrives can be computed from
the file. Nothing here knows a network's name: the graph comes from tracing the module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.evidence.wiring.arrivals import Arrival, Figures, arrivals, figures, side_of
from ckpt_explorer.evidence.wiring.doubts import (
    Doubt,
    broken,
    doubts_among,
    exchange_doubt,
    is_evident,
    shortcut_doubt,
    usual_fit,
)
from ckpt_explorer.evidence.wiring.flow import SIDES, Source, Weights
from ckpt_explorer.evidence.wiring.graph import Graph, graph_of
from ckpt_explorer.evidence.wiring.order import Exchange, blocks_of, exchanges, stages_of
from ckpt_explorer.evidence.wiring.shortcuts import Reading, Shortcuts, explains, other_readings
from ckpt_explorer.evidence.wiring.stem import TrainingInput, stem_figures
from ckpt_explorer.loading import LoadedModel
from ckpt_explorer.text import plural


@dataclass(frozen=True)
class Wiring:
    """What the file's own statistics say of the places of its layers.

    `evidence` is `none` where they say nothing: then `doubts` holds only what is broken in itself. `layers` has a row
    for each BatchNorm behind a conv, in order. `better_order` are two blocks that fit better in each other's place.
    `shortcuts` are those that fit better than the network's own.
    `fed` and `side` (pixels) are what the training pictures seem to have been like, as far as that left a trace.

    It can't see strides, dilation and eps, biases of the head, a scaled first conv whose input would still be usual,
    the order of input channels, and two layers that are nearly alike.
    """

    evidence: Literal["trained", "none"]
    says: str
    layers: tuple[Figures, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    better_order: Exchange | None = None
    fed: TrainingInput | None = None
    side: int | None = None
    shortcuts: Shortcuts | None = None

    @property
    def first_doubted(self) -> str | None:
        """The first layer, in the order of the network, that is doubted: there the fault lies, the later ones follow."""
        return self.doubts[0].layer if self.doubts else None

    def as_json(self) -> dict[str, Any]:
        """The part `wiring` of what `verify --json` gives."""
        given: dict[str, Any] = {
            "evidence": self.evidence,
            "says": self.says,
            "layers": [
                {
                    "name": row.norm,
                    "mean_correlation": _rounded(row.correlation),
                    "slope": _rounded(row.slope),
                    "affinity": _rounded(row.affinity),
                }
                for row in self.layers
            ],
            "first_doubted": self.first_doubted,
            "doubts": [{"layer": row.layer, "tensors": list(row.tensors), "says": row.says} for row in self.doubts],
        }
        if self.better_order:
            given["better_order"] = {
                "exchanged": [self.better_order.first, self.better_order.second],
                "gain": _rounded(self.better_order.gain),
            }
        if self.shortcuts:
            given["shortcuts"] = self.shortcuts
        if self.fed:
            given["training_input"] = {**self.fed.as_json(), "side": self.side}
        return given


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def check_wiring(loaded: LoadedModel | Alignment) -> Wiring:
    """Hold every BatchNorm's statistics against what must arrive there.

    Tensors come from the alignment, each read once; nothing is computed on a device.

    Raises:
        CorruptCheckpoint: a tensor's bytes do not have the checksum that the file keeps.
    """
    graph = _graph(loaded)
    if graph is None:
        name = "this class" if _alignment(loaded).architecture.kind == "class" else "this network"
        return Wiring("none", f"No evidence: the wiring of {name} is not known, since it could not be traced.")
    return wiring_of(graph, _alignment(loaded).tensor)


def _alignment(loaded: LoadedModel | Alignment) -> Alignment:
    return loaded.alignment if isinstance(loaded, LoadedModel) else loaded


def _graph(loaded: LoadedModel | Alignment) -> Graph | None:
    if isinstance(loaded, LoadedModel):
        return graph_of(loaded.module)
    return graph_of_architecture(loaded)


def graph_of_architecture(alignment: Alignment) -> Graph | None:
    """The graph of an alignment's network, built without its weights; None for a mere key tree, or where it fails."""
    from ckpt_explorer.architectures.meta import on_meta
    from ckpt_explorer.errors import ArchitectureError

    build = alignment.architecture.build
    if build is None:
        return None
    try:
        with on_meta():
            return graph_of(build())
    except ArchitectureError:
        return None


def wiring_of(graph: Graph, source: Source) -> Wiring:
    """The wiring of a graph whose tensors `source` gives by key; KeyError says that there is none."""
    weights = Weights(source)
    rows = arrivals(graph, weights)
    side = side_of([row for row in rows if is_finite(row)])
    layers, fed = _all_figures(rows, weights, side)
    evident = is_evident(layers)
    doubts = broken(rows, evident)
    if not evident:
        return Wiring("none", _why_none(layers), tuple(layers), tuple(doubts))
    doubts = _joined(doubts, doubts_among(layers, fed))
    better = _better_order(graph, weights, side)
    if better is not None:
        exchanged = weights.moved({better.first: better.second, better.second: better.first})
        rows_then = arrivals(graph, exchanged)
        left = _joined(broken(rows_then, True), doubts_among(*_all_figures(rows_then, exchanged, side)))
        if 2 * len(left) <= len(doubts):  # what else is doubted has to come from the exchange, or it explains nothing
            doubts = [exchange_doubt(better), *left]
        else:
            better = None
    shortcuts = _other_shortcuts(graph, weights, side, doubts)
    if shortcuts is not None:
        doubts = shortcuts[1]
        better = None
    place = _places(rows, better)
    doubts.sort(key=lambda doubt: place[doubt.layer])
    other = shortcuts[0].shortcuts if shortcuts else None
    return Wiring("trained", _says(layers, doubts), tuple(layers), tuple(doubts), better, fed, SIDES[side], other)


def _other_shortcuts(
    graph: Graph, weights: Weights, side: int, doubts: Sequence[Doubt]
) -> tuple[Reading, list[Doubt]] | None:
    """Shortcuts that the statistics fit better than those of the network, and what is doubted then; None where none are."""
    found: list[tuple[Reading, list[Doubt]]] = []
    for reading, other in other_readings(graph) if len(doubts) > 1 else ():
        rows = arrivals(other, weights)
        layers, fed = _all_figures(rows, weights, side)
        left = _joined(broken(rows, True), doubts_among(layers, fed)) if is_evident(layers) else list(doubts)
        if explains(doubts, left):
            others = left if reading.shortcuts == "behind" else []  # of another network no layer is judged
            found.append((reading, [shortcut_doubt(reading, doubts[0].layer), *others]))
    return min(found, key=lambda one: len(one[1])) if found else None


def _all_figures(rows: Sequence[Arrival], weights: Weights, side: int) -> tuple[list[Figures], TrainingInput | None]:
    fed: TrainingInput | None = None
    layers: list[Figures] = []
    for row in rows:
        if row.reads == "image" and (weight := weights.tensor(f"{row.conv}.weight")) is not None:
            found, fed = stem_figures(row, weight)
            layers.append(found)
        else:
            layers.append(figures(row, side))
    return layers, fed


def _joined(broken_ones: list[Doubt], others: list[Doubt]) -> list[Doubt]:
    known = {doubt.layer for doubt in broken_ones}
    return [*broken_ones, *(doubt for doubt in others if doubt.layer not in known)]


def is_finite(row: Arrival) -> bool:
    """Whether nothing of an arrival is NaN or infinite."""
    tensors = (row.kernel.size, row.kept.mean, row.kept.variance, row.kept.scale, row.kept.shift)
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def _better_order(graph: Graph, weights: Weights, side: int) -> Exchange | None:
    """The exchange of two blocks that gains most, if it gains enough to be said."""
    from ckpt_explorer.evidence.wiring.doubts import LIKELIER

    best: Exchange | None = None
    for stream, readers in stages_of(graph, blocks_of(graph), weights):
        if stream is None or not bool(stream.mean.isfinite().all()):
            continue
        found = exchanges(stream, readers, side)[0]
        if found.gain > LIKELIER and (best is None or found.gain > best.gain):
            best = found
    return best


def _places(rows: Sequence[Arrival], better: Exchange | None) -> dict[str, float]:
    """Where each layer stands, for sorting; a block stands where its first layer does."""
    place: dict[str, float] = {row.norm: at for at, row in enumerate(rows)}
    if better is not None:
        inside = [at for at, row in enumerate(rows) if row.norm.startswith(f"{better.first}.")]
        place[better.first] = min(inside, default=len(rows)) - 0.5
    return place


def _why_none(layers: Sequence[Figures]) -> str:
    usual = usual_fit(layers)
    if usual is None:
        return "No evidence: there are too few BatchNorms with running statistics behind a conv."
    return f"No evidence: what the BatchNorms kept does not follow from the weights (median correlation {round(usual, 2) + 0.0:.2f}), as in a file that was not trained."


def _says(layers: Sequence[Figures], doubts: Sequence[Doubt]) -> str:
    judged = sum(row.correlation is not None for row in layers)
    usual = usual_fit(layers)
    if not doubts:
        return f"At each of {plural(judged, 'BatchNorm')}, what must arrive is what it kept (median correlation {usual:.3f})."
    return f"{plural(len(doubts), 'place')} of {plural(judged, 'BatchNorm')} doubted, first {doubts[0].layer}."
