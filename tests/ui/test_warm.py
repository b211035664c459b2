"""PyTorch's import in the background is not held up by the collections that Streamlit makes after every run."""

from __future__ import annotations

import gc
import importlib
import weakref
from collections.abc import Iterator
from types import ModuleType

import pytest

from ckpt_explorer.ui import warm


class Ring:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_a_collection_amid_the_import_looks_at_nothing_and_what_it_left_is_found_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rings: list[weakref.ref[Ring]] = []
    found_amid: list[int] = []

    def imports(name: str) -> ModuleType:
        rings.append(weakref.ref(Ring()))
        found_amid.append(gc.collect())
        assert rings[0]() is not None, "it was not looked at"
        return ModuleType(name)

    monkeypatch.setattr(importlib, "import_module", imports)
    state = warm.Warmth()
    warm._import(state)
    assert found_amid == [0]
    assert rings[0]() is None, "it is gone when PyTorch is there"
    assert state.done.is_set() and not state.failed
    rings.append(weakref.ref(Ring()))
    gc.collect()
    assert rings[1]() is None, "later collections do their work"


def test_collections_do_their_work_also_where_pytorch_can_not_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def imports(name: str) -> ModuleType:
        raise ImportError(f"no {name}")

    monkeypatch.setattr(importlib, "import_module", imports)
    state = warm.Warmth()
    warm._import(state)
    assert state.done.is_set() and state.failed == "ImportError: no torchvision"
    ring = weakref.ref(Ring())
    gc.collect()
    assert ring() is None
