"""Checkpoint Explorer: open a PyTorch checkpoint without running it, make it fit, load it, and prove it.

The five steps, each usable alone:

    checkpoint = open_checkpoint("model.ckpt")
    candidates = identify(checkpoint.state_dict)
    network = candidates[0].architecture
    alignment = align(checkpoint, network, suggest_rules(checkpoint.state_dict, network))
    loaded = load(alignment)
    answers = predict(loaded, ["cat.jpg"])

Names are imported when they are first used, so that `import ckpt_explorer` takes no time and needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ckpt_explorer.alignment import Alignment, KeyPair, Status, Verdict, align
    from ckpt_explorer.api import (
        agreements,
        fitting_preprocessing,
        predict,
        predict_random,
        predict_stream,
        where_it_looked,
    )
    from ckpt_explorer.architectures import Architecture, architecture, own_class, reference_tree
    from ckpt_explorer.checkpoint import Checkpoint, StateDict, TensorInfo
    from ckpt_explorer.errors import CheckpointExplorerError
    from ckpt_explorer.evidence import Verification, check_health, check_values, check_wiring, trust, two_seeds, verify
    from ckpt_explorer.export import write_state_dict
    from ckpt_explorer.integrity import Integrity, check_integrity
    from ckpt_explorer.loading import LoadedModel, LoadReport, available_devices, load
    from ckpt_explorer.outlook import Outlook, outlook_for, outlooks
    from ckpt_explorer.proposal import Proposal, propose
    from ckpt_explorer.reading import open_checkpoint
    from ckpt_explorer.rules import Rule, RuleSet, parse_rule, rules_from_json
    from ckpt_explorer.suggestion import (
        Candidate,
        Offer,
        PlaceCandidate,
        candidates_for,
        identify,
        offers_for_pair,
        suggest,
        suggest_rules,
    )

_HOMES = {
    "alignment": ("Alignment", "KeyPair", "Status", "Verdict", "align"),
    "api": ("agreements", "fitting_preprocessing", "predict", "predict_random", "predict_stream", "where_it_looked"),
    "architectures": ("Architecture", "architecture", "own_class", "reference_tree"),
    "checkpoint": ("Checkpoint", "StateDict", "TensorInfo"),
    "errors": ("CheckpointExplorerError",),
    "evidence": ("Verification", "check_health", "check_values", "check_wiring", "trust", "two_seeds", "verify"),
    "export": ("write_state_dict",),
    "integrity": ("Integrity", "check_integrity"),
    "loading": ("LoadReport", "LoadedModel", "available_devices", "load"),
    "outlook": ("Outlook", "outlook_for", "outlooks"),
    "proposal": ("Proposal", "propose"),
    "reading": ("open_checkpoint",),
    "rules": ("Rule", "RuleSet", "parse_rule", "rules_from_json"),
    "suggestion": (
        "Candidate",
        "Offer",
        "PlaceCandidate",
        "candidates_for",
        "identify",
        "offers_for_pair",
        "suggest",
        "suggest_rules",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Alignment",
    "Architecture",
    "Candidate",
    "Checkpoint",
    "CheckpointExplorerError",
    "Integrity",
    "KeyPair",
    "LoadReport",
    "LoadedModel",
    "Offer",
    "Outlook",
    "PlaceCandidate",
    "Proposal",
    "Rule",
    "RuleSet",
    "StateDict",
    "Status",
    "TensorInfo",
    "Verdict",
    "Verification",
    "agreements",
    "align",
    "architecture",
    "available_devices",
    "candidates_for",
    "check_health",
    "check_integrity",
    "check_values",
    "check_wiring",
    "fitting_preprocessing",
    "identify",
    "load",
    "offers_for_pair",
    "open_checkpoint",
    "outlook_for",
    "outlooks",
    "own_class",
    "parse_rule",
    "predict",
    "predict_random",
    "predict_stream",
    "propose",
    "reference_tree",
    "rules_from_json",
    "suggest",
    "suggest_rules",
    "trust",
    "two_seeds",
    "verify",
    "where_it_looked",
    "write_state_dict",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
