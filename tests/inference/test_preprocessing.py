"""Preprocessing: presets, values laid over them, and what a person is told of values that make no sense."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest

from ckpt_explorer.errors import PreprocessingError
from ckpt_explorer.inference.preprocessing import PRESETS, default_preprocessing, preprocessing, values_from_text


@pytest.mark.parametrize("room", ["preprocessing", "labels", "images", "class_scores", "forward", "prediction"])
def test_importing_a_room_imports_neither_torch_nor_pillow(room: str) -> None:
    code = (
        f"import sys, ckpt_explorer.inference.{room}; print([m for m in ('torch', 'PIL', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_imagenet_is_what_torchvision_trains_with() -> None:
    from torchvision.models import ResNet50_Weights

    for name, weights in (("imagenet", "IMAGENET1K_V1"), ("imagenet_v2", "IMAGENET1K_V2")):
        wanted: Any = ResNet50_Weights[weights].transforms()
        row = preprocessing(name)
        assert [row.size, row.resize] == [*wanted.crop_size, *wanted.resize_size]
        assert (list(row.mean), list(row.std)) == (wanted.mean, wanted.std)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_preset_keeps_its_name_and_fits_gray_and_colour(name: str, channels: int) -> None:
    row = preprocessing(name, channels=channels)
    assert row.name == name
    assert len(row.mean) == len(row.std) == channels
    assert json.loads(json.dumps(row.as_json()))["resize"] == row.resize


def test_a_line_for_a_person_says_all_of_it() -> None:
    assert str(preprocessing("imagenet")) == (
        "imagenet: shorter side to 256 px (bilinear), centre 224 × 224 px, values 0..1, RGB, "
        "mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225"
    )
    assert str(preprocessing("digits", channels=1)) == (
        "digits: shorter side to 32 px (bilinear), centre square, values 0..1, mean 0.5, std 0.5"
    )
    assert "values 0..255, BGR, mean 103.939" in str(preprocessing("caffe"))


def test_values_laid_over_a_preset_make_it_custom_and_equal_ones_do_not() -> None:
    assert preprocessing("imagenet", mean=(0.485, 0.456, 0.406), size=224).name == "imagenet"
    assert preprocessing("imagenet", mean=0.5).name == "custom"
    assert preprocessing("imagenet", mean=0.5).mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("size", "resize"), [(32, 32), (64, 64), (65, 74), (224, 256), (288, 329), (299, 342)])
def test_another_size_brings_its_own_resize(size: int, resize: int) -> None:
    assert preprocessing("imagenet", size=size).resize == resize


def test_the_size_that_a_preset_has_already_keeps_its_resize() -> None:
    assert preprocessing("imagenet_v2", size=224).resize == 232


def test_bgr_turns_the_numbers_of_the_preset_and_not_those_that_were_given() -> None:
    assert preprocessing("imagenet", bgr=True).mean == (0.406, 0.456, 0.485)
    assert preprocessing("caffe", bgr=False).mean == (123.68, 116.779, 103.939)
    assert preprocessing("imagenet", bgr=True, mean=(1.0, 2.0, 3.0)).mean == (1.0, 2.0, 3.0)


def test_three_numbers_serve_a_gray_network_as_their_luma_weighted_average() -> None:
    gray = preprocessing("imagenet", channels=1)
    assert list(gray.mean) == pytest.approx([0.299 * 0.485 + 0.587 * 0.456 + 0.114 * 0.406], abs=1e-6)
    blue_first = preprocessing("caffe", channels=1)
    assert list(blue_first.mean) == pytest.approx([0.299 * 123.68 + 0.587 * 116.779 + 0.114 * 103.939], abs=1e-6)
    assert not blue_first.bgr


def test_the_default_goes_by_size_and_channels() -> None:
    assert default_preprocessing(224, 3) == preprocessing("imagenet")
    assert default_preprocessing(32, 3) == preprocessing("cifar10")
    assert default_preprocessing(32, 1) == preprocessing("digits", channels=1)
    assert default_preprocessing(299, 3).size == 299


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"name": "imgnet\x1b[2J"}, "No preprocessing is called 'imgnet\\\\x1b[2J': choose imagenet, "),
        ({"size": 0}, "The size is 0, and must be 1 to 4,096 whole pixels."),
        ({"size": 5000}, "The size is 5000, and must be"),
        ({"size": 2.5}, "The size is 2.5, and must be"),
        ({"resize": 200}, "scaled to 200 px and can't have 224 px cut from it: make resize 224 or more."),
        ({"mean": (0.5, 0.5)}, "The mean has 2 numbers, and the network 3 input channels: give one number"),
        ({"mean": ()}, "The mean is (), and must be a finite number a channel."),
        ({"std": (1, 0, 1)}, "The std is 1, 0, 1, and every number of it must be above 0."),
        ({"std": math.nan}, "The std is nan, and must be a finite number"),
        ({"mean": math.inf}, "The mean is inf, and must be a finite number"),
        ({"scale": 0.0}, "The scale is 0, and must be above 0"),
        ({"interpolation": "magic"}, "No interpolation is called 'magic': choose bilinear, "),
        ({"channels": 4}, "The mean has 3 numbers, and the network 4 input channels"),
        ({"channels": 0}, "A network can't have 0 input channels"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_in_a_sentence(values: dict[str, Any], says: str) -> None:
    with pytest.raises(PreprocessingError) as refused:
        preprocessing(**values)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "text", ["0.485,0.456,0.406", " 0.485, 0.456, 0.406 ", "[0.485; 0.456; 0.406]", "(.485 .456 .406)"]
)
def test_numbers_are_read_from_text(text: str) -> None:
    assert values_from_text(text) == (0.485, 0.456, 0.406)


@pytest.mark.parametrize("text", ["", "  ", "[]", "0.5,x", "nan", "1e999", "0.1," * 65, "1" * 5000])
def test_text_that_is_no_list_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(PreprocessingError, match=r"write them as 0\.485,0\.456,0\.406"):
        values_from_text(text)
