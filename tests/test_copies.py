"""Which names read like a copy of the network that was not trained itself."""

from __future__ import annotations

import pytest
import torch

from ckpt_explorer.copies import is_averaged, is_copy
from ckpt_explorer.reading import open_checkpoint
from tests.checkpoints import network, small_architecture
from tests.reading.pickles import saved


@pytest.mark.parametrize(
    "name",
    ["ema", "model_ema", "modelEMA", "netG_ema.state_dict", "teacher.backbone.", "module.encoder_k.", "target_network",
     "momentum_encoder", "swa_state_dict", "averaged_model", "emamodel", "old", "init_state_dict", "prevModel"],
)  # fmt: skip
def test_copies_by_name(name: str) -> None:
    assert is_averaged(name) and is_copy(name)


@pytest.mark.parametrize("name", ["", "model", "swav", "remap", "schema.net", "student", "threshold", "initializer", "encoder_q", "best_state_dict", "bold"])  # fmt: skip
def test_names_that_hold_such_letters_and_are_none(name: str) -> None:
    assert not is_averaged(name) and not is_copy(name)


def test_the_online_one_is_one_of_two_and_the_trained_one() -> None:
    assert is_copy("online_network.") and not is_averaged("online_network.")


def test_of_a_student_its_teacher_and_the_old_one_the_student_is_taken() -> None:
    weights = network(small_architecture()).state_dict()
    copies = {name: {key: tensor.clone() for key, tensor in weights.items()} for name in ("old", "teacher", "student")}
    copies["old"]["bn1.bias"] = torch.ones_like(weights["bn1.bias"])
    assert open_checkpoint(saved(copies), "model.pth").state_dict.path == "student"
