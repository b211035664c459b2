"""Values: the module holds what the file holds, tensor by tensor."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ckpt_explorer.alignment import align
from ckpt_explorer.evidence import check_values
from ckpt_explorer.loading import LoadedModel, load
from ckpt_explorer.reading import open_checkpoint
from tests.checkpoints import small_architecture, small_resnet_state_dict, write_checkpoint

SMALL_NET = small_architecture()


def loaded_from(
    folder: Path, weights: dict[str, Tensor], *, strict: bool = True, dtype: str | None = None
) -> LoadedModel:
    return load(align(open_checkpoint(write_checkpoint(folder, weights)), SMALL_NET), strict=strict, dtype=dtype)


def test_every_tensor_is_counted_as_equal(tmp_path: Path) -> None:
    check = check_values(loaded_from(tmp_path, small_resnet_state_dict()))
    assert check.as_json() == {"tensors": 68, "equal": 68, "adapted": 0, "different": 0}
    assert len(SMALL_NET.tree) == 68


def test_a_cast_is_counted_as_adapted(tmp_path: Path) -> None:
    weights = small_resnet_state_dict()
    weights["conv1.weight"] = weights["conv1.weight"].double()
    weights["bn1.weight"] = weights["bn1.weight"].half()
    check = check_values(loaded_from(tmp_path, weights))
    assert (check.equal, check.adapted, check.different) == (66, 2, ())
    half = check_values(loaded_from(tmp_path, small_resnet_state_dict(), dtype="float16"))
    assert (half.equal, half.adapted, half.different) == (11, 57, ())


def test_a_tensor_that_was_tampered_with_is_named(tmp_path: Path) -> None:
    loaded = loaded_from(tmp_path, small_resnet_state_dict())
    parameter = loaded.module.get_parameter("layer2.0.conv1.weight")
    changed = parameter.detach().clone()
    changed[0, 0, 0, 0] += 1e-6
    parameter.data = changed
    check = check_values(loaded)
    assert check.different == ("layer2.0.conv1.weight",)
    assert check.tensors == check.equal + 1


def test_not_a_number_equals_itself(tmp_path: Path) -> None:
    weights = small_resnet_state_dict()
    weights["conv1.weight"] = torch.full_like(weights["conv1.weight"], float("nan"))
    assert check_values(loaded_from(tmp_path, weights)).different == ()


def test_what_is_random_has_no_source_and_is_not_counted(tmp_path: Path) -> None:
    weights = small_resnet_state_dict()
    del weights["fc.weight"]
    assert check_values(loaded_from(tmp_path, weights, strict=False)).tensors == 67
