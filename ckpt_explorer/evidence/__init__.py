"""Is it loaded right? What the load itself can prove, and what it says about an answer of the network."""

from ckpt_explorer.evidence.trust import Trust, trust
from ckpt_explorer.evidence.values import ValuesCheck, check_values
from ckpt_explorer.evidence.wiring import Wiring, check_wiring

__all__ = ["Trust", "ValuesCheck", "Wiring", "check_values", "check_wiring", "trust"]
