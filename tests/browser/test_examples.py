"""The three cases of the how-to, from the examples, one click each."""

from tests.browser.explorer import Explorer


def test_case_1_a_state_dict_that_fits_as_it_is_answers_ten_of_ten(tab: Explorer) -> None:
    tab.pictured("open-empty")
    tab.click("open-fits")
    tab.says("say-good-facts", "digits_resnet20.pth")
    tab.aligns()
    tab.verdict_is("COMPLETE")
    assert tab.rules(0) == []
    tab.loads()
    tab.says("say-note-shape-check", "(1, 10) came out")
    tab.tries()
    tab.says("say-good-trust", "answers can be trusted")
    tab.click("example-pictures-10")
    tab.sees("10 of 10 held-out pictures right")
    cards = tab.answers(10)
    assert all("".join(card.split()[2:]).startswith(card.split()[0]) for card in cards), cards


def test_case_2_partial_loading_names_the_keys_and_says_that_class_answers_mean_nothing(tab: Explorer) -> None:
    tab.click("open-partial")
    tab.says("say-good-facts", "simplified")
    tab.aligns()
    tab.verdict_is("PARTIAL")
    tab.says("verdict", "classifier.weight, classifier.bias would be random, so class answers mean nothing")
    tab.click("next")
    tab.says("group-missing", "Missing: the network wants them, the file lacks them · 2")
    tab.says("names-missing", "classifier.weight")
    tab.says("names-missing", "classifier.bias")
    tab.says("group-unexpected", "Unexpected: the file has them, the network has no place · 44")
    tab.says("names-unexpected", "layer3.0.conv1.weight")
    tab.pictured("load-partial")
    tab.click("load")
    tab.says("say-warning-random", "classifier.weight, classifier.bias came from no file")
    tab.says("say-note-shape-check", "(1, 10) came out")
    tab.tries()
    tab.says("say-warning-trust-0", "class answers mean nothing")
    tab.click("example-pictures-10")
    tab.answers(10)
    banner, first = tab.by_key("say-warning-trust-0").bounding_box(), tab.by_key("answer-0").bounding_box()
    assert banner is not None
    assert first is not None
    assert banner["y"] < first["y"], "the warning stands above the answers"


def test_case_3_a_deleted_rule_lowers_the_verdict_and_written_by_hand_raises_it(tab: Explorer) -> None:
    tab.click("open-renamed")
    tab.says("say-good-facts", "renamed")
    tab.aligns()
    tab.verdict_is("COMPLETE")
    rules = tab.rules(4)
    assert rules[0] == "strip prefix 'module.'"
    tab.pictured("align-renamed")
    tab.deletes_rule(1)
    tab.verdict_is("INCOMPATIBLE")
    tab.says("verdict", "Nothing of resnet20_cifar_b is filled")
    tab.writes_rule("strip prefix module.", behind=3)
    tab.verdict_is("COMPLETE")
    assert tab.rules(4) == [*rules[1:], "strip prefix 'module.'"]
    tab.loads()
    tab.tries()
    tab.click("example-pictures-10")
    tab.sees("10 of 10 held-out pictures right")


def test_undo_gives_the_deleted_rule_back_and_rules_survive_a_change_of_page(tab: Explorer) -> None:
    tab.click("open-renamed")
    tab.says("say-good-facts", "renamed")
    tab.aligns()
    tab.verdict_is("COMPLETE")
    tab.deletes_rule(2)
    tab.verdict_is("PARTIAL")
    tab.goes_to("1 Open")
    tab.goes_to("2 Align")
    tab.verdict_is("PARTIAL")
    tab.undoes()
    tab.verdict_is("COMPLETE")
