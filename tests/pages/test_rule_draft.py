"""What would be with the rule that is being typed: held against the network as it stands, and in force nowhere."""

from __future__ import annotations

from ckpt_explorer.alignment import Status
from ckpt_explorer.key_pair import Verdict
from ckpt_explorer.ui import journey
from ckpt_explorer.ui.session import RuleDraft
from tests.pages.tab import Tab


def test_without_a_draft_or_with_one_that_is_no_rule_yet_there_is_no_preview(renamed: Tab) -> None:
    here = renamed.session
    assert journey.previewed(here) is None
    here.draft = RuleDraft(1, "rename class{")
    assert journey.previewed(here) is None


def test_a_draft_in_place_of_a_rule_shows_what_would_be_and_changes_nothing(renamed: Tab) -> None:
    here = renamed.session
    before = journey.aligned(here)
    here.draft = RuleDraft(1, "classifier. -> head.")
    preview = journey.previewed(here)
    assert preview is not None and preview.drafted == 1
    assert preview.alignment.verdict is Verdict.PARTIAL
    assert [preview.alignment.pairs[row].checkpoint for row in sorted(preview.lit)] == [
        "module.classifier.weight",
        "module.classifier.bias",
    ]
    assert journey.aligned(here) is before and before.alignment.verdict is Verdict.COMPLETE
    assert journey.previewed(here) is preview, "it is computed once"


def test_a_new_rule_is_previewed_where_it_is_written(renamed: Tab) -> None:
    here = renamed.session
    here.draft = RuleDraft(None, "drop ^module.layer1.", at=0)
    preview = journey.previewed(here)
    assert preview is not None and preview.drafted == 0
    assert len(preview.lit) == preview.alignment.summary["ignored"] == preview.alignment.renaming.touched[0].count
    here.draft = RuleDraft(None, "drop ^module.layer1.")
    at_the_end = journey.previewed(here)
    assert at_the_end is not None and (at_the_end.drafted, at_the_end.lit) == (4, frozenset())


def test_a_draft_that_collides_says_so_in_the_preview(renamed: Tab) -> None:
    here = renamed.session
    here.draft = RuleDraft(None, r"regex conv\d -> conv")
    preview = journey.previewed(here)
    assert preview is not None and "two keys one name" in preview.complaints[4]


def test_a_rule_that_fills_lights_the_keys_that_the_file_lacks(tab: Tab) -> None:
    here = tab.open_example("partial").go("align").session
    here.draft = RuleDraft(None, "fill classifier. -> 0")
    preview = journey.previewed(here)
    assert preview is not None
    lit = [preview.alignment.pairs[row] for row in sorted(preview.lit)]
    assert [(pair.model, pair.status) for pair in lit] == [
        ("classifier.weight", Status.MISSING),
        ("classifier.bias", Status.MISSING),
    ]


def test_a_draft_waits_while_another_network_is_looked_at_and_goes_with_its_file(renamed: Tab) -> None:
    here = renamed.session
    here.draft = RuleDraft(1, "classifier. -> head.")
    renamed.choose("network", "resnet18")
    assert here.place not in here.rule_drafts
    renamed.choose("network", "resnet20_cifar_b")
    assert here.draft == RuleDraft(1, "classifier. -> head.")
    renamed.open_example("renamed")
    assert not here.rule_drafts
