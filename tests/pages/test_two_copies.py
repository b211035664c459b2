"""The Predict page with a file that holds the network twice: both on the same pictures, side by side."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ckpt_explorer.examples import WEIGHTS, example_images
from ckpt_explorer.inference.against import fitting_copies
from ckpt_explorer.proposal import propose
from ckpt_explorer.reading import open_checkpoint
from tests.checkpoints import small_resnet_state_dict
from tests.pages.conftest import saved
from tests.pages.tab import Tab

THREE, FIVE = 3, 5


def trained() -> dict[str, Tensor]:
    """The weights of the digits example."""
    state_dict = open_checkpoint(WEIGHTS).state_dict
    return {key: state_dict.tensor(key).clone() for key in state_dict}


def exchanged() -> dict[str, Tensor]:
    """The same, which calls a three a five and a five a three."""
    weights = trained()
    order = torch.arange(10)
    order[[THREE, FIVE]] = torch.tensor([FIVE, THREE])
    return weights | {key: weights[key][order] for key in ("fc.weight", "fc.bias")}


def behind(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{key}": tensor for key, tensor in weights.items()}


def predicting(tab: Tab, content: Any) -> Tab:
    """The file loaded, and ten digits answered, which their folders name."""
    tab.open("two.pth", saved(content)).go("load").click("load").go("predict").choose("labels-source", "digits")
    by_digit = {path.name.split("_")[0]: path for path in example_images()}
    return tab.upload("pictures-", *((f"{name}/{path.name}", path.read_bytes()) for name, path in by_digit.items()))


@pytest.fixture
def two(tab: Tab) -> Tab:
    """A raw copy, loaded, and an averaged one under other names, which exchanges two classes."""
    return predicting(tab, {"state_dict": trained(), "state_dict_ema": behind("module.", exchanged()), "epoch": 7})


def test_another_copy_is_offered_and_nothing_is_computed_before_it_is_asked_for(two: Tab) -> None:
    loaded, other = two.session.checkpoint.selected, two.app.selectbox(key="compare-with").options[1]  # type: ignore[union-attr]
    assert {loaded, other} == {"state_dict", "state_dict_ema"}
    assert two.app.selectbox(key="compare-with").options[0] == "Nothing"
    assert not two.has_button("compare")
    two.choose("compare-with", 1)
    assert two.label("compare") == "Answer 10 pictures with it"
    assert two.session.against is not None and two.session.against.loaded is None


def test_both_answer_the_same_pictures_and_those_that_differ_come_first(two: Tab) -> None:
    two.choose("compare-with", 1).click("compare")
    said = two.box("compared").split("\n")
    assert said[0] == "Both give the same answer to 8 of 10 pictures (80.0%)."
    loaded, other = two.session.checkpoint.selected, two.session.against.chosen  # type: ignore[union-attr]
    scores = {"state_dict": "100.0% right (10 of 10)", "state_dict_ema": "80.0% right (8 of 10)"}
    assert said[1:] == [f"loaded: {loaded}: {scores[loaded]}", f"other: {other}: {scores[other or '']}"]
    table = two.table("picture of both")
    assert list(table[""]) == ["≠"] * 2 + ["="] * 8
    first = table.iloc[0]
    answered = {first[f"loaded: {loaded}"].split("  ")[0], first[f"other: {other}"].split("  ")[0]}
    assert answered == {"three", "five"} and first["is"] in answered
    assert all(text.endswith("%") for text in table[f"other: {other}"])
    assert set(table["right are"]) == {"both", "the loaded" if loaded == "state_dict" else "the other"}
    assert [text.split("  ")[0] for text in two.texts_in("differs-0")[0].split("\n")] == [
        "loaded:",
        first[f"loaded: {loaded}"].split("  ")[0],
        "other:",
        first[f"other: {other}"].split("  ")[0],
    ]


def test_with_another_preprocessing_the_copy_is_asked_anew_only_when_it_is_wanted(two: Tab) -> None:
    two.choose("compare-with", 1).click("compare").choose("preset", "none")
    assert not two.has_box("compared") and two.has_button("compare")
    assert two.click("compare").has_box("compared")
    assert not two.choose("compare-with", 0).has_box("compared")


def test_a_stopped_comparison_keeps_what_it_has_and_goes_on(two: Tab) -> None:
    two.choose("compare-with", 1).click("compare")
    run = two.session.against.run  # type: ignore[union-attr]
    assert run is not None
    run.stop()
    del run.answers[4:]
    assert two.run().box("compare-stopped").startswith("Stopped after 4 of 10 pictures")
    assert len(two.table("picture of both")) == 4
    two.click("compare-on")
    assert run.job is not None and run.job.finished.wait(60)
    assert len(two.run().table("picture of both")) == 10


def test_a_copy_within_the_state_dict_is_offered_by_its_prefix(tab: Tab) -> None:
    content = {"state_dict": behind("module.student.", trained()) | behind("module.teacher.", exchanged())}
    predicting(tab, content).choose("compare-with", 1).click("compare")
    assert tab.box("compared").startswith("Both give the same answer to 8 of 10 pictures")


def test_where_the_file_holds_the_network_once_nothing_is_offered(tab: Tab) -> None:
    predicting(tab, {"state_dict": trained(), "epoch": 7})
    assert not any(menu.key == "compare-with" for menu in tab.app.selectbox)


def test_what_is_another_network_is_no_copy() -> None:
    other = small_resnet_state_dict(num_classes=10)
    many = {f"{number}.{key}": tensor for number in range(4) for key, tensor in other.items()}
    proposal = propose(open_checkpoint(saved({"model": trained(), "teacher": many}), "two.pth").select("model"))
    assert fitting_copies(proposal.checkpoint, proposal.alignment, proposal.alternatives) == {}
