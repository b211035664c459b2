"""What a file holds: state dicts in containers, in whole models, beside optimizers, and averaged copies."""

from __future__ import annotations

import argparse
import sys
import types
from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ckpt_explorer.errors import NotACheckpoint
from ckpt_explorer.reading import open_checkpoint
from tests.reading.pickles import TENSORS, archive, mapping, saved, tensor


def paths(value: Any) -> list[str]:
    return [state_dict.path for state_dict in open_checkpoint(saved(value)).state_dicts]


def test_a_flat_state_dict_lies_at_the_top() -> None:
    assert paths(OrderedDict(TENSORS)) == [""]


def test_state_dicts_in_nested_containers_are_named_by_their_dotted_path() -> None:
    assert paths({"epoch": 3, "net": {"trunk": TENSORS, "head": {"fc.weight": torch.ones(2)}}}) == [
        "net.trunk",
        "net.head",
    ]


def test_a_state_dict_in_a_list_is_named_by_its_index() -> None:
    assert paths([1, TENSORS]) == ["1"]


def test_an_optimizer_is_no_state_dict() -> None:
    network = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert paths({"model": network.state_dict(), "optimizer": optimizer.state_dict()}) == ["model"]


def test_lightning_keeps_its_state_dict_and_its_hyper_parameters_are_shown() -> None:
    opened = open_checkpoint(
        saved(
            {
                "epoch": 9,
                "pytorch-lightning_version": "2.1.0",
                "state_dict": {f"model.{key}": value for key, value in TENSORS.items()},
                "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.9)}},
                "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
                "hyper_parameters": argparse.Namespace(lr=0.1),
            }
        )
    )
    assert [state_dict.path for state_dict in opened.state_dicts] == ["state_dict"]
    rows = {entry.path: entry.says for entry in opened.entries}
    assert rows["epoch"] == "9"
    assert rows["pytorch-lightning_version"] == "2.1.0"
    assert rows["hyper_parameters"] == "argparse.Namespace, not built: lr"
    assert rows["hyper_parameters.lr"] == "0.1"
    assert [diagnosis.id for diagnosis in opened.diagnoses] == ["P2"]


def test_raw_weights_are_preferred_to_their_average_and_both_are_offered() -> None:
    copies = {"state_dict_ema": {key: value.clone() for key, value in TENSORS.items()}, "state_dict": TENSORS}
    opened = open_checkpoint(saved(copies))
    assert [state_dict.path for state_dict in opened.state_dicts] == ["state_dict_ema", "state_dict"]
    assert opened.selected == "state_dict"


def test_keys_that_are_numbers_or_tuples_are_listed() -> None:
    opened = open_checkpoint(saved({1: torch.ones(2), ("a", 2): torch.ones(3), "b": torch.ones(4)}))
    assert list(opened.state_dict) == ["1", "('a', 2)", "b"]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.register_buffer("kept", torch.arange(3))
        self.register_buffer("left_out", torch.arange(5), persistent=False)


def whole_model(legacy: bool) -> tuple[bytes, dict[str, Tensor]]:
    """A pickled network whose class lives in a module that is gone afterwards, and its state dict."""
    gone = types.ModuleType("a_project_that_is_gone")
    gone.Block = type("Block", (Block,), {"__module__": gone.__name__})  # type: ignore[attr-defined]
    sys.modules[gone.__name__] = gone
    try:
        network = nn.Sequential(OrderedDict(stem=gone.Block(), rest=nn.Sequential(gone.Block(), nn.ReLU())))
        return saved(network, legacy), network.state_dict()
    finally:
        del sys.modules[gone.__name__]


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_a_whole_model_whose_class_is_gone_gives_its_state_dict(legacy: bool) -> None:
    data, expected = whole_model(legacy)
    opened = open_checkpoint(data, "model.pth")
    assert list(opened.state_dict) == list(expected)
    assert all(torch.equal(opened.state_dict.tensor(key), value) for key, value in expected.items())
    assert [diagnosis.id for diagnosis in opened.diagnoses] == ["P3"]
    assert "a_project_that_is_gone.Block" in opened.diagnoses[0].says


def test_a_model_beside_other_things_is_found_at_its_path() -> None:
    assert paths({"epoch": 1, "model": nn.Linear(2, 2)}) == ["model"]


def test_a_file_without_weights_is_refused_with_what_it_holds() -> None:
    with pytest.raises(NotACheckpoint, match=r"no state dict.*epoch.*number") as refused:
        open_checkpoint(saved({"epoch": 3, "best": 0.5}), "log.pth")
    assert refused.value.diagnosis.id == "F14"


def test_a_list_that_holds_itself_is_walked_once() -> None:
    within: list[Any] = [TENSORS]
    within.append(within)
    assert paths({"a": within}) == ["a.0"]


def test_a_thousand_levels_are_cut_and_the_weights_beside_them_are_read() -> None:
    deep = b"]" * 100_000 + b"a" * 99_999
    data = archive(b"\x80\x02" + mapping({"weight": tensor("0", (2,), 2), "deep": deep}) + b".", {"0": bytes(8)})
    opened = open_checkpoint(data)
    assert list(opened.state_dict) == ["weight"]
    assert opened.entries[-1].says == "more than 100 levels deep, not shown"


def test_many_entries_are_counted_and_not_all_listed() -> None:
    opened = open_checkpoint(saved({"weights": TENSORS, **{f"note {index}": index for index in range(5000)}}))
    assert len(opened.entries) < 2100
    assert opened.entries[-1].says.endswith("more entries")
