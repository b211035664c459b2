"""Which ResNet is this, and which rules make it fit? From the file alone, before anyone has said anything."""

from ckpt_explorer.suggestion.by_hand import Offer, PlaceCandidate, candidates_for, offers_for_pair
from ckpt_explorer.suggestion.identify import Candidate, as_custom, identify
from ckpt_explorer.suggestion.rules import Suggestion, suggest, suggest_rules

__all__ = [
    "Candidate",
    "Offer",
    "PlaceCandidate",
    "Suggestion",
    "as_custom",
    "candidates_for",
    "identify",
    "offers_for_pair",
    "suggest",
    "suggest_rules",
]
