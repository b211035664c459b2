"""The frame around every page: what is open, how far PyTorch is, and that nobody has to wait for it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch import Tensor

from ckpt_explorer.loading import available_devices
from ckpt_explorer.ui import session
from ckpt_explorer.ui.operator import operator
from tests.checkpoints import in_new_process, write_checkpoint, write_safetensors
from tests.pages.tab import PAGES, ROOT, Tab

TORCH_LINE = f"PyTorch {torch.__version__.split('+')[0]} · {', '.join(available_devices())}"


def test_the_sidebar_names_the_open_file_and_the_network(tab: Tab, small_file: bytes) -> None:
    assert "No checkpoint is open." in tab.sidebar
    tab.open("resnet.pth", small_file)
    for page in ("open", "align", "load", "predict"):
        tab.go(page)
        assert tab.texts_in("mono-sidebar") == ["resnet.pth"]
        assert tab.texts_in("mono-network") == ["custom"]
        assert any("nothing in it was run" in text for text in tab.sidebar)


def test_the_sidebar_follows_the_choice_of_a_network(tab: Tab) -> None:
    tab.open_example("fits").go("align").choose("network", "resnet50")
    assert tab.texts_in("mono-network") == ["resnet50"]


def test_the_sidebar_says_what_is_loaded_and_how_many_pictures_there_are(tab: Tab) -> None:
    tab.open_example("fits").go("load").click("load").go("predict").click("example-pictures-10")
    assert "on cpu, float32" in tab.sidebar and "10 pictures" in tab.sidebar


@pytest.mark.parametrize("page", ["open", "align", "load", "predict"])
def test_the_status_line_names_pytorch_and_the_devices_on_every_page(tab: Tab, page: str) -> None:
    tab.open_example("fits")
    for _ in range(50):
        if tab.go(page).texts_in("status") == [TORCH_LINE]:
            return
        time.sleep(0.1)
    pytest.fail(f"the status line says {tab.texts_in('status')}")


@pytest.mark.parametrize("page", ["open", "align", "load", "predict"])
def test_the_status_line_is_there_before_a_file_is_open(tab: Tab, page: str) -> None:
    assert len(tab.go(page).texts_in("status")) == 1


@pytest.mark.parametrize("page", ["open", "align", "load", "predict"])
def test_the_first_visit_of_a_server_can_be_to_any_page(page: str) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).switch_page(f"{PAGES}/{page}.py").run()
    assert not app.exception
    assert "No checkpoint is open." in [text.value for text in app.sidebar.text]


def test_what_went_wrong_is_said_once(tab: Tab) -> None:
    tab.upload("checkpoint-", ("cat.png", b"\x89PNG\r\n\x1a\n" + bytes(100)))
    assert tab.has_box("message")
    assert not tab.run().has_box("message")


# Two tabs


def test_two_tabs_see_two_different_checkpoints(new_tab: Callable[[], Tab], small_file: bytes) -> None:
    one, two = new_tab().open_example("renamed"), new_tab().open("resnet.pth", small_file)
    for page in ("open", "align", "load"):
        assert one.go(page).texts_in("mono-sidebar") == ["digits_resnet20_renamed.pth"]
        assert two.go(page).texts_in("mono-sidebar") == ["resnet.pth"]
    one.go("align").on_rule("delete", 0)
    assert (one.badge, two.go("align").badge) == ("INCOMPATIBLE", "COMPLETE")
    assert one.session is not two.session


def test_a_second_tab_begins_empty(new_tab: Callable[[], Tab]) -> None:
    new_tab().open_example("fits")
    assert "No checkpoint is open." in new_tab().sidebar


def closed(tab: Tab, monkeypatch: pytest.MonkeyPatch, keep: str) -> str:
    """Close the tab as its connection ends, and give its id."""
    monkeypatch.setattr(sys, "argv", ["app.py", "--keep-closed-tab", keep])
    operator.cache_clear()
    key = str(tab.app.session_state["session"])
    session._store.leaving(key)
    return key


def test_a_closed_tab_lets_go_of_its_file(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    held = tab.open_example("fits").session
    key = closed(tab, monkeypatch, "0")
    for timer in [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]:
        timer.join(0 if timer.interval else 5)
    assert key not in session._store.sessions
    assert held.checkpoint is None and held.loaded is None and held.images == {}


def test_a_tab_that_comes_back_in_time_finds_everything_as_it_was(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tab.open_example("fits").session.checkpoint
    key = closed(tab, monkeypatch, "60")
    assert tab.go("align").badge == "COMPLETE"
    assert tab.session.checkpoint is checkpoint
    assert key not in session._store.timers


# Without PyTorch

WITHOUT_TORCH = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision"):
            raise ImportError(f"{name} is blocked by the test")

sys.meta_path.insert(0, Blocked())
import time
from pathlib import Path
from tests.pages.tab import Tab

file = Path(sys.argv[1])
tab = Tab().upload("checkpoint-", (file.name, file.read_bytes()))
for _ in range(100):
    if "imported, " not in tab.texts_in("status")[0]:
        break
    time.sleep(0.05)
    tab.run()
print(tab.box("facts"))
print(len(tab.table("dtype")), len(tab.table("path")), len(tab.table("agrees")))
print(tab.texts_in("status")[0])
tab.go("align")
print(*tab.says)
assert not {"torch", "torchvision"} & set(sys.modules)
"""


@pytest.mark.parametrize("write", [write_checkpoint, write_safetensors], ids=["torch zip", "safetensors"])
def test_a_file_is_opened_and_shown_without_pytorch(
    tmp_path: Path, small_weights: dict[str, Tensor], write: Callable[..., Path]
) -> None:
    file = write(tmp_path, small_weights)
    done = in_new_process("-c", WITHOUT_TORCH, str(file), cwd=ROOT, environment={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    facts, counts, status, align = done.stdout.splitlines()
    assert facts.startswith(f"{file.name} is a ") and "Nothing in it was run" in facts
    assert counts.split()[0] == str(len(small_weights)) and counts.split()[2] != "0"
    assert status.startswith("PyTorch can't be imported: ImportError: ")
    assert align == status, "the Align page says why it can't go on"


BEFORE_TORCH = """
import sys
from pathlib import Path
from ckpt_explorer.ui import warm

warm._import = lambda warmth: None
from tests.pages.tab import Tab

file = Path(sys.argv[1])
tab = Tab()
assert "torch" not in sys.modules
tab.upload("checkpoint-", (file.name, file.read_bytes())).click("open-fits")
assert not {"torch", "torchvision"} & set(sys.modules)
print(tab.texts_in("status")[0])
"""


def test_the_open_page_waits_for_no_import_of_pytorch(tmp_path: Path, small_weights: dict[str, Tensor]) -> None:
    file = write_safetensors(tmp_path, small_weights)
    done = in_new_process("-c", BEFORE_TORCH, str(file), cwd=ROOT, environment={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("PyTorch is being imported, 0 s")


AT_THE_FIRST_PAGE = """
import threading
from ckpt_explorer.ui import warm

started = threading.Event()
warm._import = lambda warmth: started.set()
from tests.pages.tab import Tab

Tab()
assert started.wait(5), "nothing began to import PyTorch"
"""


def test_the_import_of_pytorch_begins_with_the_first_page(tmp_path: Path) -> None:
    done = in_new_process("-c", AT_THE_FIRST_PAGE, cwd=ROOT, environment={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert tmp_path.is_dir()
