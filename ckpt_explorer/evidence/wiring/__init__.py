"""Wiring: does every layer stand where it was trained? What the weights say of it, without an image."""

from ckpt_explorer.evidence.wiring.check import Wiring, check_wiring, wiring_of
from ckpt_explorer.evidence.wiring.doubts import Doubt
from ckpt_explorer.evidence.wiring.graph import graph_of

BLIND = (
    "It can't see the last layer, which no BatchNorm follows, or a fault that leaves what follows from the weights as it was; "
    "a network that was hardly trained shows nothing."
)

__all__ = ["BLIND", "Doubt", "Wiring", "check_wiring", "graph_of", "wiring_of"]
