"""Is it loaded right? What the load itself can prove, and what it says about an answer of the network."""

from ckpt_explorer.evidence.trust import Trust, trust
from ckpt_explorer.evidence.values import ValuesCheck, check_values

__all__ = ["Trust", "ValuesCheck", "check_values", "trust"]
