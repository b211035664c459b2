"""Is it loaded right? What the load itself can prove, and what it says about an answer of the network."""

from ckpt_explorer.evidence.fitting_preprocessing import FoundPreprocessing, find_preprocessing
from ckpt_explorer.evidence.health import HealthRow, check_health
from ckpt_explorer.evidence.self_check import BatchNormCheck, self_check
from ckpt_explorer.evidence.trust import Trust, trust
from ckpt_explorer.evidence.two_seeds import TwoSeeds, two_seeds
from ckpt_explorer.evidence.values import ValuesCheck, check_values
from ckpt_explorer.evidence.verification import Verification, verify
from ckpt_explorer.evidence.wiring import Wiring, check_wiring

__all__ = [
    "BatchNormCheck",
    "FoundPreprocessing",
    "HealthRow",
    "Trust",
    "TwoSeeds",
    "ValuesCheck",
    "Verification",
    "Wiring",
    "check_health",
    "check_values",
    "check_wiring",
    "find_preprocessing",
    "self_check",
    "trust",
    "two_seeds",
    "verify",
]
