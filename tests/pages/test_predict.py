"""The Predict page: answers, what they are worth, and what happens to what can't be used."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor

from ckpt_explorer.examples import DIGITS, example_images, facts
from ckpt_explorer.inference.label_sets import CIFAR10
from tests.pages.conftest import saved
from tests.pages.tab import Tab
from tests.pages.test_open import MARKUP, PICTURE, markdown_and_labels

ZERO, ONE = (next(path for path in example_images() if facts()["images"][path.name] == digit) for digit in (0, 1))


@pytest.fixture
def fits(tab: Tab) -> Tab:
    """The Predict page with the example that fits, loaded."""
    return tab.open_example("fits").go("load").click("load").go("predict")


@pytest.fixture
def small(tab: Tab, small_file: bytes) -> Tab:
    """The Predict page with the small network of 5 classes and 3 input channels, loaded."""
    return tab.open("resnet.pth", small_file).go("load").click("load").go("predict")


def answers(tab: Tab) -> list[str]:
    """The name of the best class of every picture, in their order."""
    return [str(name) for name in tab.table("second")["name"]]


def picture(colour: tuple[int, int, int] = (200, 30, 30), size: int = 32) -> bytes:
    """A PNG of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(file, "PNG")
    return file.getvalue()


def test_without_a_loaded_network_the_page_shows_the_way_to_one(tab: Tab) -> None:
    tab.open_example("fits").go("predict")
    assert tab.says == ["No network is loaded with the rules as they are now."]
    assert [link.label for link in tab.app.main.page_link] == ["Load it"]


def test_without_a_checkpoint_the_page_shows_the_way_to_open_one(tab: Tab) -> None:
    assert tab.go("predict").says == ["No checkpoint is open."]


def test_without_a_picture_a_random_one_is_sent_through_and_what_it_shows_is_said(fits: Tab) -> None:
    assert "(1, 1, 32, 32) went in and (1, 10) came out" in fits.box("shape-check")
    assert "also with random ones" in fits.box("shape-check")
    assert not fits.has_table("second")


# Answers


def test_ten_example_pictures_get_ten_right_answers(fits: Tab) -> None:
    fits.click("example-pictures-10")
    assert "10 of 10 held-out pictures right" in fits.says
    shown = fits.table("second")
    assert [DIGITS[facts()["images"][name]] for name in shown["picture"]] == list(shown["name"])
    assert any(text.startswith("10 pictures · output shape (1, 10) a picture · ") for text in fits.says)


def test_the_ten_example_pictures_are_one_of_each_digit(fits: Tab) -> None:
    fits.click("example-pictures-10")
    assert sorted(fits.table("second")["class"]) == list(range(10))


def test_every_answer_has_a_card_with_the_picture_its_best_class_and_its_probability(fits: Tab) -> None:
    fits.upload("pictures-", (ZERO.name, ZERO.read_bytes()))
    best, name = fits.texts_in("answer-0")
    assert best.startswith("zero  ") and best.endswith("%")
    assert name.replace("\n", "") == ZERO.name
    assert len(fits.app.image) == 2


def test_pictures_can_come_in_several_drops_and_are_removed_together(fits: Tab) -> None:
    fits.upload("pictures-", (ZERO.name, ZERO.read_bytes())).upload("pictures-", (ONE.name, ONE.read_bytes()))
    assert answers(fits) == ["zero", "one"]
    assert fits.label("remove-pictures") == "Remove 2 pictures"
    assert fits.click("remove-pictures").has_box("shape-check")


def test_two_pictures_of_one_name_are_both_answered(fits: Tab) -> None:
    fits.upload("pictures-", ("digit.png", ZERO.read_bytes()), ("digit.png", ONE.read_bytes()))
    assert answers(fits) == ["zero", "one"]
    assert list(fits.table("second")["picture"]) == ["digit.png", "digit.png (2)"]


def as_bitmap(path: Path) -> bytes:
    """The picture in a format in which all of one size have as many bytes."""
    file = io.BytesIO()
    Image.open(path).resize((400, 400)).save(file, "BMP")
    return file.getvalue()


def test_another_picture_under_the_name_of_a_removed_one_gets_its_own_answer(fits: Tab) -> None:
    for path, answer in ((ZERO, "zero"), (ONE, "one")) * 3:
        fits.upload("pictures-", ("digit.bmp", as_bitmap(path)))
        assert answers(fits) == [answer], "the memory of the one may be where the other's was"
        fits.click("remove-pictures")


def test_a_wrong_picture_among_good_ones_gives_one_sentence_and_the_others_are_answered(fits: Tab) -> None:
    fits.upload(
        "pictures-",
        (ZERO.name, ZERO.read_bytes()),
        ("broken.png", ONE.read_bytes()[:60]),
        ("notes.txt", b"no picture"),
        (ONE.name, ONE.read_bytes()),
    )
    assert [text.split(" ")[0] for text in fits.boxes("error")] == ["broken.png", "notes.txt"]
    assert answers(fits) == ["zero", "one"]


def test_only_wrong_pictures_give_sentences_and_no_table(fits: Tab) -> None:
    fits.upload("pictures-", ("notes.txt", b"no picture"))
    assert len(fits.boxes("error")) == 1
    assert not fits.has_table("second")


def test_the_answers_can_be_taken_home_as_a_table(downloads: dict[str, Any], fits: Tab) -> None:
    fits.upload("pictures-", (ZERO.name, ZERO.read_bytes()))
    table = pd.read_csv(io.BytesIO(downloads["download-answers"]))
    assert list(table["image"]) == [ZERO.name] and list(table["name"]) == ["zero"]
    assert table["probability"].between(0, 1).all()


def test_the_classes_of_one_picture_are_shown_as_bars(fits: Tab) -> None:
    fits.click("example-pictures-10")
    assert fits.app.selectbox(key="bars-picture").options[0].startswith("1. ")
    assert [
        chart.proto.id.endswith(key)
        for chart, key in zip(fits.app.get("plotly_chart"), ("bars", "confusion"), strict=True)
    ] == [True, True]


# What the answers are worth


def test_of_the_partial_example_it_is_said_above_the_answers_that_classes_mean_nothing(tab: Tab) -> None:
    tab.open_example("partial").go("load").click("load").go("predict").click("example-pictures-10")
    warning = next(text for text in tab.says if "class answers mean nothing" in text)
    answered = next(text for text in tab.says if text.startswith("10 pictures"))
    assert tab.says.index(warning) < tab.says.index(answered)
    assert tab.boxes("good") == []


def test_of_the_fitting_example_it_is_said_what_the_answers_rest_on(fits: Tab) -> None:
    assert fits.box("trust").startswith("Every tensor of the network comes from the file")


def test_nan_in_the_weights_leaves_no_probability_and_the_page_says_why(
    tab: Tab, small_weights: dict[str, Tensor]
) -> None:
    broken = {**small_weights, "fc.bias": torch.full_like(small_weights["fc.bias"], torch.nan)}
    tab.open("nan.pth", saved(broken)).go("load").click("load").go("predict").upload(
        "pictures-", ("red.png", picture())
    )
    assert any("NaN or infinite" in text for text in tab.says)
    assert tab.texts_in("answer-0")[0].endswith("–")


# Class names


def test_the_known_sets_name_the_classes(fits: Tab) -> None:
    fits.upload("pictures-", (ZERO.name, ZERO.read_bytes())).choose("labels-source", "cifar10")
    assert answers(fits) == [CIFAR10[0]]
    fits.choose("labels-source", "numbers")
    assert answers(fits) == ["class 0"]
    fits.choose("labels-source", "digits")
    assert answers(fits) == ["zero"]


def test_a_set_of_another_count_is_refused_and_numbers_are_shown(fits: Tab) -> None:
    fits.upload("pictures-", (ZERO.name, ZERO.read_bytes())).choose("labels-source", "cifar100")
    assert "100 names, and the network 10 classes" in fits.box("labels")
    assert fits.box("labels").endswith("Class numbers are shown instead.")
    assert answers(fits) == ["class 0"]


def test_a_file_of_names_is_read(small: Tab) -> None:
    small.choose("labels-source", "file").upload("labels-", ("names.txt", b"ant\nbee\ncat\ndog\nelk\n"))
    assert "5 names from names.txt" in small.says
    assert answers(small.upload("pictures-", ("red.png", picture())))[0] in ("ant", "bee", "cat", "dog", "elk")


def test_a_file_with_too_few_names_gives_one_sentence_and_numbers_are_shown(small: Tab) -> None:
    small.choose("labels-source", "file").upload("labels-", ("names.txt", b"ant\nbee\ncat\n"))
    small.upload("pictures-", ("red.png", picture()))
    assert small.boxes("error") == [
        "names.txt has 3 names, and the network 5 classes: add the missing 2, one a line, in the order of training. "
        "Class numbers are shown instead."
    ]
    assert answers(small)[0].startswith("class ")


def test_a_file_that_holds_no_names_says_why(small: Tab) -> None:
    small.choose("labels-source", "file").upload("labels-", ("names.txt", b"\xff\xfe\x00\x01\x02"))
    assert len(small.boxes("error")) == 1 and "names.txt" in small.boxes("error")[0]


def test_pasted_names_are_used_and_stay_in_the_field(small: Tab) -> None:
    small.choose("labels-source", "pasted").write("labels-pasted", "ant\nbee\ncat\ndog\nelk")
    assert answers(small.upload("pictures-", ("red.png", picture())))[0] in ("ant", "bee", "cat", "dog", "elk")
    small.write("labels-pasted", "ant\nbee")
    assert "The pasted list has 2 names" in small.box("labels")
    assert small.field("labels-pasted") == "ant\nbee"


def test_names_and_pictures_survive_a_visit_to_another_page(fits: Tab) -> None:
    fits.upload("pictures-", (ZERO.name, ZERO.read_bytes())).choose("labels-source", "cifar10").go("open").go("predict")
    assert (fits.field("labels-source"), answers(fits)) == ("cifar10", ["airplane"])


def test_the_names_of_the_example_are_not_held_against_another_checkpoint(fits: Tab, small_file: bytes) -> None:
    fits.open("resnet.pth", small_file).go("load").click("load").go("predict")
    assert fits.boxes("error") == []


def test_a_network_of_a_thousand_classes_gets_the_names_of_imagenet(tab: Tab) -> None:
    from tests.checkpoints import small_resnet_state_dict

    tab.open("imagenet.pth", saved(small_resnet_state_dict(num_classes=1000))).go("load").click("load").go("predict")
    assert "1,000 names from ImageNet" in tab.says


def test_no_class_name_or_picture_name_is_ever_markdown_or_html(small: Tab) -> None:
    small.choose("labels-source", "file").upload(
        "labels-", ("names.txt", "\n".join([f"{PICTURE}{MARKUP}"] * 5).encode())
    )
    small.upload("pictures-", (f"{PICTURE}.png", picture()), (f"{MARKUP}.png", b"no picture"))
    assert answers(small)[0].startswith(PICTURE[:20])
    for kind, path, text in markdown_and_labels(small):
        if kind == "plotly_chart":
            assert "<img" not in text, "plotly interprets tags"
        else:
            assert not any(name in text for name in (PICTURE, MARKUP)), f"{kind}{path}"


# Preprocessing


def test_the_example_brings_its_own_preprocessing(fits: Tab) -> None:
    assert (fits.field("preset"), fits.field("mean"), fits.field("std")) == ("digits", "0.5", "0.5")
    assert "digits: shorter side to 32 px (bilinear), centre square, values 0..1, mean 0.5, std 0.5" in fits.says


def test_another_preset_fills_the_form_and_changes_the_answers(fits: Tab) -> None:
    before = fits.upload("pictures-", (ZERO.name, ZERO.read_bytes())).table("second")["probability"][0]
    fits.choose("preset", "none")
    assert (fits.field("mean"), fits.field("std"), fits.field("size")) == ("0", "1", 32)
    assert fits.table("second")["probability"][0] != before


def test_a_preset_of_colour_serves_a_gray_network_under_its_own_name(fits: Tab) -> None:
    fits.choose("preset", "cifar10")
    assert len(fits.field("mean").split(",")) == 1
    assert any(text.startswith("cifar10: ") for text in fits.says)


@pytest.mark.parametrize(
    ("field", "typed"), [("mean", "bright"), ("mean", "0.5, 0.5"), ("std", "0"), ("std", ""), ("mean", "nan")]
)
def test_a_number_that_can_t_be_used_gives_one_sentence_and_the_typed_text_stays(
    fits: Tab, field: str, typed: str
) -> None:
    fits.upload("pictures-", (ZERO.name, ZERO.read_bytes())).write(field, typed)
    assert len(fits.boxes("error")) == 1 and fits.has_box("preprocessing")
    assert fits.field(field) == typed
    assert not fits.has_table("second")
    assert answers(fits.write(field, "0.5")) == ["zero"]


def test_the_form_survives_a_visit_to_another_page(fits: Tab) -> None:
    fits.write("mean", "0.4").count("size", 40).go("align").go("predict")
    assert (fits.field("mean"), fits.field("size")) == ("0.4", 40)
    assert any(text.startswith("custom: shorter side to 40 px") for text in fits.says)


def test_only_a_network_of_three_channels_can_be_given_bgr(small: Tab) -> None:
    assert not small.app.toggle(key="bgr").proto.disabled
    assert any(text.endswith("std 0.247, 0.2435, 0.2616") and ", BGR" in text for text in small.tick("bgr", True).says)


def test_a_gray_network_is_not_asked_for_bgr(fits: Tab) -> None:
    assert fits.app.toggle(key="bgr").proto.disabled


# Many pictures


def zip_of(folders: dict[str, list[Path]]) -> bytes:
    """A zip with these pictures in these folders."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for folder, paths in folders.items():
            for path in paths:
                archive.write(path, f"{folder}/{path.name}")
    return file.getvalue()


def by_digit(count: int) -> dict[str, list[Path]]:
    """So many held-out pictures of each digit, by its name."""
    found: dict[str, list[Path]] = {name: [] for name in DIGITS}
    for path in example_images():
        rows = found[DIGITS[facts()["images"][path.name]]]
        if len(rows) < count:
            rows.append(path)
    return found


def test_a_zip_of_folders_gives_accuracy_confusion_and_the_worst_mistakes(fits: Tab) -> None:
    folders = by_digit(2)
    folders["one"].append(folders["zero"].pop())
    fits.upload("pictures-", ("digits.zip", zip_of(folders)))
    assert fits.texts_in("score") == ["95.0% right (19 of 20) · among the first five 95.0%"]
    assert fits.field("truth-source") == "folders"
    (mistake,) = fits.table("sure").to_dict("records")
    assert (mistake["is"], mistake["answered"]) == ("one", "zero")
    charts = [chart.proto for chart in fits.app.get("plotly_chart")]
    assert [chart.id.rsplit("-", 1)[-1] for chart in charts] == ["bars", "confusion"]
    assert '"seven"' in charts[1].spec
    fits.choose("truth-source", "nobody")
    assert fits.texts_in("score") == []


def test_labels_sorted_otherwise_are_named_and_put_right_by_one_click(fits: Tab) -> None:
    fits.choose("labels-source", "pasted").write("labels-pasted", "\n".join(sorted(DIGITS)))
    fits.upload("pictures-", ("digits.zip", zip_of(by_digit(2))))
    (warning,) = fits.boxes("warning")
    assert warning.startswith("Your labels look sorted otherwise than in training") and "it is 100%" in warning
    fits.click("take-order")
    assert fits.texts_in("score")[0].startswith("100.0% right (20 of 20)")
    assert fits.boxes("warning") == []


def test_a_table_says_what_the_pictures_are_and_a_wrong_one_says_why(fits: Tab) -> None:
    fits.upload("pictures-", (ZERO.name, ZERO.read_bytes()), (ONE.name, ONE.read_bytes()))
    fits.choose("truth-source", "file").upload("truth-", ("truth.csv", b"only one column"))
    assert "has one column" in fits.box("message")
    fits.upload("truth-", ("truth.csv", f"image,label\n{ZERO.name},zero\n{ONE.name},two\n".encode()))
    assert fits.texts_in("score")[0].startswith("50.0% right (1 of 2)")


def test_a_picture_shows_where_the_network_looked_and_what_is_like_it(fits: Tab) -> None:
    fits.upload("pictures-", ("digits.zip", zip_of(by_digit(2))))
    assert any(text.startswith("CAM at layer3, 8 × 8 places, exact") for text in fits.says)
    first = fits.table("second")["picture"][0]
    assert any("/".join(first.split("/")[:1]) in text for text in fits.texts_in("alike-0"))
    fits.choose("stage", "stem")
    assert any(text.startswith("Grad-CAM at stem, 32 × 32 places") for text in fits.says)


def test_a_stopped_run_keeps_what_it_has_and_goes_on_where_it_was(fits: Tab) -> None:
    fits.click("example-pictures-10")
    run = fits.session.run
    assert run is not None
    run.stop()
    del run.answers[4:]
    run.features = [run.features[0][:4]]
    fits.run()
    assert fits.box("stopped").startswith("Stopped after 4 of 10 pictures")
    assert len(fits.table("second")) == 4
    fits.click("classify")
    assert run.job is not None and run.job.finished.wait(60)
    assert len(fits.run().table("second")) == 10 and not fits.has_box("stopped")
    assert "10 of 10 held-out pictures right" in fits.says


def test_another_pace_answers_anew_and_both_times_are_kept(fits: Tab) -> None:
    fits.click("example-pictures-10").count("batch-size", 5).tick("channels-last", True)
    assert list(fits.table("a second")["batch"]) == [32, 5, 5]
    assert "10 of 10 held-out pictures right" in fits.says


def test_many_bad_pictures_do_not_push_the_answers_off_the_page(fits: Tab) -> None:
    bad = [(f"{number}.png", b"no picture") for number in range(12)]
    fits.upload("pictures-", (ZERO.name, ZERO.read_bytes()), *bad)
    assert len(fits.boxes("error")) == 5
    assert len(fits.table("why")) == 7
    assert answers(fits) == ["zero"]
