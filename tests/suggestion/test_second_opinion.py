"""Where only the order of names decides, the values of a trained file say whether it decided right."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ckpt_explorer import open_checkpoint, propose
from ckpt_explorer.key_pair import Verdict
from ckpt_explorer.proposal import Proposal
from tests.checkpoints import ROOT
from tests.cli.commands import Terminal

EXAMPLE = ROOT / "ckpt_explorer" / "examples" / "digits_resnet20.pth"

IN_ORDER = {"bn1": "muvex", "bn2": "tarko"}
NORMS_TURNED = {"bn1": "tarko", "bn2": "muvex"}
CONVS_TURNED = {"conv1": "zu", "conv2": "ba"}
BOTH_TURNED = {**NORMS_TURNED, **CONVS_TURNED}


@cache
def trained() -> dict[str, Tensor]:
    alignment = propose(open_checkpoint(EXAMPLE)).alignment
    return {key: alignment.tensor(key).clone() for key in alignment.filled}


def written(folder: Path, words: dict[str, str], tensors: dict[str, Tensor] | None = None) -> Path:
    """The example under names inside the blocks that no number orders."""
    made = {}
    for key, tensor in (tensors or trained()).items():
        parts = key.split(".")
        made[".".join([words.get(part, part) for part in parts] if key.startswith("layer") else parts)] = tensor
    file = folder / "opaque.pt"
    torch.save(made, file)
    return file


def proposal_of(file: Path) -> Proposal:
    return propose(open_checkpoint(file))


def test_values_confirm_what_the_order_of_names_had_right(tmp_path: Path) -> None:
    proposal = proposal_of(written(tmp_path, IN_ORDER))
    opinion = proposal.second_opinion
    assert opinion is not None and opinion.outcome == "confirmed" and opinion.moves == {}
    assert proposal.alignment.verdict is Verdict.COMPLETE and proposal.alignment.doubted == ()
    assert "Nothing but the order" not in proposal.alignment.says


@pytest.mark.parametrize("words", [NORMS_TURNED, BOTH_TURNED], ids=["norms", "norms and convs"])
def test_values_put_right_what_the_order_of_names_had_wrong(tmp_path: Path, words: dict[str, str]) -> None:
    proposal = proposal_of(written(tmp_path, words))
    opinion = proposal.second_opinion
    assert opinion is not None and opinion.outcome == "exchanged"
    assert opinion.moves["layer2.1.bn1"] == "layer2.1.bn2"
    alignment = proposal.alignment
    assert alignment.verdict is Verdict.COMPLETE and alignment.doubted == ()
    assert len(alignment.rules) <= 4
    assert all(torch.equal(alignment.tensor(key), tensor) for key, tensor in trained().items())


def test_a_file_that_was_not_trained_keeps_its_pairs_and_stays_doubted(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {key: torch.rand(tensor.shape, generator=generator) for key, tensor in trained().items()}
    proposal = proposal_of(written(tmp_path, NORMS_TURNED, tensors))
    opinion = proposal.second_opinion
    assert opinion is not None and opinion.outcome == "no evidence" and opinion.moves == {}
    assert proposal.alignment.verdict is Verdict.COMPLETE
    assert "layer1.0.bn1.weight" in proposal.alignment.doubted


def test_blocks_that_were_told_apart_by_names_are_not_asked_about() -> None:
    assert propose(open_checkpoint(EXAMPLE)).second_opinion is None


def test_the_command_line_says_what_the_values_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = Terminal(capsys).run("align", written(tmp_path, NORMS_TURNED), "--json")
    assert ended.status == 0
    answer = ended.json
    said = answer["second_opinion"]
    assert said["outcome"] == "exchanged" and said["exchanged"]["layer1.0.bn1"] == "layer1.0.bn2"
    assert "layer1.0.bn1.weight" in said["asked"]
    assert any(row["id"] == "K18" and "values say" in row["says"] for row in answer["diagnoses"])
    assert not any(row.get("by_order") for row in answer["keys"])


def test_a_file_whose_values_are_damaged_is_still_aligned(tmp_path: Path) -> None:
    file = written(tmp_path, NORMS_TURNED)
    data = bytearray(file.read_bytes())
    at = data.find(trained()["layer3.1.conv2.weight"].numpy().tobytes())
    assert at > 0
    data[at] ^= 0xFF
    file.write_bytes(data)
    proposal = proposal_of(file)
    assert proposal.second_opinion is not None and proposal.second_opinion.outcome == "no evidence"
    assert "could not be asked" in proposal.second_opinion.says
    assert proposal.alignment.verdict is Verdict.COMPLETE and proposal.alignment.doubted
