"""Wiring: does every layer stand where it was trained? What the weights say of it, without an image."""

from ckpt_explorer.evidence.wiring.check import Wiring, check_wiring, wiring_of
from ckpt_explorer.evidence.wiring.doubts import Doubt
from ckpt_explorer.evidence.wiring.graph import graph_of

__all__ = ["Doubt", "Wiring", "check_wiring", "graph_of", "wiring_of"]
