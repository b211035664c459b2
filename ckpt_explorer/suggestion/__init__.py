"""Which ResNet is this, and which rules make it fit? From the file alone, before anyone has said anything."""

from ckpt_explorer.suggestion.identify import Candidate, identify
from ckpt_explorer.suggestion.rules import Suggestion, suggest, suggest_rules

__all__ = ["Candidate", "Suggestion", "identify", "suggest", "suggest_rules"]
