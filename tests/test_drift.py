"""Rules applied to a file of next month report what is new in it."""

from __future__ import annotations

from pathlib import Path

import torch

from ckpt_explorer.proposal import propose
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.rules import RuleSet, parse_rule
from tests.checkpoints import add_prefix, small_architecture, small_resnet_state_dict, write_checkpoint

RULES = RuleSet((parse_rule("strip prefix module."), parse_rule("linear. -> fc.")))


def test_the_file_that_the_rules_were_written_for_shows_no_drift(tmp_path: Path) -> None:
    weights = {key.replace("fc.", "linear."): row for key, row in small_resnet_state_dict().items()}
    file = write_checkpoint(tmp_path, add_prefix("module.", weights))
    proposal = propose(open_checkpoint(file), architecture=small_architecture(), rules=RULES)
    assert proposal.drift is not None and proposal.drift.is_none and proposal.drift.says == ""


def test_rules_that_touch_nothing_and_keys_that_no_rule_knows_are_named(tmp_path: Path) -> None:
    weights = {key.replace("fc.", "classifier."): row for key, row in small_resnet_state_dict().items()}
    weights["queue"] = torch.zeros(4)
    file = write_checkpoint(tmp_path, add_prefix("module.", weights))
    drift = propose(open_checkpoint(file), architecture=small_architecture(), rules=RULES).drift
    assert drift is not None
    assert drift.idle == (1,)
    assert set(drift.unknown) == {"module.classifier.weight", "module.classifier.bias", "module.queue"}
    assert drift.missing == ("fc.weight", "fc.bias")
    assert "touches nothing" in drift.says and "no rule knows" in drift.says and "find no source" in drift.says


def test_suggested_rules_have_no_drift_to_report(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path, small_resnet_state_dict())
    assert propose(open_checkpoint(file), architecture=small_architecture()).drift is None
