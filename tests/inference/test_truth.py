"""Truth: what each picture really is, from folders and tables, as indices of the network's classes."""

from __future__ import annotations

import json

import pytest

from ckpt_explorer.errors import LabelsError
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.inference.truth import folder_names, resolve, truth_from_bytes

ANIMALS = ("cat", "dog", "polar bear")


def pictures(*names: str) -> list[NamedImage]:
    return [NamedImage(name, b"") for name in names]


def test_the_folder_right_above_a_picture_is_its_class() -> None:
    said = folder_names(pictures("val/cat/1.png", "val/dog/2.png", "3.png"))
    assert said == {"val/cat/1.png": "cat", "val/dog/2.png": "dog"}


def test_names_are_found_whatever_their_case_and_underscores() -> None:
    images = pictures("Cat/1.png", "polar_bear/2.png", "POLAR-BEAR/3.png")
    truth = resolve(folder_names(images), images, 3, ANIMALS)
    assert dict(truth.classes) == {"Cat/1.png": 0, "polar_bear/2.png": 2, "POLAR-BEAR/3.png": 2}
    assert (truth.names, truth.notes) == (None, ())


def test_numbers_are_indices_unless_a_class_is_called_so() -> None:
    images = pictures("2/a.png", "0/b.png")
    assert dict(resolve(folder_names(images), images, 3, ANIMALS).classes) == {"2/a.png": 2, "0/b.png": 0}
    assert dict(resolve(folder_names(images), images, 3, ("2", "1", "0")).classes) == {"2/a.png": 0, "0/b.png": 2}


def test_without_names_as_many_folders_as_classes_are_numbered_as_imagefolder_does_and_it_is_said() -> None:
    images = pictures("screw/1.png", "bolt/1.png", "nut/1.png")
    truth = resolve(folder_names(images), images, 3, None)
    assert dict(truth.classes) == {"screw/1.png": 2, "bolt/1.png": 0, "nut/1.png": 1}
    assert truth.names == ("bolt", "nut", "screw")
    assert "ImageFolder" in truth.notes[0]


def test_a_folder_that_is_no_class_is_named_and_its_pictures_are_not_judged() -> None:
    images = pictures("cat/1.png", "bird/1.png", "bird/2.png", "4.png")
    truth = resolve(folder_names(images), images, 3, ANIMALS)
    assert dict(truth.classes) == {"cat/1.png": 0}
    assert truth.notes[0].startswith("1 name is no class of this network (bird), so 2 pictures can't be judged")
    assert truth.notes[1].startswith("Of 1 picture nobody says")


@pytest.mark.parametrize(
    "table",
    [
        "image,label\n1.png,cat\na/2.png,dog\n",
        "1.png;cat\r\na/2.png;dog\r\n",
        "label\tsplit\tfilename\ncat\tval\t1.png\ndog\tval\ta/2.png\n",
        json.dumps({"1.png": "cat", "a/2.png": "dog"}),
        json.dumps([{"image": "1.png", "label": "cat"}, {"image": "a/2.png", "label": "dog"}]),
    ],
)
def test_a_table_may_be_csv_with_or_without_a_head_or_json(table: str) -> None:
    assert truth_from_bytes(table.encode(), "truth") == {"1.png": "cat", "a/2.png": "dog"}


def test_a_picture_is_found_by_its_whole_name_or_by_its_last_part_where_that_is_unmistakable() -> None:
    images = pictures("val/1.png", "a/2.png", "b/2.png", "x/3.png")
    said = {"1.png": "cat", "a/2.png": "cat", "b/2.png": "dog", "q/3.png": "cat", "r/3.png": "dog"}
    assert dict(resolve(said, images, 3, ANIMALS).classes) == {"val/1.png": 0, "a/2.png": 0, "b/2.png": 1}


@pytest.mark.parametrize(
    ("table", "part"),
    [
        (b"", "one column"),
        (b"\xff\xfa\x00", "no UTF-8 text"),
        (b"1.png\n2.png\n", "one column"),
        (b"image,label\n1.png\n", "too few columns in row 1"),
        (b"image,label\n", "holds no rows"),
        (b"1.png,cat\n1.png,dog\n", "says two things of 1.png: cat and dog"),
        (b"{broken", "begins like JSON"),
        (b'{"1.png": ["cat"]}', "neither an object"),
        (b'[{"image": "1.png"}]', "neither an object"),
    ],
)
def test_what_is_no_such_table_is_refused_in_a_sentence(table: bytes, part: str) -> None:
    with pytest.raises(LabelsError, match=part):
        truth_from_bytes(table, "truth.csv")
