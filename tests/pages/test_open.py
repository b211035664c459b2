"""The Open page: three ways in, what a file is, and what is said of one that is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from ckpt_explorer.examples import EXAMPLES
from ckpt_explorer.text import visible
from tests.pages.conftest import saved
from tests.pages.tab import Tab

PICTURE = "![x](http://tracker.example/p.png)"
MARKUP = "<img src=x onerror=alert(1)>"
TURNED = "safe\u202eweights"
ESCAPE = "\x1b[31mred"
HOSTILE = (PICTURE, MARKUP, TURNED, ESCAPE, ":red[warning]", "[link](http://tracker.example)")

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 102530333\n"
WRONG = {
    "notes.txt": (b"epoch 1 loss 0.3\n" * 20, "text"),
    "pointer.pth": (LFS, "Git LFS pointer (134 bytes), not the weights"),
    "cat.png": (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG picture"),
    "empty.ckpt": (b"", "empty (0 bytes)"),
}


def test_without_a_file_the_page_shows_three_examples_an_upload_and_what_will_happen(tab: Tab) -> None:
    assert tab.title == "Open a checkpoint"
    assert [field.label.split(":")[0] for field in tab.app.file_uploader] == ["A checkpoint"]
    assert any("safetensors, shards with their index, torch.distributed folders" in text for text in tab.says)
    assert all(example.title in tab.says and example.says in tab.says for example in EXAMPLES)
    assert any("without running anything in it" in text for text in tab.says)
    assert not tab.has_button("next")


def test_an_uploaded_file_is_shown_with_what_it_is_and_one_next_step(tab: Tab, small_file: bytes) -> None:
    tab.open("resnet.pth", small_file)
    facts = tab.box("facts")
    assert facts.startswith("resnet.pth is a torch zip file of ")
    assert "state dict 'state_dict' has" in facts and "Nothing in it was run" in facts
    assert [button.key for button in tab.app.button if button.proto.type == "primary"] == ["next"]
    assert tab.label("next") == f"Align it with {tab.session.target.name}"


def test_the_entries_beside_the_weights_are_listed(tab: Tab, small_file: bytes) -> None:
    tab.open("resnet.pth", small_file)
    entries = tab.table("path").set_index("path")
    assert entries.loc["epoch", "what"] == "7"
    assert entries.loc["state_dict", "kind"] == "state dict" and "optimizer" in entries.index


def test_what_the_file_would_have_imported_is_listed_and_graded(tab: Tab, small_file: bytes) -> None:
    imports = tab.open("resnet.pth", small_file).table("grade").set_index("name")["grade"]
    assert imports["torch._utils._rebuild_tensor_v2"] == "tensor"
    assert set(imports) <= {"tensor", "data"}


def test_code_that_the_file_would_have_run_is_called_code(tab: Tab) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return eval, ("1/0",)

    imports = tab.open("bomb.pth", saved({"weight": torch.zeros(2), "bomb": Bomb()})).table("grade")
    assert tuple(imports.iloc[0])[:2] == ("✕ code", "__builtin__.eval"), "what could do harm comes first"
    assert any(text.startswith("✕ __builtin__.eval: would have") and "1/0" in text for text in tab.says)
    assert tab.has_box("diagnosis-0") and tab.boxes("error")[0].startswith("bomb.pth asks to call __builtin__.eval")


def test_a_safetensors_file_imports_nothing_and_the_page_says_so(tab: Tab, small_weights: dict[str, Tensor]) -> None:
    from safetensors.torch import save

    tab.open("resnet.safetensors", save(small_weights))
    assert "Nothing: this format holds no code." in tab.says
    assert "safetensors" in tab.box("facts")


def test_the_networks_it_could_be_are_listed_with_reasons(tab: Tab) -> None:
    found = tab.open_example("fits").table("agrees")
    assert found["network"][0] == tab.session.target.name == "resnet20_cifar_b"
    assert found["agrees"].is_monotonic_decreasing
    assert all(found["why"]) and all(found["against"])


def test_a_file_without_a_resnet_says_that_the_network_must_be_chosen(tab: Tab) -> None:
    tab.open("linear.pth", saved({"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}))
    assert any("choose the network on the next page" in text for text in tab.boxes("warning"))
    assert tab.label("next") == "Choose its network"


def test_its_tensors_are_listed_with_shape_type_and_bytes(tab: Tab, small_file: bytes) -> None:
    tensors = tab.open("resnet.pth", small_file).table("dtype").set_index("key")
    assert tuple(tensors.loc["conv1.weight"]) == ("(8, 3, 3, 3)", "float32", 864)


@pytest.mark.parametrize(("name", "what"), list(WRONG.items()), ids=list(WRONG))
def test_a_wrong_file_gives_one_sentence_and_the_open_checkpoint_stays(
    tab: Tab, small_file: bytes, name: str, what: tuple[bytes, str]
) -> None:
    opened = tab.open("resnet.pth", small_file).session.checkpoint
    tab.upload("checkpoint-", (name, what[0]))
    assert len(tab.boxes("error")) == 1
    assert name in tab.box("message") and what[1] in tab.box("message")
    assert tab.box("message").endswith("resnet.pth is still open.")
    assert tab.session.checkpoint is opened
    assert tab.run().boxes("error") == []


def test_a_zip_that_was_cut_short_is_called_so(tab: Tab, small_file: bytes) -> None:
    tab.upload("checkpoint-", ("cut.pth", small_file[: len(small_file) // 2]))
    assert tab.box("message").startswith("cut.pth")
    assert tab.session.checkpoint is None and not tab.has_button("next")


def test_after_a_wrong_file_the_right_one_can_be_given(tab: Tab, small_file: bytes) -> None:
    tab.upload("checkpoint-", ("cat.png", WRONG["cat.png"][0])).upload("checkpoint-", ("resnet.pth", small_file))
    assert tab.boxes("error") == []
    assert tab.box("facts").startswith("resnet.pth")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_an_example_opens_with_one_click(tab: Tab, example: Any) -> None:
    tab.open_example(example.id)
    assert tab.box("facts").startswith(f"{example.file_name} is a torch zip file of 1.1 MiB")
    assert tab.session.target.name == (example.architecture or "resnet20_cifar_b")


def test_another_file_can_be_opened_over_the_first(tab: Tab, small_file: bytes) -> None:
    tab.open_example("fits").open("resnet.pth", small_file)
    assert tab.box("facts").startswith("resnet.pth")
    assert tab.session.example is None


def test_the_next_step_leads_to_the_align_page(tab: Tab) -> None:
    assert tab.open_example("fits").click("next").title == "Align"


# Names that nobody trusts


def hostile_checkpoint() -> bytes:
    """A checkpoint in which every name that a person could choose is one that Markdown or HTML would act on."""
    strange = ModuleType(PICTURE.replace(".", "_"))
    kind = type("Evil", (), {"__module__": strange.__name__})
    setattr(strange, "Evil", kind)  # noqa: B010  the class must be found under its module to be saved
    sys.modules[strange.__name__] = strange
    weights = {f"{name}.weight": torch.zeros(2, 2) for name in HOSTILE}
    try:
        return saved({PICTURE: weights, MARKUP: weights, **dict.fromkeys(HOSTILE[2:], PICTURE), "object": kind()})
    finally:
        del sys.modules[strange.__name__]


def strings_of(message: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a message of Streamlit's, with the names of the fields that lead to it."""
    for field, value in message.ListFields():
        for part in value if field.is_repeated else [value]:
            if hasattr(part, "ListFields"):
                yield from strings_of(part, f"{path}.{field.name}")
            elif isinstance(part, str):
                yield f"{path}.{field.name}", part


PRINTED_AS_IT_IS = {
    "text": (".body",),
    "selectbox": (".options", ".raw_value"),
    "text_input": (".default",),
    "text_area": (".default",),
    "code": (".code_text",),
    "plotly_chart": (".spec",),  # which knows no Markdown, and a few HTML tags: looked at below
    "bidi_component": (".json",),  # their scripts make no markup of it: tests/test_house.py
}


def markdown_and_labels(tab: Tab) -> list[tuple[str, str, str]]:
    """Every text that the page sends, less what Streamlit prints as it is."""
    found = []
    for node in tab.app._tree:
        proto, kind = getattr(node, "proto", None), node.type
        if hasattr(proto, "ListFields"):
            found += [
                (kind, path, text) for path, text in strings_of(proto) if path not in PRINTED_AS_IT_IS.get(kind, ())
            ]
    assert ("file_uploader", ".label") in {(kind, path) for kind, path, _ in found} or tab.title != "Open a checkpoint"
    return found


def test_no_name_from_a_file_is_ever_markdown_or_html(tab: Tab) -> None:
    tab.open(f"{PICTURE}{MARKUP}.pth", hostile_checkpoint())
    for page in ("open", "align", "load"):
        tab.go(page)
        for kind, path, text in markdown_and_labels(tab):
            assert not any(name in text for name in (*HOSTILE, "tracker.example")), f"{page}: {kind}{path}"
        drawn = [node.proto.spec for node in tab.app._tree if node.type == "plotly_chart"]
        assert not any(name in spec for spec in drawn for name in HOSTILE if "<" in name), page


def test_control_and_direction_characters_of_a_file_are_shown_as_escapes(tab: Tab) -> None:
    tab.open(f"{TURNED}{ESCAPE}.pth", hostile_checkpoint())
    assert tab.box("facts").startswith("safe\\u202eweights\\x1b[31mred.pth")
    for page in ("open", "align", "load"):
        tab.go(page)
        shown = [*tab.says, *tab.sidebar, *(option for menu in tab.app.selectbox for option in menu.options)]
        for table in tab.app.dataframe:
            shown += [str(cell) for column in table.value for cell in table.value[column]]
        assert [text for text in shown if visible(text.replace("\n", ""), 10**6) != text.replace("\n", "")] == []


def test_the_names_are_still_to_be_seen(tab: Tab) -> None:
    tab.open("hostile.pth", hostile_checkpoint())
    assert f"{PICTURE}.weight" in set(tab.table("dtype")["key"])
    assert any(PICTURE in path for path in tab.table("path")["path"])
    assert any("tracker" in name for name in tab.table("grade")["name"])
