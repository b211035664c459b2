"""What an opened file offers: its state dicts by path, its tensors by key, and letting go of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.reading import open_checkpoint
from tests.reading.pickles import TENSORS, saved

COPIES = {"state_dict": TENSORS, "ema": {key: value + 1 for key, value in TENSORS.items()}}


def test_a_state_dict_is_a_mapping_of_what_the_file_says() -> None:
    state_dict = open_checkpoint(saved(TENSORS)).state_dict
    assert list(state_dict) == list(TENSORS)
    assert len(state_dict) == 3
    assert state_dict["conv1.weight"].shape == (4, 3, 3, 3)
    assert state_dict["conv1.weight"].elements == 108
    assert state_dict["conv1.weight"].size == 432
    assert state_dict.elements == 108 + 4 + 1
    assert state_dict.size == 432 + 16 + 8
    assert "fc.weight" not in state_dict


def test_a_key_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        open_checkpoint(saved(TENSORS)).state_dict.tensor("fc.weight")


def test_another_state_dict_is_selected_by_its_path_and_the_first_checkpoint_stays_as_it_was() -> None:
    opened = open_checkpoint(saved(COPIES))
    other = opened.select("ema")
    assert (opened.selected, other.selected) == ("state_dict", "ema")
    assert torch.equal(other.state_dict.tensor("bn1.weight"), TENSORS["bn1.weight"] + 1)


def test_a_path_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(CheckpointExplorerError, match="has no state dict at 'model': it has 'state_dict', 'ema'"):
        open_checkpoint(saved(COPIES), "model.pth").state_dict_at("model")


def test_an_edit_of_a_tensor_does_not_reach_the_file(tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    file.write_bytes(saved(TENSORS))
    before = file.read_bytes()
    open_checkpoint(file).state_dict.tensor("bn1.weight").clone().fill_(0)
    assert file.read_bytes() == before


def test_a_tensor_outlives_its_closed_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    file.write_bytes(saved(TENSORS))
    opened = open_checkpoint(file)
    tensor = opened.state_dict.tensor("conv1.weight")
    opened.close()
    del opened
    assert torch.equal(tensor, TENSORS["conv1.weight"])


def test_a_fingerprint_knows_a_file_by_what_is_in_it_and_not_by_its_name_or_values() -> None:
    one = open_checkpoint(saved(TENSORS), "one.pth")
    assert len(one.fingerprint) == 32
    assert open_checkpoint(saved(TENSORS), "other.pth").fingerprint == one.fingerprint
    assert open_checkpoint(saved({key: value + 1 for key, value in TENSORS.items()})).fingerprint == one.fingerprint
    assert open_checkpoint(saved(COPIES)).fingerprint != one.fingerprint
    renamed = {key.replace("conv1", "conv2"): value for key, value in TENSORS.items()}
    assert open_checkpoint(saved(renamed)).fingerprint != one.fingerprint


def test_a_fingerprint_is_that_of_the_file_whichever_state_dict_is_selected() -> None:
    opened = open_checkpoint(saved(COPIES))
    assert opened.select("ema").fingerprint == opened.fingerprint
