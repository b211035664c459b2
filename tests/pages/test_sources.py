"""The ways in beside an upload: a path or an address under what the operator allows, and several files together."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from streamlit import config
from torch import Tensor

from ckpt_explorer.ui.operator import operator
from tests.pages.conftest import saved
from tests.pages.tab import Tab
from tests.reading.range_server import Site, served

# A path on this machine


def typed(tab: Tab, text: str) -> Tab:
    """Type a path or an address, and press Open."""
    tab.app.text_input(key="path").set_value(text)
    return settled(tab.click("open-path"))


def settled(tab: Tab) -> Tab:
    """Wait as the page does while something is fetched."""
    for _ in range(200):
        if tab.session.opening is None:
            break
        time.sleep(0.1)
        tab.run()
    return tab


@contextmanager
def listening_on(address: str) -> Iterator[None]:
    """The server's address while the test runs."""
    before = config.get_option("server.address")
    config._set_option("server.address", address, "a test")
    operator.cache_clear()
    yield
    config._set_option("server.address", before, "a test")
    operator.cache_clear()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_file: bytes) -> Iterator[Path]:
    """A folder that the operator allows, with a checkpoint in it and one beside it."""
    allowed = tmp_path / "weights"
    allowed.mkdir()
    (allowed / "inside.pth").write_bytes(small_file)
    (tmp_path / "outside.pth").write_bytes(small_file)
    monkeypatch.setattr(sys, "argv", ["app.py", "--allow-folder", str(allowed)])
    with listening_on("127.0.0.1"):
        yield allowed


def test_without_an_allowed_folder_there_is_no_field_for_a_path(tab: Tab) -> None:
    assert not tab.app.text_input


@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative to the folder"])
def test_a_path_in_an_allowed_folder_is_opened(folder: Path, new_tab: Callable[[], Tab], absolute: bool) -> None:
    tab = new_tab()
    assert any(f"Allowed: {folder}" in text for text in tab.says)
    typed(tab, str(folder / "inside.pth") if absolute else "inside.pth")
    assert tab.box("facts").startswith("inside.pth")


def test_a_path_outside_the_folder_is_refused_and_not_said_to_exist(folder: Path, new_tab: Callable[[], Tab]) -> None:
    tab = new_tab()
    (folder / "link.pth").symlink_to(folder.parent / "outside.pth")
    for path in (str(folder.parent / "outside.pth"), "../outside.pth", "link.pth", "/etc/passwd", "../nothing.pth"):
        typed(tab, path)
        assert tab.box("message").startswith(f"{path} lies in no folder that this app may open")
        assert tab.session.checkpoint is None


def test_a_path_to_nothing_is_refused_in_a_sentence(folder: Path, new_tab: Callable[[], Tab]) -> None:
    tab = new_tab()
    for path in ("nothing.pth", "x" * 400, "a\0b"):
        typed(tab, path)
        assert len(tab.boxes("error")) == 1
        assert tab.session.checkpoint is None
    assert folder.is_dir()


@pytest.mark.usefixtures("folder")
def test_the_home_of_nobody_is_refused_in_a_sentence(new_tab: Callable[[], Tab]) -> None:
    tab = typed(new_tab(), "~nobody_has_this_name/model.pth")
    assert len(tab.boxes("error")) == 1
    assert tab.session.checkpoint is None


def test_no_folder_is_open_when_the_app_can_be_reached_from_elsewhere(folder: Path, new_tab: Callable[[], Tab]) -> None:
    with listening_on("0.0.0.0"):
        assert not new_tab().app.text_input
    assert folder.is_dir()


@pytest.mark.usefixtures("folder")
def test_a_folder_can_be_given_as_a_whole(new_tab: Callable[[], Tab]) -> None:
    tab = typed(new_tab(), ".")
    assert tab.box("facts").startswith("weights/inside.pth is a torch zip in a folder")


def test_links_in_a_folder_do_not_lead_out_of_what_is_allowed(folder: Path, new_tab: Callable[[], Tab]) -> None:
    (folder / "inside.pth").unlink()
    (folder / "link.pth").symlink_to(folder.parent / "outside.pth")
    tab = typed(new_tab(), ".")
    assert tab.session.checkpoint is None
    assert "a folder without a checkpoint" in tab.box("message")


# An address


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, small_file: bytes) -> Iterator[Site]:
    """A web server of which the operator allows one folder."""
    with served(files={"models/resnet.pth": small_file, "private/resnet.pth": small_file}) as site:
        monkeypatch.setattr(sys, "argv", ["app.py", "--allow-folder", f"{site.url}/models/"])
        with listening_on("127.0.0.1"):
            yield site


def test_an_address_under_an_allowed_one_is_opened(site: Site, new_tab: Callable[[], Tab]) -> None:
    tab = new_tab()
    assert any(f"Allowed: {site.url}/models/" in text for text in tab.says)
    typed(tab, f"{site.url}/models/resnet.pth")
    assert tab.box("facts").startswith("resnet.pth is a torch zip file")


def test_where_only_folders_are_allowed_an_address_is_refused_with_what_to_do(
    folder: Path, new_tab: Callable[[], Tab]
) -> None:
    with listening_on("127.0.0.1"):
        tab = typed(new_tab(), "https://example.org/resnet.pth")
        assert tab.box("message").startswith("This app was started for folders and opens no address: download the file")
    assert folder.is_dir()


def test_an_address_elsewhere_is_refused_and_never_asked_for(site: Site, new_tab: Callable[[], Tab]) -> None:
    tab = new_tab()
    for path in ("private/resnet.pth", "models/../private/resnet.pth", "models/%2e%2e/private/resnet.pth", "modelsX/a"):
        typed(tab, f"{site.url}/{path}")
        assert tab.box("message").startswith("This address is not under one that this app may open")
    typed(tab, "/etc/passwd")
    assert tab.box("message").startswith("/etc/passwd lies in no folder")
    assert site.asked == []


def test_no_address_is_asked_for_when_the_app_can_be_reached_from_elsewhere(
    site: Site, new_tab: Callable[[], Tab]
) -> None:
    with listening_on("0.0.0.0"):
        assert not new_tab().app.text_input
    assert site.asked == []


def test_of_a_server_without_ranges_all_can_be_fetched_by_a_button(site: Site, new_tab: Callable[[], Tab]) -> None:
    site.ranges = False
    site.files["models/resnet.pth"] = saved({"layer1.0.conv1.weight": torch.zeros(1 << 19)})
    tab = typed(new_tab(), f"{site.url}/models/resnet.pth")
    assert "only as a whole (2.0 MiB)" in tab.box("message")
    assert tab.label("offer") == "Fetch all of it (2.0 MiB)"
    assert tab.run().has_button("offer"), "the offer stands until another file comes"
    assert settled(tab.click("offer")).box("facts").startswith("resnet.pth is a torch zip file of 2.0 MiB")
    assert not tab.has_button("offer")


# Several files together


def sharded(weights: dict[str, Tensor]) -> dict[str, bytes]:
    """The weights in two safetensors files, and their index."""
    keys = list(weights)
    parts = {"model-00001-of-00002.safetensors": keys[:30], "model-00002-of-00002.safetensors": keys[30:]}
    files = {name: save({key: weights[key] for key in held}) for name, held in parts.items()}
    index = {"weight_map": {key: name for name, held in parts.items() for key in held}}
    return {**files, "model.safetensors.index.json": json.dumps(index).encode()}


def test_shards_and_their_index_dropped_together_are_one_checkpoint(tab: Tab, small_weights: dict[str, Tensor]) -> None:
    tab.upload("checkpoint-", *sharded(small_weights).items())
    assert "safetensors checkpoint, in 2 parts" in tab.box("facts")
    assert len(tab.table("dtype")) == len(small_weights)
    assert tab.has_button("next")


def test_an_index_alone_says_what_is_missing_and_that_all_are_dropped_together(
    tab: Tab, small_weights: dict[str, Tensor]
) -> None:
    index = "model.safetensors.index.json"
    tab.upload("checkpoint-", ("part.bin", b"x" * 100), (index, sharded(small_weights)[index]))
    assert "drop them together" in tab.box("message")
    assert tab.session.checkpoint is None


def test_two_checkpoints_dropped_together_can_be_chosen_from(
    tab: Tab, small_file: bytes, small_weights: dict[str, Tensor]
) -> None:
    tab.upload("checkpoint-", ("one.pth", small_file), ("two.safetensors", save(small_weights)))
    first = tab.field("member")
    other = ({"one.pth", "two.safetensors"} - {first}).pop()
    tab.choose("member", other)
    assert tab.session.checkpoint is not None
    assert (tab.field("member"), tab.session.checkpoint.member) == (other, other)


def test_files_of_one_name_are_told_apart(tab: Tab, small_file: bytes) -> None:
    tab.upload("checkpoint-", ("model.pth", small_file), ("model.pth", small_file))
    assert tab.app.selectbox(key="member").options == ["model.pth", "model.pth (2)"]
