"""Silence: layers of which training or pruning made nothing, told from those that an accident emptied.

A layer that died in training left a trace on both sides: nothing arrives at its BatchNorm by the weights, and its
BatchNorm kept that nothing arrived. An emptied kernel stands before statistics of what it gave when it was whole.
"""

from __future__ import annotations

from ckpt_explorer.evidence.wiring.arrivals import QUIET, arrivals, silent
from ckpt_explorer.evidence.wiring.flow import Weights
from ckpt_explorer.evidence.wiring.graph import graph_of
from ckpt_explorer.loading import LoadedModel


def silent_tensors(loaded: LoadedModel) -> frozenset[str]:
    """The model's keys of running variances and of kernels whose empty channels are empty for the layer next to them too."""
    graph = graph_of(loaded.module)
    found = set()
    for row in arrivals(graph, Weights(loaded.alignment.tensor)) if graph else ():
        nothing = silent(row)
        if bool(nothing[row.kept.variance < QUIET].all()):
            found.add(f"{row.norm}.running_var")
        if bool(nothing[row.kernel.size == 0].all()):
            found.add(f"{row.conv}.weight")
    return frozenset(found)
