"""Files of odd shape and of the first versions that torch.load opens: each of their tensors is listed, with equal bits."""

from __future__ import annotations

import io
import struct
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.reading import open_checkpoint
from tests.reading.equal_tensors import assert_opens_as, assert_same
from tests.reading.pickles import archive, called, mapping, saved, tensor, text

pytestmark = pytest.mark.filterwarnings("ignore")

A, B = torch.arange(6.0).reshape(2, 3), torch.arange(4)


def listed(opened: Checkpoint) -> dict[str, list[str]]:
    """The keys of each state dict by its path."""
    return {found.path: list(found) for found in opened.state_dicts}


def says(opened: Checkpoint) -> dict[str, str]:
    """What is said at each path."""
    return {entry.path: entry.says for entry in opened.entries}


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        (A, ["tensor"]),
        ([A], ["0"]),
        ([A, 3], ["0"]),
        ({"losses": [B, B], "epoch": 3}, ["losses.0", "losses.1"]),
        (([A, [B]], None), ["0.0", "0.1.0"]),
    ],
)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_tensors_without_names_are_listed_by_their_places(value: Any, keys: list[str], legacy: bool) -> None:
    opened = open_checkpoint(saved(value, legacy))
    assert listed(opened) == {"": keys}
    assert "F14" in {found.id for found in opened.diagnoses}
    expected = A if keys[0] != "losses.0" else B
    assert_same(opened.state_dict.tensor(keys[0]), expected, keys[0])


def test_what_is_called_gradients_is_opened_where_there_is_nothing_else() -> None:
    assert listed(open_checkpoint(saved({"grads": {"w": A}}))) == {"grads": ["w"]}
    assert listed(open_checkpoint(saved({"grads": {"w": A}, "net": {"w": A}}))) == {"net": ["w"]}


def test_a_state_dict_that_lies_at_two_paths_is_offered_at_both() -> None:
    weights = OrderedDict(w=A, b=B)
    opened = open_checkpoint(saved({"model": weights, "best": weights}))
    assert listed(opened) == {"model": ["w", "b"], "best": ["w", "b"]}
    assert says(opened)["best"] == "2 tensors, the same as at model"
    assert_same(opened.state_dict_at("best").tensor("b"), B, "b")


def test_what_holds_more_and_lies_at_two_paths_is_said_to_be_the_same() -> None:
    deep = {"x": {"w": A}}
    opened = open_checkpoint(saved({"a": deep, "b": deep, "l": [deep]}))
    assert listed(opened) == {"a.x": ["w"]}
    assert says(opened)["b"] == says(opened)["l.0"] == "the same as at a"


def test_a_state_dict_that_holds_itself_is_listed_once() -> None:
    weights: dict[str, Any] = {"w": A}
    weights["self"] = weights
    opened = open_checkpoint(saved(weights))
    assert listed(opened) == {"": ["w"]}
    assert says(opened)["self"] == "the same as at (top)"


@pytest.mark.parametrize(
    "value",
    [{"a": {"b": {"w": A}}, "a.b": {"v": B}}, {1: {"w": A}, "1": {"v": B}}, {"x" * 400: {"w": A}, "x" * 401: {"v": B}}],
)
def test_two_state_dicts_whose_paths_read_the_same_are_told_apart(value: dict[Any, Any]) -> None:
    opened = open_checkpoint(saved(value))
    first, second = listed(opened)
    assert second == f"{first} (2)"
    assert (list(opened.state_dict_at(first)), list(opened.state_dict_at(second))) == (["w"], ["v"])


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (torch.float32, "torch.float32"),
        (torch.device("cuda:1"), "cuda:1"),
        (((1, "a"), None), "((1, 'a'), None)"),
        (2**70, str(2**70)),
        (tuple(range(20)), "(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …)"),
    ],
)
def test_keys_of_any_plain_value_are_read_and_name_state_dicts(key: Any, name: str) -> None:
    assert listed(open_checkpoint(saved({key: A, "x": B}))) == {"": [name, "x"]}
    assert listed(open_checkpoint(saved({key: {"w": A}, "x": {"w": B}}))) == {name: ["w"], "x": ["w"]}


def test_tensors_of_sets_and_attributes_are_listed() -> None:
    weights = OrderedDict(w=A, s={B})
    weights._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
    weights.mean = B  # type: ignore[attr-defined]
    shapes = {entry.path: entry.shape for entry in open_checkpoint(saved(weights)).entries if entry.kind == "tensor"}
    assert shapes == {"s.0": (4,), "(attributes).mean": (4,)}


def test_all_tensors_of_an_optimizer_are_counted() -> None:
    kept = {"d": A, "old_dirs": [A, B], "al": [None, torch.tensor(1.0)], "n_iter": 3}
    groups = [{"lr": torch.tensor(0.1), "history_size": 2, "tolerance_grad": 1e-7, "params": [0]}]
    opened = open_checkpoint(saved({"network": {"w": A}, "optimizer": {"state": {0: kept}, "param_groups": groups}}))
    (found,) = (entry for entry in opened.entries if entry.kind == "optimizer")
    assert (found.tensors, found.says) == (5, "LBFGS, 1 parameters, al, d, old_dirs of each")


def test_weights_under_the_names_of_an_optimizers_parts_are_weights() -> None:
    assert listed(open_checkpoint(saved({"state": {"w": A}, "param_groups": []}))) == {"state": ["w"]}
    beside = {"state": {}, "param_groups": [], "net": {"w": A}}
    assert listed(open_checkpoint(saved(beside))) == {"net": ["w"]}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_an_empty_storage_may_be_of_several_types(legacy: bool) -> None:
    empty = torch.empty(0)
    data = saved({"a": empty, "b": empty.view(torch.int32), "c": empty.view(torch.float64), "w": A}, legacy)
    assert_opens_as(data, torch.load(io.BytesIO(data), weights_only=True))


def test_a_network_saved_under_the_name_of_a_folder_of_macos(tmp_path: Any) -> None:
    torch.save({"w": A}, tmp_path / "__MACOSX.pth")
    assert listed(open_checkpoint(tmp_path / "__MACOSX.pth")) == {"": ["w"]}


NUMBERS = struct.pack("<4f", 1, 2, 3, 4)
RECORDS = {"0": NUMBERS, "1": bytes(4), "2": struct.pack("<2q", 0, 2), "3": NUMBERS}
PLAIN = tensor("0", (4,), 4)
HOOKS = b"ccollections\nOrderedDict\n)R"


def storage(kind: str = "Float", key: str = "0", elements: int = 4) -> bytes:
    """The instructions for a persistent id."""
    return b"(" + text("storage") + f"ctorch\n{kind}Storage\n".encode() + text(key) + text("cpu") + b"K%ctQ" % elements


PARTS = b"(" + storage() + b"K\0K\x04\x85K\x01\x85t"
INDICES = called(
    "torch._utils._rebuild_tensor_v2",
    *(storage("Long", "2", 2), b"K\0", b"K\x01K\x02\x86", b"K\x02K\x01\x86", b"\x89", HOOKS),
)
VALUES = called("torch._utils._rebuild_tensor_v2", storage(), b"K\0", b"K\x02\x85", b"K\x01\x85", b"\x89", HOOKS)
SIZE = b"ctorch\nSize\n](K\x03e\x85R"
LAYOUT = called("torch.serialization._get_layout", text("torch.sparse_coo"))


def quantised(parameters: bytes) -> bytes:
    return called(
        "torch._utils._rebuild_qtensor",
        *(storage("QInt8", "1"), b"K\0", b"K\x02K\x02\x86", b"K\x02K\x01\x86", parameters, b"\x89", HOOKS),
    )


BY_HAND: dict[str, bytes] = {
    "set afterwards": b"ctorch\nFloatTensor\n)\x81" + PARTS + b"b",
    "set after a call": b"ctorch\nTensor\n)R" + PARTS + b"b",
    "of a whole storage": called("torch.FloatTensor", storage()),
    "of a tensor": called("torch.FloatTensor", PLAIN),
    "a parameter set afterwards": b"ctorch.nn.parameter\nParameter\n)\x81(" + PLAIN + b"NN\x89}tb",
    "lists for tuples": called(
        "torch._utils._rebuild_tensor_v2", storage(), b"K\0", b"](K\x02K\x02e", b"](K\x02K\x01e", b"\x89", HOOKS
    ),
    "a sparse class": called("torch.sparse.FloatTensor", INDICES, VALUES, SIZE),
    "sparse of a list": called("torch._utils._rebuild_sparse_tensor", LAYOUT, b"(" + INDICES + VALUES + b"](K\x03eNt"),
    "sparse of a device": called(
        "torch._utils._rebuild_device_tensor_from_cpu_tensor",
        *(called("torch.sparse.FloatTensor", INDICES, VALUES, SIZE), b"ctorch\nfloat32\n", text("xla:0"), b"\x89"),
    ),
    "scales in lists": quantised(b"(ctorch\nper_channel_affine\n](K\x01K\x02e](K\x01K\x02eK\0t"),
    "float zero points in lists": quantised(
        b"(ctorch\nper_channel_affine_float_qparams\n](K\x01K\x02e](K\x01K\x02eK\0t"
    ),
    "bits that are named and off": called(
        "torch._utils._rebuild_tensor_v2",
        *(storage(), b"K\0", b"K\x04\x85", b"K\x01\x85", b"\x89", HOOKS, b"}" + text("neg") + b"\x89s"),
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_what_torch_wrote_once_or_reads_still(case: str) -> None:
    data = archive(b"\x80\x02" + mapping({"w": BY_HAND[case], "x": tensor("3", (4,), 4)}) + b".", RECORDS)
    assert_opens_as(data, torch.load(io.BytesIO(data), weights_only=True, map_location="cpu"))


def test_lists_that_hold_no_numbers_make_no_scales() -> None:
    data = archive(
        b"\x80\x02" + mapping({"w": quantised(b"(ctorch\nper_channel_affine\n](NNe](NNeK\0t")}) + b".", RECORDS
    )
    opened = open_checkpoint(data)
    with pytest.raises(Exception, match="should have 2 numbers"):
        opened.state_dict.tensor("w")


def opened_as(pickle: bytes) -> Mapping[str, Tensor]:
    """What both make of a pickle; the same keys in the same order."""
    data = archive(b"\x80\x02" + pickle + b".", RECORDS)
    theirs: Mapping[Any, Tensor] = torch.load(io.BytesIO(data), weights_only=True)
    named = {str(key): value for key, value in theirs.items()}
    assert_opens_as(data, named)
    return named


def test_keys_that_python_2_wrote_are_utf_8() -> None:
    assert list(opened_as(b"}U\x02\xc3\xa9" + PLAIN + b"s")) == ["é"]


def test_an_ordered_mapping_of_pairs_may_have_any_keys() -> None:
    pairs = b"](](K\x01K\x02\x86" + PLAIN + b"e](N" + PLAIN + b"e](" + text("a") + PLAIN + b"ee"
    assert list(opened_as(b"ccollections\nOrderedDict\n" + pairs + b"\x85R")) == ["(1, 2)", "None", "a"]


@pytest.mark.parametrize(
    ("placement", "size", "whole"),
    [("Shard", b"K\x04\x85", True), ("Replicate", b"K\x04\x85", True), ("Partial", b"K\x04\x85", False), ("Shard", b"K\x08\x85", False)],
)  # fmt: skip
def test_a_distributed_tensor_that_one_process_held_is_its_local_one(placement: str, size: bytes, whole: bool) -> None:
    named = b"ctorch.distributed.tensor\nDTensor\n"
    placed = f"ctorch.distributed.tensor.placement_types\n{placement}\n".encode() + b")\x81\x85"
    spec = b"ctorch.distributed.tensor._dtensor_spec\nDTensorSpec\n)\x81" + mapping({"placements": placed}) + b"b"
    value = called(
        "torch._tensor._rebuild_from_type_v2",
        b"ctorch._utils\n_rebuild_wrapper_subclass\n",
        named,
        b"(" + named + b"ctorch\nfloat32\n" + size + b"K\x01\x85K\0NN\x89t",
        b"(N" + mapping({"_local_tensor": PLAIN, "_spec": spec}) + b"t",
    )
    opened = open_checkpoint(archive(b"\x80\x02" + mapping({"w": value, "x": PLAIN}) + b".", RECORDS))
    assert list(opened.state_dict_at("")) == (["w", "x"] if whole else ["x"])
