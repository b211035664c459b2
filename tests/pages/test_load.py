"""The Load page: what will go where, what went where, and what that proves."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
import torch
from torch import Tensor

from ckpt_explorer.alignment import align
from ckpt_explorer.examples import EXAMPLES, example_bytes
from ckpt_explorer.reading import open_checkpoint
from tests.checkpoints import small_resnet_state_dict
from tests.pages.conftest import saved
from tests.pages.tab import Tab


@pytest.fixture
def fits(tab: Tab) -> Tab:
    """The Load page with the example that fits."""
    return tab.open_example("fits").go("load")


@pytest.fixture
def partial(tab: Tab) -> Tab:
    """The Load page with the example of which only the trunk fits."""
    return tab.open_example("partial").go("load")


def groups(tab: Tab) -> dict[str, int]:
    """The report's groups and how many names each has."""
    labels = [part.label for part in tab.app.main.expander]
    return {label.split(" ")[1].rstrip(":").lower(): int(label.rsplit(" ", 1)[1].replace(",", "")) for label in labels}


def names(tab: Tab, field: str) -> list[str]:
    """The names in one group of the report."""
    block = tab.app.main.get_by_key(f"names-{field}")
    return [line for code in block.code for line in code.value.split("\n")]


def test_without_a_checkpoint_the_page_shows_the_way_to_open_one(tab: Tab) -> None:
    assert tab.go("load").says == ["No checkpoint is open."]


def test_before_loading_the_report_tells_every_tensor_by_name(partial: Tab) -> None:
    assert partial.label("load") == "Load"
    assert groups(partial) == {"missing": 2, "unexpected": 44, "matched": 84}
    assert names(partial, "missing") == ["classifier.weight", "classifier.bias"]
    assert names(partial, "matched")[0] == "conv1.weight  ←  conv1.weight"
    assert "None: ≠ Shape mismatch, · Ignored, ◑ Adapted" in partial.says


def test_the_report_names_the_key_in_the_file_that_each_came_from(tab: Tab) -> None:
    tab.open_example("renamed").go("load")
    assert "layer1.0.bn1.weight  ←  module.layer1.0.norm1.weight" in names(tab, "matched")


def test_a_complete_file_is_loaded_strictly_unless_told_otherwise(fits: Tab) -> None:
    assert fits.field("strict") is True
    fits.click("load")
    assert fits.session.loaded is not None and fits.session.loaded.report.strict
    assert fits.label("load") == "Load again"
    assert groups(fits) == {"matched": 128}


def test_strict_on_a_partial_file_is_refused_in_one_sentence_that_names_the_keys(partial: Tab) -> None:
    assert partial.field("strict") is False
    partial.choose("strict", True).click("load")
    assert len(partial.boxes("error")) == 1
    assert partial.box("message").startswith("A strict load into ")
    assert "2 keys missing (classifier.weight, classifier.bias)" in partial.box("message")
    assert "44 keys unexpected" in partial.box("message")
    assert partial.session.loaded is None and not partial.has_button("next")


def test_a_partial_load_names_the_random_tensors_and_what_answers_are_worth(partial: Tab) -> None:
    partial.click("load")
    assert partial.box("random") == "Random: classifier.weight, classifier.bias came from no file."
    assert "random" in [key.split("-", 2)[2] for key in warnings_of(partial)]
    assert partial.boxes("warning")[0].startswith("The head is random (classifier.weight, classifier.bias)")


def warnings_of(tab: Tab) -> list[str]:
    """The keys of the boxes that warn."""
    return [box.key or "" for box in tab._containers("say-warning-")]


def test_values_are_compared_bit_for_bit_and_what_that_does_not_show_is_said(fits: Tab) -> None:
    fits.click("load")
    assert fits.box("values") == (
        "Values: 128 of 128 tensors in the network equal the file's, bit for bit. "
        "That does not show that each is in its right place."
    )
    assert fits.box("random") == "Random: no tensor of the network was left as it was initialised."


def test_the_shape_check_says_that_random_weights_would_pass_it_too(fits: Tab) -> None:
    says = fits.click("load").box("shape-check")
    assert "(1, 1, 32, 32) went in and (1, 10) came out" in says
    assert "which it would with any weights, also with random ones" in says


def test_the_evidence_comes_in_the_order_that_a_doubter_would_ask(fits: Tab) -> None:
    keys = [(box.key or "").split("-", 2)[2] for box in fits.click("load")._containers("say-")]
    assert keys == ["trust", "values", "random", "shape-check"]


def test_statistics_that_were_never_trained_are_said(tab: Tab, small_weights: dict[str, Tensor]) -> None:
    fresh = {
        key: torch.zeros_like(row)
        if key.endswith("running_mean")
        else torch.ones_like(row)
        if key.endswith("running_var")
        else row
        for key, row in small_weights.items()
    }
    tab.open("fresh.pth", saved(fresh)).go("load").click("load")
    assert any("were never trained or not saved" in text for text in tab.boxes("error"))


def test_nan_in_the_weights_shows_in_the_shape_check(tab: Tab, small_weights: dict[str, Tensor]) -> None:
    broken = {**small_weights, "fc.bias": torch.full_like(small_weights["fc.bias"], torch.nan)}
    tab.open("nan.pth", saved(broken)).go("load").click("load")
    assert "NaN or infinite values" in tab.box("shape-check")


def test_when_the_rules_change_the_network_must_be_loaded_again(tab: Tab) -> None:
    tab.open_example("renamed").go("load").click("load").go("align").on_rule("delete", 1).go("load")
    assert tab.session.loaded is None
    assert tab.label("load") == "Load" and not tab.has_button("next")


def test_when_another_network_is_chosen_it_must_be_loaded_again(fits: Tab) -> None:
    fits.click("load").go("align").choose("network", "resnet32_cifar_b").go("load")
    assert fits.session.loaded is None


def test_a_visit_to_other_pages_keeps_the_network_loaded(fits: Tab) -> None:
    loaded = fits.click("load").session.loaded
    assert fits.go("open").go("align").go("load").session.loaded is loaded is not None


def test_half_precision_is_loaded_as_asked_and_said(fits: Tab) -> None:
    fits.choose("dtype", "float16").click("load")
    assert (
        fits.session.loaded is not None
        and fits.session.loaded.module.state_dict()["conv1.weight"].dtype is torch.float16
    )
    assert "after a cast" in fits.box("values")
    assert "on cpu, float16" in fits.sidebar


def test_the_devices_of_this_machine_are_on_offer(fits: Tab) -> None:
    assert fits.app.selectbox(key="device").options[0] == "cpu"


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_the_downloads_are_files_under_the_networks_own_keys(
    downloads: dict[str, Any],
    tab: Tab,
    suffix: str,
) -> None:
    tab.open_example("renamed").go("load").click("load")
    again = open_checkpoint(downloads[f"download-{suffix}"](), f"converted.{suffix}").state_dict
    assert tab.session.loaded is not None
    expected = tab.session.loaded.module.state_dict()
    assert set(again) == set(expected)
    assert all(torch.equal(again.tensor(key), expected[key]) for key in expected)


def test_a_reference_is_converted_and_not_loaded(
    downloads: dict[str, Any],
    tab: Tab,
    small_weights: dict[str, Tensor],
    small_file: bytes,
) -> None:
    tab.open("resnet.pth", saved(small_weights)).go("align").choose("network", "another checkpoint's keys")
    tab.upload("reference-", ("reference.pth", small_file)).click("next")
    assert "there is nothing to load" in tab.box("reference")
    assert not tab.has_button("load")
    assert set(open_checkpoint(downloads["download-pth"](), "converted.pth").state_dict) == set(small_weights)


def test_nothing_that_fits_is_refused_in_a_sentence(tab: Tab) -> None:
    tab.open("linear.pth", saved({"weight": torch.zeros(2, 3), "bias": torch.zeros(2)})).go("load").click("load")
    assert tab.box("message").startswith("Not one tensor of the file fits")


def test_the_next_step_leads_to_the_predict_page(fits: Tab) -> None:
    assert fits.click("load").click("next").title == "Predict"


def test_what_does_not_fit_is_asked_with_what_each_choice_leads_to(partial: Tab) -> None:
    assert "To decide" in partial.headings
    says = partial.texts_in("decision-missing")
    assert says[0] == "classifier.weight, classifier.bias are wanted by the network and not in the file."
    assert says[1].endswith("70 tensors come from the file, 2 random.")
    assert partial.label("decide-missing-0") == "Load the rest (strict=False); these stay as initialised"
    assert partial.label("decide-unexpected-0") == "Leave them out of the load"


def test_what_each_choice_leads_to_is_found_once_however_often_the_page_runs(
    monkeypatch: pytest.MonkeyPatch, partial: Tab
) -> None:
    aligned: list[int] = []

    def counted(*given: Any, **named: Any) -> Any:
        aligned.append(len(aligned))
        return align(*given, **named)

    monkeypatch.setattr("ckpt_explorer.decisions.align", counted)
    partial.session.aligned = None
    partial.run()
    first = len(aligned)
    assert first > 0
    partial.run().choose("dtype", "float16").go("open").go("load")
    assert len(aligned) == first
    assert partial.texts_in("decision-unexpected"), "what was kept is shown"
    partial.click("decide-unexpected-0")
    assert not partial.has_button("decide-unexpected-0"), "another alignment has decisions of its own"


def test_leaving_out_is_a_step_of_the_rules_that_can_be_undone(partial: Tab) -> None:
    partial.click("decide-unexpected-0")
    assert groups(partial) == {"missing": 2, "ignored": 44, "matched": 84}
    assert not partial.has_button("decide-unexpected-0")
    history = partial.session.histories[partial.session.place]
    assert history.next_undo == "decide: leave them out of the load"
    history.undo()
    assert groups(partial.run()) == {"missing": 2, "unexpected": 44, "matched": 84}


def test_a_head_of_other_classes_is_built_with_those_of_the_file(tab: Tab) -> None:
    tab.open("seven.pth", saved(small_resnet_state_dict(num_classes=7)))
    tab.session.choose(replace(tab.session.target, num_classes=5))
    tab.go("load")
    assert tab.label("decide-classes-0") == "Build the head with the file's 7 classes"
    tab.click("decide-classes-0")
    assert tab.session.target.num_classes == 7 and tab.verdict.startswith("Every parameter and buffer")
    assert not tab.has_button("decide-classes-0")


def test_looking_closer_gives_the_evidence_and_says_that_nothing_is_doubted(fits: Tab) -> None:
    fits.click("load").click("verify")
    assert fits.box("doubts") == "Nothing is doubted, by the weights alone."
    assert fits.box("health") == "Health: nothing odd."
    assert fits.box("wiring").startswith("Wiring: At each of ")


def test_a_spoilt_layer_is_named_with_the_next_step(tab: Tab) -> None:
    whole = next(example for example in EXAMPLES if example.id == "fits")
    weights = torch.load(BytesIO(example_bytes(whole)), weights_only=True)["state_dict"]
    weights["layer2.1.conv1.weight"] = torch.randn_like(weights["layer2.1.conv1.weight"])
    tab.open("spoilt.pth", saved(weights)).go("load").click("load").click("verify")
    assert any("layer2.1" in doubt for doubt in tab.boxes("error"))
    assert tab.box("trust-doubted").endswith("no answer can be trusted.") and not tab.has_box("trust")
    tab.go("predict")
    assert tab.has_box("trust-doubted")
