"""Labels: the known sets, and every way in which people write a list of names."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt_explorer.errors import LabelsError
from ckpt_explorer.inference.labels import (
    LABEL_SETS,
    check_labels,
    default_labels,
    labels,
    labels_from_bytes,
    labels_from_text,
)

FISH = ("tench", "goldfish", "great white shark")


def test_the_known_sets_have_their_classes_in_the_order_of_training() -> None:
    assert {name: len(labels(name)) for name in LABEL_SETS} == {
        "imagenet": 1000,
        "cifar10": 10,
        "cifar100": 100,
        "digits": 10,
    }
    assert labels("imagenet")[:3] == FISH
    assert labels("cifar10")[3] == "cat"
    assert list(labels("cifar100")) == sorted(set(labels("cifar100")))
    assert labels("digits")[7] == "seven"
    with pytest.raises(LabelsError, match="No label set is called 'coco': choose imagenet, cifar10"):
        labels("coco")


def test_only_a_thousand_classes_have_names_by_default() -> None:
    assert default_labels(1000) == ("imagenet", labels("imagenet"))
    assert [default_labels(count) for count in (2, 10, 100, 1001)] == [None] * 4


@pytest.mark.parametrize(
    "text",
    [
        "tench\ngoldfish\ngreat white shark",
        "tench\r\ngoldfish\r\ngreat white shark\r\n\r\n\n",
        "\ufefftench\ngoldfish\ngreat white shark\n",
        "0 tench\n1 goldfish\n2 great white shark\n",
        "0: tench\n1: goldfish\n2: great white shark\n",
        "0\ttench\n1\tgoldfish\n2\tgreat white shark\n",
        "0,tench\n1,goldfish\n2,great white shark\n",
        "1 tench\n2 goldfish\n3 great white shark\n",
        "2: great white shark\n0: tench\n\n1: goldfish\n",
        "n01440764 tench\nn01443537 goldfish\nn01484850 great white shark\n",
        "0 n01440764 tench\n1 n01443537 goldfish\n2 n01484850 great white shark\n",
        '"0": "tench",\n"1": "goldfish",\n"2": "great white shark"\n',
        '"tench",\n"goldfish",\n"great white shark",\n',
        "{0: 'tench',\n 1: 'goldfish',\n 2: 'great white shark'}",
        "{\n0: 'tench',\n 1: 'goldfish',\n 2: 'great white shark',\n}\n",
        '["tench", "goldfish", "great white shark"]',
        '{"0": "tench", "1": "goldfish", "2": "great white shark"}',
        '{"2": "great white shark", "1": "goldfish", "0": "tench"}',
        '{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"], "2": ["n01484850", "great white shark"]}',
        '[["n01440764", "tench"], ["n01443537", "goldfish"], ["n01484850", "great white shark"]]',
        '{"tench": 0, "goldfish": 1, "great white shark": 2}',
        '{"model": "x", "id2label": {"0": "tench", "1": "goldfish", "2": "great white shark"}}',
    ],
)
def test_every_usual_way_to_write_names_is_read(text: str) -> None:
    assert labels_from_text(text) == FISH
    assert labels_from_bytes(text.encode("utf-8"), "labels.txt") == FISH
    assert labels_from_bytes(text.encode("utf-16"), "labels.txt") == FISH


def test_synonyms_behind_a_wordnet_id_stay() -> None:
    text = "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n"
    assert labels_from_text(text) == ("tench, Tinca tinca", "goldfish, Carassius auratus")


@pytest.mark.parametrize(
    "text", ["7 up\n10 downing street\n", "2 left\n1 right\n9 up", "n01440764\nn01443537\n", "a,\nb,"]
)
def test_lines_that_only_look_numbered_are_names(text: str) -> None:
    assert labels_from_text(text) == tuple(line for line in text.splitlines() if line)


def test_names_of_other_alphabets_stay_and_dangerous_characters_are_written_out() -> None:
    assert labels_from_text("Schleie\nкарась\n鲨鱼") == ("Schleie", "карась", "鲨鱼")
    assert labels_from_text("a\x1b[2J\nb\u202ec") == ("a\\x1b[2J", "b\\u202ec")
    assert len(labels_from_text("x" * 5000)[0]) == 200


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "labels.txt holds no names: write one a line"),
        ("\n \r\n", "labels.txt holds no names"),
        ("[]", "labels.txt holds no names"),
        ("{}", "labels.txt holds no names"),
        ("tench\n\ngoldfish\n", "labels.txt has an empty line 2 between names"),
        ("0: tench\n2: goldfish\n", "labels.txt has no name for number 1: count from 0 and leave none out."),
        ("0: tench\n0: goldfish\n", "labels.txt gives number 0 twice"),
        ('{"0": "a", "0": "b"}', "labels.txt gives one number or name twice"),
        ('{"0": "a", "2": "b"}', "labels.txt has no name for number 1"),
        ('{"a": 0, "b": 0}', "labels.txt gives number 0 twice"),
        ('{"a": -5}', "labels.txt has no name for number 1"),
        ('{"a": "b"}', "labels.txt is a JSON object, and neither from number to name"),
        ('["a", 3]', "labels.txt has no name in entry 1 (3)"),
        ('["a", null]', "labels.txt has no name in entry 1 (null)"),
        ('["a", "b"', "labels.txt begins like JSON and is none (line 1: "),
        ("[" * 100_000, "labels.txt begins like JSON and is none (too deep)"),
        ("[" + "9" * 5000 + "]", "labels.txt begins like JSON and is none"),
        ("\n".join(["x"] * 1_000_001), "labels.txt has 1,000,001 names, and up to 1,000,000 are read"),
    ],
)
def test_a_list_that_can_not_be_used_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(LabelsError) as refused:
        labels_from_text(text, "labels.txt")
    assert str(refused.value).startswith(says)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(LabelsError, match=r"^x\.txt is no UTF-8 text \(byte 3\): save it"):
        labels_from_bytes(b"caf\xe9", "x.txt")
    with pytest.raises(LabelsError, match="it holds zero bytes"):
        labels_from_bytes(b"a\0b", "x.txt")
    with pytest.raises(LabelsError, match=r"has 8\.0 MiB, and a list of names up to 8\.0 MiB is read"):
        labels_from_bytes(b"a" * (8 * 2**20 + 1), "x.txt")


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        names = labels_from_bytes(data, "labels.txt")
    except LabelsError as error:
        assert "\n" not in str(error)
    else:
        assert names


@given(st.lists(st.text(st.characters(categories=("L", "Nd")), min_size=1, max_size=20), min_size=1, max_size=20))
def test_a_json_list_and_a_json_object_of_the_same_names_agree(names: list[str]) -> None:
    assert labels_from_text(json.dumps(names)) == tuple(names)
    assert labels_from_text(json.dumps(dict(enumerate(names)))) == tuple(names)


@pytest.mark.parametrize(
    ("count", "classes", "says"),
    [
        (
            7,
            10,
            "labels.txt has 7 names, and the network 10 classes: add the missing 3, one a line, in the order of training.",
        ),
        (
            12,
            10,
            "labels.txt has 12 names, and the network 10 classes: take out the 2 that the network was not trained on.",
        ),
        (
            1001,
            1000,
            "labels.txt has 1,001 names, and the network 1,000 classes: take out the one that the network does not know; "
            "the first might be `background`.",
        ),
        (
            1000,
            1001,
            "labels.txt has 1,000 names, and the network 1,001 classes: add the missing one; a network of TensorFlow's has "
            "`background` before all others.",
        ),
        (2, 1, "labels.txt has 2 names, and the network 1 class: take out the one"),
    ],
)
def test_too_few_or_too_many_names_are_counted_for_a_person(count: int, classes: int, says: str) -> None:
    with pytest.raises(LabelsError) as refused:
        check_labels(["x"] * count, classes, "labels.txt")
    assert str(refused.value).startswith(says)


def test_as_many_names_as_classes_are_fine() -> None:
    check_labels(FISH, 3)
