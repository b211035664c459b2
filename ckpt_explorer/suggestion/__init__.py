"""Which ResNet is this, and which rules make it fit? From the file alone, before anyone has said anything."""

from ckpt_explorer.suggestion.identify import Candidate, as_custom, identify
from ckpt_explorer.suggestion.rules import Suggestion, suggest, suggest_rules

__all__ = ["Candidate", "Suggestion", "as_custom", "identify", "suggest", "suggest_rules"]
