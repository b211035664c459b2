"""Prediction: the right classes in the right order, whatever the batch, and no picture stops another."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ckpt_explorer.errors import InferenceError, LabelsError, PreprocessingError
from ckpt_explorer.inference.images import as_input, open_image
from ckpt_explorer.inference.prediction import (
    ClassScore,
    FailedImage,
    NamedImage,
    Prediction,
    random_check,
)
from ckpt_explorer.inference.preprocessing import preprocessing
from tests.inference.answers import predict
from tests.inference.networks import Gives, picture, resnet20

CIFAR = preprocessing("cifar10")
PLAIN = preprocessing("none", size=32)
REAL = Path(__file__).parents[3] / "shared" / "real"


def predictions(answers: list[Prediction | FailedImage]) -> list[Prediction]:
    assert not [answer for answer in answers if isinstance(answer, FailedImage)]
    return [answer for answer in answers if isinstance(answer, Prediction)]


def test_the_best_classes_come_first_with_the_softmax_of_the_logits() -> None:
    network, image = resnet20(), picture(1)
    (answer,) = predictions(predict(network, [image], CIFAR, channels=3, top=3, labels=list("abcdefghij")))
    logits = network(as_input(open_image(image.source, image.name), CIFAR, 3)[None])[0].detach()
    wanted = torch.softmax(logits, 0).sort(descending=True)
    assert [score.index for score in answer.top] == wanted.indices[:3].tolist()
    assert [score.probability for score in answer.top] == pytest.approx(wanted.values[:3].tolist(), abs=1e-5)
    assert [score.label for score in answer.top] == ["abcdefghij"[index] for index in wanted.indices[:3].tolist()]
    assert answer.image == "1.png"
    assert answer.output_shape == (1, 10)
    assert answer.milliseconds > 0


def test_more_classes_than_there_are_means_all_and_equal_ones_go_by_index() -> None:
    network = Gives(lambda logits: logits * 0)
    (answer,) = predictions(predict(network, [picture(0)], PLAIN, channels=3, top=99))
    assert [(score.index, score.probability, score.label) for score in answer.top] == [
        (i, 0.25, None) for i in range(4)
    ]


def test_a_picture_gets_the_same_answer_alone_and_in_any_batch() -> None:
    network, images = resnet20(), [picture(seed) for seed in range(7)]
    alone = predictions(predict(network, images, CIFAR, channels=3, top=10, batch_size=1))
    for size in (2, 3, 7, 100):
        together = predictions(predict(network, images, CIFAR, channels=3, top=10, batch_size=size))
        assert [answer.image for answer in together] == [answer.image for answer in alone]
        for one, other in zip(alone, together, strict=True):
            assert [score.index for score in one.top] == [score.index for score in other.top]
            assert [score.logit for score in one.top] == pytest.approx([s.logit for s in other.top], abs=1e-4)
            assert one.output_shape == other.output_shape == (1, 10)


def test_a_broken_picture_in_the_middle_stops_no_other() -> None:
    images = [picture(0), NamedImage("notes.png", b"milk, eggs"), picture(2)]
    first, broken, last = predict(resnet20(), images, CIFAR, channels=3)
    assert isinstance(first, Prediction)
    assert isinstance(last, Prediction)
    assert isinstance(broken, FailedImage)
    assert broken.says.startswith("notes.png is a text file")
    assert broken.as_json() == {"image": "notes.png", "error": broken.says}
    assert (first.image, last.image) == ("0.png", "2.png")


def test_pictures_that_are_all_broken_never_reach_the_network() -> None:
    def fail(_logits: Tensor) -> Tensor:
        raise AssertionError("it was asked")

    answers = predict(Gives(fail), [NamedImage("a", b"")], CIFAR, channels=3)
    assert [type(answer) for answer in answers] == [FailedImage]
    assert predict(resnet20(), [], CIFAR, channels=3) == []


def test_progress_counts_up_to_all_and_may_give_up() -> None:
    class GivenUpError(Exception):
        pass

    seen: list[tuple[int, int]] = []
    predict(
        resnet20(),
        [picture(i) for i in range(5)],
        CIFAR,
        channels=3,
        batch_size=2,
        progress=lambda done, of: seen.append((done, of)),
    )
    assert seen == sorted(seen)
    assert seen[0] == (0, 5)
    assert seen[-1] == (5, 5)

    def give_up(_done: int, _of: int) -> None:
        raise GivenUpError

    with pytest.raises(GivenUpError):
        predict(resnet20(), [picture(0)], CIFAR, channels=3, progress=give_up)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_network_of_another_type_is_fed_its_own(dtype: torch.dtype) -> None:
    (plain,) = predictions(predict(resnet20(), [picture(0)], CIFAR, channels=3))
    (answer,) = predictions(predict(resnet20().to(dtype), [picture(0)], CIFAR, channels=3))
    assert math.isclose(answer.top[0].probability or 0, plain.top[0].probability or 0, abs_tol=0.05)


def test_large_pictures_go_in_smaller_batches() -> None:
    sizes: list[int] = []

    def note(logits: Tensor) -> Tensor:
        sizes.append(len(logits))
        return logits

    row = preprocessing("none", size=2048, resize=2048)
    predict(Gives(note), [picture(i, 8) for i in range(4)], row, channels=3)
    assert sizes == [2, 2]


def test_labels_must_be_as_many_as_the_classes() -> None:
    with pytest.raises(LabelsError, match="has 3 names, and the network 10 classes: add the missing 7"):
        predict(resnet20(), [picture(0)], CIFAR, channels=3, labels=["a", "b", "c"])


def test_a_dict_is_searched_and_the_answer_says_so() -> None:
    (answer,) = predictions(predict(Gives(lambda y: {"logits": y}), [picture(0)], PLAIN, channels=3))
    assert answer.notes == ("The network gives back a dict (logits): the class scores are logits.",)
    assert answer.as_json()["notes"] == list(answer.notes)


def test_nan_logits_have_no_probability_and_valid_json() -> None:
    def with_nan(logits: Tensor) -> Tensor:
        logits[0, 2] = math.nan
        return logits

    spoiled, fine = predictions(predict(Gives(with_nan), [picture(0), picture(1)], PLAIN, channels=3))
    assert [score.probability for score in spoiled.top] == [None] * 4
    assert [score.index for score in spoiled.top] == [3, 1, 0, 2]
    assert spoiled.notes[0].startswith("1 of the 4 logits are NaN or infinite, so there are no probabilities")
    assert "NaN" not in json.dumps({**spoiled.as_json(), "notes": []}, allow_nan=False)
    assert fine.top[0].probability is not None
    assert fine.notes == ()


def test_a_class_that_is_masked_out_has_probability_zero() -> None:
    def masked(logits: Tensor) -> Tensor:
        logits[:, 0] = -math.inf
        return logits

    (answer,) = predictions(predict(Gives(masked), [picture(0)], PLAIN, channels=3))
    assert answer.top[-1] == ClassScore(0, None, 0.0, -math.inf)


def test_an_output_that_is_softmax_already_is_not_softened_again() -> None:
    (answer,) = predictions(predict(Gives(lambda y: torch.softmax(y, 1)), [picture(0)], PLAIN, channels=3, top=4))
    assert sum(score.probability or 0 for score in answer.top) == pytest.approx(1, abs=1e-5)
    assert answer.top[0].probability == pytest.approx(answer.top[0].logit)
    assert "taken as probabilities" in answer.notes[0]


def test_one_number_a_picture_is_no_choice_of_classes() -> None:
    (answer,) = predictions(predict(Gives(lambda y: y, classes=1), [picture(0)], PLAIN, channels=3))
    assert answer.top[0].probability is None
    assert "one number a picture" in answer.notes[0]


def test_a_feature_map_is_refused_with_its_shape() -> None:
    network = Gives(lambda y: y[:, :, None, None].expand(-1, -1, 7, 7))
    with pytest.raises(InferenceError, match=r"shape \(2, 4, 7, 7\), a map of 4 channels and no class scores"):
        predict(network, [picture(0), picture(1)], PLAIN, channels=3)


@pytest.mark.parametrize("wrong", [{"top": 0}, {"batch_size": 0}])
def test_counts_below_one_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InferenceError, match="both must be 1 or more"):
        predict(resnet20(), [picture(0)], CIFAR, channels=3, **wrong)


def test_a_network_of_other_channels_is_refused_before_a_picture_is_read() -> None:
    with pytest.raises(PreprocessingError, match="takes 5 input channels"):
        predict(resnet20(), [NamedImage("a", b"")], CIFAR, channels=5)


def test_json_of_a_prediction_has_the_promised_keys() -> None:
    answer = Prediction("a.png", (ClassScore(3, "cat", 0.5, 1.0),), (1, 10), 2.5)
    assert answer.as_json() == {
        "image": "a.png",
        "top": [{"index": 3, "label": "cat", "probability": 0.5}],
        "output_shape": [1, 10],
        "milliseconds": 2.5,
    }
    assert ClassScore(0, None, math.nan, math.nan).as_json()["probability"] is None


def test_the_random_check_tells_the_shapes_and_what_they_do_not_prove() -> None:
    check = random_check(resnet20(), 3, 32)
    assert (check.input_shape, check.output_shape, check.finite) == ((1, 3, 32, 32), (1, 10), True)
    assert check.says == (
        "Random numbers of shape (1, 3, 32, 32) went in and (1, 10) came out: the shapes fit and the code runs, which it "
        "would with any weights, also with random ones."
    )
    assert json.loads(json.dumps(check.as_json()))["output_shape"] == [1, 10]


def test_the_random_check_shows_a_feature_map_and_sees_nan() -> None:
    assert random_check(Gives(lambda y: {"f": y[:, :, None]}), 3, 8).output_shape == (1, 4, 1)
    broken = random_check(Gives(lambda y: y * math.nan), 3, 8)
    assert not broken.finite
    assert "NaN or infinite values" in broken.says
    with pytest.raises(InferenceError, match="without a tensor in it"):
        random_check(Gives(lambda _: None), 3, 8)
    with pytest.raises(InferenceError, match="give 1 to 4,096 px"):
        random_check(resnet20(), 3, 0)


def test_the_random_check_leaves_the_random_state_as_it_was() -> None:
    before = torch.random.get_rng_state()
    random_check(resnet20(), 3, 32)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real weights lie beside the checkout, where there are any")
@pytest.mark.parametrize("file", ["resnet20-12fca82f.th", "resnet56-4bfd9763.th"])
def test_real_weights_give_the_real_answers(file: str) -> None:
    from ckpt_explorer.architectures.plain_resnet import PlainResNet
    from ckpt_explorer.architectures.spec import NAMED_SPECS

    weights = torch.load(REAL / file, weights_only=True, map_location="cpu")["state_dict"]
    network = PlainResNet(NAMED_SPECS[f"{file.partition('-')[0]}_cifar_a"])
    renamed = {key.removeprefix("module.").replace("linear.", "fc."): value for key, value in weights.items()}
    network.load_state_dict(renamed)
    expected = json.loads((REAL / "expected.json").read_text())
    used = expected["preprocess"]
    row = preprocessing("imagenet", size=used["size"][0], mean=used["mean"], std=used["std"])
    images = [NamedImage(name, REAL / "images" / name) for name in expected["images"]]
    answers = predictions(predict(network.eval(), images, row, channels=3, labels=expected["classes"], top=1))
    for answer, wanted in zip(answers, expected["predictions"][file], strict=True):
        assert (answer.top[0].index, answer.top[0].label) == (wanted["index"], wanted["label"])
        assert answer.top[0].probability == pytest.approx(wanted["probability"], abs=2e-4)
