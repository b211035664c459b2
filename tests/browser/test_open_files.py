"""Ten files that people really drop: each is named for what it is, and its one next step works."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import files
from tests.browser.conftest import NewTab
from tests.browser.explorer import Explorer
from tests.browser.server import ROOT


def leads_on(tab: Explorer, facts: str, tone: str = "good") -> None:
    """The file says what it is, and the filled button leads to a verdict on Align."""
    tab.says(f"say-{tone}-facts", facts)
    tab.says(f"say-{tone}-facts", "Nothing in it was run")
    tab.no_sideways_scrolling()
    tab.aligns()


def is_refused(tab: Explorer, *words: str) -> None:
    """The refusal says all of `words`, nothing is open, and the right file can be given in its place."""
    for word in words:
        tab.says("say-error-message", word)
    tab.no_sideways_scrolling()


def takes_the_right_file(tab: Explorer, folder: Path) -> None:
    """The next step after a refusal, done: the file that it asks for opens, and the refusal is gone."""
    tab.drops(files.checkpoint(folder))
    tab.says("say-good-facts", "checkpoint_042.pth.tar")
    expect(tab.by_key("say-error-message")).to_have_count(0)
    tab.aligns()


def test_a_git_lfs_pointer(tab: Explorer, tmp_path: Path) -> None:
    tab.drops(files.lfs_pointer(tmp_path))
    is_refused(tab, "resnet50.pth is a Git LFS pointer", "git lfs pull", "the real file has 97.8 MiB", "F2")
    tab.pictured("open-lfs-pointer")
    takes_the_right_file(tab, tmp_path)


def test_a_web_page(tab: Explorer, tmp_path: Path) -> None:
    tab.drops(files.web_page(tmp_path))
    is_refused(tab, 'is a web page titled "Google Drive - Quota exceeded"', "take the download itself", "F3")
    takes_the_right_file(tab, tmp_path)


def test_a_file_that_was_cut_short_opens_as_far_as_it_goes(tab: Explorer, tmp_path: Path) -> None:
    tab.drops(files.cut_short(tmp_path))
    is_refused(tab, "resnet_cut.pth is cut short", "51 of its 68 tensors can still be read", "F4")
    tab.pictured("open-cut-short")
    tab.click("offer")
    tab.says("say-warning-facts", "51 tensors")
    tab.sees("17 keys without bytes")
    tab.pictured("open-what-is-left")
    tab.aligns()


def test_a_whole_model_with_a_payload_beside_it_opens_and_the_payload_never_runs(tab: Explorer, tmp_path: Path) -> None:
    tab.drops(files.whole_model_with_payload(tmp_path))
    tab.says("say-error-diagnosis-0", "asks to call posix.system")
    tab.says("say-error-diagnosis-0", "P5")
    tab.says("say-note-diagnosis-1", "holds a whole pickled model, of acme_vision.models.AcmeResNet")
    tab.sees(f"would have run a command: touch {files.MARKER}")
    tab.pictured("open-payload")
    leads_on(tab, "Its state dict 'model' has 68 tensors")
    assert not (ROOT / files.MARKER).exists()


def test_a_torchscript_archive(tab: Explorer, tmp_path: Path) -> None:
    tab.drops(files.torchscript(tmp_path))
    tab.says("say-note-diagnosis-0", "its weights were read, and the code in it was not")
    leads_on(tab, "resnet_traced.pt is a TorchScript file")


def test_a_checkpoint_in_a_tar_gz(tab: Explorer, tmp_path: Path) -> None:
    tab.drops(files.tar_gz(tmp_path))
    tab.says("say-good-facts", "The file in it is release/resnet.pth")
    leads_on(tab, "in a tar archive in a gzip archive")


def test_of_a_zip_with_two_checkpoints_the_other_can_be_chosen(tab: Explorer, tmp_path: Path) -> None:
    tab.drops(files.zip_of_two(tmp_path))
    tab.says("say-good-facts", "both.zip/ten/model.pth")
    tab.chooses("member", "three/model.pth")
    tab.says("say-good-facts", "both.zip/three/model.pth")
    tab.pictured("open-zip-of-two")
    leads_on(tab, "both.zip/three/model.pth")
    tab.says("mono-sidebar", "three/model.pth")


def test_shards_dropped_together_with_their_index(tab: Explorer, tmp_path: Path) -> None:
    tab.drops(files.shards(tmp_path))
    leads_on(tab, "is a safetensors checkpoint, in 2 parts")


def test_numpy_arrays(tab: Explorer, tmp_path: Path) -> None:
    tab.drops(files.npz(tmp_path))
    tab.says("say-note-diagnosis-0", "holds NumPy arrays (npz)")
    leads_on(tab, "weights.npz is an npz file")


def test_a_safetensors_file_that_is_named_ckpt(tab: Explorer, tmp_path: Path) -> None:
    tab.drops(files.misnamed(tmp_path))
    tab.says("say-note-diagnosis-0", "safetensors.torch.load_file")
    leads_on(tab, "epoch=9.ckpt is a safetensors file")


def test_everything_in_a_training_file_is_in_the_tree_and_whether_it_is_whole_is_known(
    tab: Explorer, tmp_path: Path
) -> None:
    tab.drops(files.checkpoint(tmp_path))
    tab.says("say-good-facts", "state dict 'state_dict' has 68 tensors")
    tab.click("verify")
    tab.says("say-good-whole", "have the checksum that was stored with them")
    expect(tab.page.locator('[data-testid="stCode"]')).to_have_count(1)
    tab.by_key("tree").scroll_into_view_if_needed()
    cells = tab.by_key("tree").locator("[role=gridcell]")
    expect(cells.filter(has_text="SGD, 35 parameters")).to_have_count(1)
    tab.types("tree-filter", "milestones")
    expect(cells.filter(has_text="hyper_parameters.milestones")).to_have_count(1)
    expect(cells.filter(has_text="SGD")).to_have_count(0)
    tab.types("tree-filter", "")
    expect(cells.filter(has_text="SGD, 35 parameters")).to_have_count(1)
    tab.by_key("next").scroll_into_view_if_needed()
    tab.pictured("open-training-file")
    tab.chooses("state-dict", "ema")
    tab.says("say-good-facts", "state dict 'ema' has 68 tensors")


def test_a_flipped_bit_is_found_with_its_key(tab: Explorer, tmp_path: Path) -> None:
    tab.drops(files.damaged(tmp_path))
    tab.says("say-good-facts", "flipped.pth")
    tab.click("verify")
    tab.says("say-warning-damage-0", "layer1.weight")
    tab.says("say-warning-damage-0", "Fetch the file again")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 900])
def test_the_open_page_fits_its_window_with_much_to_say(
    new_tab: NewTab, tmp_path: Path, width: int, scheme: str
) -> None:
    tab = new_tab(width=width, scheme=scheme, height=1500)
    tab.no_sideways_scrolling()
    tab.drops(files.cut_short(tmp_path))
    tab.says("say-error-message", "cut short")
    tab.no_sideways_scrolling()
    tab.drops(files.whole_model_with_payload(tmp_path))
    tab.says("say-good-facts", "acme.pt")
    tab.pictured(f"open-{scheme}-{width}")
    assert tab.problems == []


def test_all_that_matters_can_be_reached_by_the_keyboard(tab: Explorer, tmp_path: Path) -> None:
    tab.drops(files.zip_of_two(tmp_path))
    tab.says("say-good-facts", "both.zip")
    wanted = {"next", "verify", "member", "tensor-filter"}
    tab.page.locator('[class*="st-key-checkpoint-"] button').first.focus()
    seen: set[str] = set()
    for _ in range(100):
        if seen == wanted:
            break
        tab.page.keyboard.press("Tab")
        seen |= set(
            tab.page.evaluate(
                "keys => keys.filter(key => document.querySelector('.st-key-' + key)?.contains(document.activeElement))",
                list(wanted),
            )
        )
    assert seen == wanted
    tab.by_key("next").locator("button").focus()
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator(".st-key-verdict")).to_be_visible()
