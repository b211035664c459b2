"""The shipped example is what it says: its weights score what is claimed, and its three files hold what they claim."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ckpt_explorer.architectures.plain_resnet import PlainResNet
from ckpt_explorer.architectures.spec import NAMED_SPECS
from ckpt_explorer.examples import EXAMPLES, WEIGHTS, example_bytes, example_images, facts, other_name, right_answer
from ckpt_explorer.examples.simplified_resnet import SimplifiedResNet
from ckpt_explorer.reading import open_checkpoint

BY_ID = {example.id: example for example in EXAMPLES}


def resnet20() -> PlainResNet:
    return PlainResNet(replace(NAMED_SPECS["resnet20_cifar_b"], in_channels=1, num_classes=10)).eval()


def tensors_of(folder: Path, example_id: str) -> dict[str, Tensor]:
    """The weights in an example's file, read as the app reads them."""
    file = folder / BY_ID[example_id].file_name
    file.write_bytes(example_bytes(BY_ID[example_id]))
    state_dict = open_checkpoint(file).state_dict
    return {key: state_dict.tensor(key).clone() for key in state_dict}


def shipped_inputs() -> Tensor:
    pictures = np.stack([np.asarray(Image.open(path)) for path in example_images()])
    return (torch.from_numpy(pictures).unsqueeze(1).float() / 255 - 0.5) / 0.5


def test_the_shipped_file_scores_the_claimed_accuracy_on_the_shipped_pictures(tmp_path: Path) -> None:
    model = resnet20()
    model.load_state_dict(tensors_of(tmp_path, "fits"))
    with torch.inference_mode():
        said = model(shipped_inputs()).argmax(1).tolist()
    names = [path.name for path in example_images()]
    assert dict(zip(names, said, strict=True)) == facts()["predicted"]
    right = sum(answer == right_answer(name) for name, answer in zip(names, said, strict=True))
    assert right / len(names) == pytest.approx(facts()["accuracy"], abs=1e-9)
    assert facts()["accuracy"] >= 0.98


def test_the_facts_name_every_shipped_picture_and_no_other() -> None:
    names = [path.name for path in example_images()]
    assert set(names) == set(facts()["images"]) == set(facts()["predicted"])
    assert len(names) == facts()["held_out"]
    assert facts()["held_out"] + facts()["trained_on"] == 1797


def test_no_digit_is_missing_and_every_file_name_says_the_right_one() -> None:
    answers = Counter(right_answer(path.name) for path in example_images())
    assert set(answers) == set(range(10))
    assert min(answers.values()) >= 30
    for path in example_images():
        assert path.name.split("_")[0] == BY_ID["fits"].labels[right_answer(path.name)]


def test_the_pictures_are_small_gray_squares_of_32_pixels() -> None:
    for path in example_images():
        with Image.open(path) as picture:
            assert (picture.format, picture.size, picture.mode) == ("PNG", (32, 32), "L")
        assert path.stat().st_size < 1000


def test_the_pictures_come_in_natural_order() -> None:
    names = [path.name for path in example_images()]
    assert names == sorted(names)


def test_an_unknown_picture_has_no_right_answer() -> None:
    with pytest.raises(KeyError):
        right_answer("cat.png")


def test_every_file_is_small_and_the_whole_example_is_under_2_mb() -> None:
    assert all(len(example_bytes(example)) < 1_300_000 for example in EXAMPLES)
    shipped = [path for path in WEIGHTS.parent.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in shipped) < 2_000_000


def test_the_first_file_has_the_very_keys_and_shapes_of_its_network(tmp_path: Path) -> None:
    wanted = {key: value.shape for key, value in resnet20().state_dict().items()}
    tensors = tensors_of(tmp_path, "fits")
    assert {key: value.shape for key, value in tensors.items()} == wanted
    assert all(value.is_contiguous() for value in tensors.values())
    assert {value.dtype for value in tensors.values()} == {torch.float32, torch.int64}


def test_the_second_file_leaves_layer3_and_fc_over_and_the_classifier_empty(tmp_path: Path) -> None:
    assert BY_ID["partial"].architecture == f"{SimplifiedResNet.__module__}:{SimplifiedResNet.__qualname__}"
    result = SimplifiedResNet().load_state_dict(tensors_of(tmp_path, "partial"), strict=False)
    assert result.missing_keys == ["classifier.weight", "classifier.bias"]
    assert {key.split(".")[0] for key in result.unexpected_keys} == {"layer3", "fc"}
    assert "random" in BY_ID["partial"].says


def test_the_second_network_computes_the_trunk_of_the_first(tmp_path: Path) -> None:
    tensors = tensors_of(tmp_path, "partial")
    whole, half = resnet20(), SimplifiedResNet().eval()
    whole.load_state_dict(tensors)
    half.load_state_dict(tensors, strict=False)
    arrived: list[Tensor] = []
    whole.get_submodule("layer2").register_forward_hook(lambda _module, _inputs, output: arrived.append(output))
    half.get_submodule("layer2").register_forward_hook(lambda _module, _inputs, output: arrived.append(output))
    with torch.inference_mode():
        whole(shipped_inputs()[:4])
        assert half(shipped_inputs()[:4]).shape == (4, 10)
    assert torch.equal(*arrived)


def test_the_third_file_has_the_same_tensors_under_other_names(tmp_path: Path) -> None:
    first, third = tensors_of(tmp_path, "fits"), tensors_of(tmp_path, "renamed")
    assert list(third) == [other_name(key) for key in first]
    assert all(torch.equal(third[other_name(key)], value) for key, value in first.items())
    assert all(key.startswith("module.") for key in third)
    named = {segment for key in third for segment in key.split(".")}
    assert {"norm1", "norm2", "shortcut", "classifier"} <= named
    assert not {"bn1", "bn2", "downsample", "fc"} & named


def test_importing_the_examples_and_reading_their_facts_imports_no_torch() -> None:
    script = """
import sys
from ckpt_explorer import examples
examples.facts(), examples.example_images()
print("torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=WEIGHTS.parents[2]
    )
    assert done.stdout.strip() == "False"
