"""The Align page: which state dict, which network, and its options."""

from __future__ import annotations

import pytest
from torch import Tensor

from tests.checkpoints import add_prefix, small_resnet_state_dict
from tests.pages.conftest import saved
from tests.pages.tab import Tab

STRIP, HEAD, SHORTCUT, NORM = SUGGESTED = [
    "strip prefix 'module.'",
    "rename 'classifier.' -> 'fc.'",
    "rename 'shortcut.' -> 'downsample.'",
    "rename 'norm{n}.' -> 'bn{n}.'",
]


def test_another_network_and_back_finds_the_edited_rules_again(renamed: Tab) -> None:
    renamed.on_rule("delete", 1).choose("network", "resnet18")
    assert renamed.badge == "INCOMPATIBLE"
    renamed.choose("network", "resnet20_cifar_b")
    assert (renamed.badge, renamed.rules) == ("PARTIAL", [STRIP, SHORTCUT, NORM])
    assert renamed.editor["steps"] == ["delete rule 2"]


def test_change_of_page_and_back_keeps_rules_network_and_search(renamed: Tab) -> None:
    renamed.on_rule("delete", 1).choose("network", "resnet32_cifar_b").writes("drop layer9.")
    before = renamed.rules
    renamed.go("open").go("predict").go("align")
    assert (renamed.field("network"), renamed.rules) == ("resnet32_cifar_b", before)


def test_the_networks_on_offer_begin_with_those_that_agree_most(renamed: Tab) -> None:
    options = renamed.app.selectbox(key="network").options
    assert options[0].startswith("resnet20_cifar_b · ") and options[0].endswith("% agrees")
    assert "resnet50" in options and "another checkpoint's keys · align and convert only" in options


@pytest.fixture
def two_networks(tab: Tab) -> Tab:
    """The Align page with a file of a student and its teacher."""
    weights = {"student": small_resnet_state_dict(), "teacher": add_prefix("net.", small_resnet_state_dict(1, 7))}
    return tab.open("two.pth", saved(weights)).go("align")


def test_every_state_dict_of_a_file_can_be_chosen(two_networks: Tab) -> None:
    assert {option.split(" · ")[0] for option in two_networks.app.selectbox(key="state-dict").options} == {
        "student",
        "teacher",
    }
    assert (two_networks.badge, two_networks.session.target.num_classes) == ("COMPLETE", 5)
    two_networks.choose("state-dict", "teacher")
    assert (two_networks.badge, two_networks.session.target.num_classes) == ("COMPLETE", 7)
    assert two_networks.rules == ["strip prefix 'net.'"]


def test_each_state_dict_keeps_its_own_rules(two_networks: Tab) -> None:
    two_networks.writes("drop fc.").choose("state-dict", "teacher").choose("state-dict", "student")
    assert two_networks.rules == ["drop 'fc.'"]


def test_a_file_with_one_state_dict_offers_no_choice_of_it(renamed: Tab) -> None:
    assert "state-dict" not in {menu.key for menu in renamed.app.selectbox}


def test_another_class_count_leaves_the_head_without_weights(renamed: Tab) -> None:
    renamed.count("option-num_classes", 7)
    assert renamed.badge == "PARTIAL"
    assert any("Only the class count differs" in text for text in renamed.says)
    assert renamed.count("option-num_classes", 10).badge == "COMPLETE"


def test_too_many_input_channels_are_refused_in_a_sentence(renamed: Tab) -> None:
    renamed.count("option-in_channels", 5000)
    assert any("must be from 1 to 4,096" in text for text in renamed.boxes("error"))


def test_a_custom_network_takes_its_blocks_as_text(renamed: Tab) -> None:
    renamed.choose("network", "custom").write("option-blocks", "2,2")
    assert len(renamed.session.target.architecture().tree) < 128
    assert renamed.field("option-blocks") in ("2,2", "2, 2")
    assert renamed.boxes("error") == []


@pytest.mark.parametrize("blocks", ["a,b", "0", "", "1 1 1 1 1 1 1 1 1", "99999"])
def test_impossible_blocks_give_one_sentence_and_keep_the_typed_text(renamed: Tab, blocks: str) -> None:
    renamed.choose("network", "custom")
    before = renamed.session.target
    renamed.write("option-blocks", blocks)
    assert len(renamed.boxes("error")) == 1 and renamed.box("option-blocks").startswith("Blocks a stage ")
    assert renamed.field("option-blocks") == blocks
    assert renamed.session.target == before
    assert renamed.write("option-blocks", "3, 3, 3").boxes("error") == []


def test_a_custom_network_with_the_right_options_is_complete(renamed: Tab) -> None:
    renamed.choose("network", "custom").write("option-blocks", "3,3,3").write("option-width", "16")
    renamed.write("option-stem_kernel", "3").write("option-stem_stride", "1").tick("option-max_pool", False)
    assert renamed.badge == "COMPLETE"


def test_the_small_network_is_recognised_as_a_custom_one(tab: Tab, small_file: bytes) -> None:
    tab.open("resnet.pth", small_file).go("align")
    assert (tab.session.target.name, tab.badge) == ("custom", "COMPLETE")


def test_another_checkpoint_can_be_the_target(tab: Tab, small_weights: dict[str, Tensor], small_file: bytes) -> None:
    tab.open("renamed.pth", saved(add_prefix("module.", small_weights))).go("align")
    tab.choose("network", "another checkpoint's keys")
    assert tab.boxes("error") == ["Give the other checkpoint whose keys are to be matched."]
    tab.upload("reference-", ("reference.pth", small_file))
    assert "Keys of reference.pth" in tab.says
    if tab.badge != "COMPLETE":
        tab.writes("strip prefix module.")
    assert tab.badge == "COMPLETE"
    assert tab.label("next").startswith("Convert")


def test_a_wrong_reference_gives_one_sentence(renamed: Tab) -> None:
    renamed.choose("network", "another checkpoint's keys").upload(
        "reference-", ("cat.png", b"\x89PNG\r\n\x1a\n" + bytes(99))
    )
    assert renamed.box("message").startswith("cat.png is a PNG picture")
    assert renamed.session.reference is None


def compared(tab: Tab) -> Tab:
    """The page with the comparison open, and every choice looked at."""
    tab.click("compare")
    job = tab.session.outlook_job
    assert job is not None and job.finished.wait(30)
    return tab.run()


def test_the_comparison_says_what_each_state_dict_and_network_would_give(two_networks: Tab) -> None:
    compared(two_networks)
    says = two_networks.says
    assert says.count("custom: ● 68 matched") == 2
    assert any("against it: " in text for text in says)
    two_networks.click("use-dict-1")
    assert two_networks.session.target.num_classes == 7
    assert two_networks.click("compare").badge == "COMPLETE"


def test_a_candidate_is_used_by_its_button(renamed: Tab) -> None:
    compared(renamed)
    name = renamed.session.candidates[1].name
    renamed.click("use-candidate-1")
    assert (renamed.field("network"), renamed.click("compare").badge) == (name, "INCOMPATIBLE")


def test_any_other_network_shows_what_it_would_do_before_it_is_used(renamed: Tab) -> None:
    compared(renamed).choose("another-network", "resnet50")
    assert renamed.session.target.name == "resnet20_cifar_b"
    assert any(text.startswith("incompatible: ") and "missing" in text for text in renamed.says)
    assert renamed.click("use-another").session.target.name == "resnet50"


def test_a_menu_keeps_its_words_while_the_choices_are_looked_at(renamed: Tab) -> None:
    before = renamed.app.selectbox(key="network").options
    assert compared(renamed).app.selectbox(key="network").options == before


def test_a_state_dict_with_a_hostile_name_is_shown_as_text(tab: Tab) -> None:
    name = "<img src=x>\u202e\x1b[31m**bold**"
    tab.open("two.pth", saved({name: small_resnet_state_dict(), "other": small_resnet_state_dict(1)})).go("align")
    compared(tab)
    shown = " ".join([*tab.says, *tab.app.selectbox(key="state-dict").options])
    assert "\\u202e\\x1b[31m**bold**" in shown and "\u202e" not in shown and "\x1b" not in shown


def test_the_map_is_drawn_and_can_be_hidden(renamed: Tab) -> None:
    assert len(renamed.app.get("plotly_chart")) == 1
    assert len(renamed.click("map-hide").app.get("plotly_chart")) == 0
    assert len(renamed.click("map-show").app.get("plotly_chart")) == 1
