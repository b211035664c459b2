"""Folders of torch.distributed.checkpoint that lack something, contradict themselves, or were made to do harm."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint.metadata import (
    MetadataIndex,
)

from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.reading.formats.tiling import Box, fill
from tests.reading.pickles import archive, called, saved, text
from tests.reading.sharded_folders import (
    GRID,
    ROWS,
    WHOLE,
    Sharded,
    from_files,
    refusal,
    state_dict,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def test_a_missing_file_is_named() -> None:
    files = Sharded().tensor("model.w", WHOLE, GRID).all()
    del files["__1_0.distcp"], files["__3_0.distcp"]
    id_, says = refusal(files)
    assert id_ == "F15"
    assert "of the 4 files that its .metadata names, __1_0.distcp, __3_0.distcp are not in it" in says


@pytest.mark.parametrize("path", ["../secret.distcp", "/etc/passwd", "a/../../x", "..\\x"])
def test_a_file_outside_of_the_folder_is_never_opened(path: str) -> None:
    made = Sharded().tensor("model.w", WHOLE, ROWS)
    made.stored[MetadataIndex("model.w", (0, 0))].relative_path = path
    assert refusal(made.all())[0] == "F15"


def test_places_that_the_files_do_not_have_are_refused() -> None:
    for change, says in (
        ({"offset": 10**9}, "would lie up to byte"),
        ({"length": 10**9}, "would lie up to byte"),
        ({"offset": -1}, "the place of 'model.w' is none"),
        ({"length": 2**70, "offset": -(2**70)}, "the place of 'model.w' is none"),
        ({"length": 100}, "and its place has 100 bytes"),
        ({"offset": 1}, "would lie up to byte"),
        ({"relative_path": 5}, "the place of 'model.w' is none"),
        ({"transform_descriptors": ["stream.zstd"]}, "is packed"),
    ):
        made = Sharded().tensor("model.w", WHOLE, ROWS)
        vars(made.stored[MetadataIndex("model.w", (0, 0))]).update(change)
        id_, found = refusal(made.all())
        assert id_ == "F18"
        assert says in found


@pytest.mark.parametrize(
    "boxes",
    [
        ROWS[:1],
        (*ROWS, ((0, 0), (1, 12))),
        (((0, 0), (3, 12)), ((2, 0), (2, 12))),
        (((0, 0), (5, 6)), ((0, 5), (5, 6))),
    ],
)
def test_chunks_that_overlap_or_leave_holes_are_refused(boxes: Sequence[Box]) -> None:
    id_, says = refusal(Sharded().tensor("model.w", WHOLE, boxes).all())
    assert id_ == "F18"
    assert "overlap, or leave a part of it out" in says


def test_a_chunk_beyond_its_tensor_is_refused() -> None:
    made = Sharded().tensor("model.w", WHOLE, ROWS)
    made.listed["model.w"].size = torch.Size((4, 12))
    assert "reaches beyond it" in refusal(made.all())[1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (saved(torch.zeros(12, 5)), "should be (5, 12) of float32, and is (12, 5) of float32"),
        (saved(torch.zeros(5, 12, dtype=torch.int32)), "and is (5, 12) of int32"),
        (saved({"w": torch.zeros(5, 12)}), "is no tensor"),
        (bytes(2000), "contradicts itself"),
        (saved(torch.zeros(5, 12).to_sparse()), "made of several tensors"),
    ],
)
def test_a_chunk_that_is_another_tensor_than_was_said_is_refused_when_it_is_read(content: bytes, says: str) -> None:
    made = Sharded().tensor("model.w", WHOLE, (((0, 0), (5, 12)),))
    made.stored[MetadataIndex("model.w", (0, 0))].length = len(content)
    files = made.all() | {"__0_0.distcp": content}
    assert from_files(files).root["model"]["w"].shape == (5, 12)
    assert says in refusal(files)[1]


def test_claims_of_the_metadata_that_make_no_sense_are_refused() -> None:
    def changed(**fields: Any) -> str:
        made = Sharded().tensor("model.w", WHOLE, ROWS)
        vars(made.listed["model.w"]).update(fields)
        return refusal(made.all())[1]

    assert "no shape, or no chunks" in changed(size=(-1, 12))
    assert "no shape, or no chunks" in changed(size=(2**70, 12))
    assert "no shape, or no chunks" in changed(chunks=None)
    assert "has no place in it" in changed(chunks=[None])
    assert "no type" in changed(properties=None)
    made = Sharded().tensor("model.w", WHOLE, ROWS)
    assert "does not say which tensors" in refusal(made.all(storage_data=None))[1]
    assert "something without a name" in refusal(made.all(storage_data={"w": 1}))[1]
    assert "does not say where 'model.w' lies" in refusal(made.all(storage_data={}))[1]
    assert "where 'model.w' belongs" in refusal(made.all(planner_data={"model.w": ()}))[1]
    assert "where 'model.w' belongs" in refusal(made.all(planner_data={"model.w": ("model", 2**40)}))[1]
    assert "where 'model.w' belongs" in refusal(made.all(planner_data={"model.w": ("a",) * 1000}))[1]
    made.object("epoch", saved(1))
    clash = {"model.w": ("model",), "epoch": ("model", "epoch")}
    assert "inside of something that is no mapping" in refusal(made.all(planner_data=clash))[1]
    same = {"model.w": ("model",), "epoch": ("model",)}
    assert "two of its entries" in refusal(made.all(planner_data=same))[1]
    assert "does not say which tensors" in refusal({".metadata": pickle.dumps({"a": 1})})[1]


def test_a_list_with_one_large_index_takes_no_room() -> None:
    made = Sharded().object("x", saved(1)).at("x", "lst", 10**9)
    assert from_files(made.all()).root == {"lst": {10**9: 1}}


class Shell:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/pwned",)


def test_calls_of_the_shell_are_named_wherever_they_stand() -> None:
    made = Sharded().tensor("model.w", WHOLE, ROWS).object("epoch", saved(3))
    assert "posix.system" not in from_files(made.all()).globals
    assert "posix.system" in from_files(made.all(storage_meta=Shell())).globals
    hostile = archive(b"\x80\x02" + called("os.system", text("touch /tmp/pwned")) + b".")
    assert "os.system" in from_files(Sharded().object("epoch", hostile).all()).globals


def test_boxes_fill_a_shape_or_do_not() -> None:
    assert fill(GRID, (5, 12))
    assert fill([((), ())], ())
    assert not fill(GRID[:3], (5, 12))
    assert not fill([*GRID[:3], GRID[0]], (5, 12))
    random.seed(0)
    rows = [((row, column), (1, 1)) for row in range(60) for column in range(60)]
    random.shuffle(rows)
    assert fill(rows, (60, 60))
    lying = [((0, 0, at), (1, 100_000, 1)) for at in range(10)] + [((0, 0, 0), (1, 100_000, 1))] * 10
    assert not fill(lying, (1, 100_000, 20))
    assert fill([((at,), (1,)) for at in range(65_536)], (65_536,))


def test_too_many_chunks_that_all_overlap_are_given_up() -> None:
    boxes = [((row, 0), (4000, 1)) if row == 0 else ((row % 2, row), (4000, 1)) for row in range(4000)]
    assert fill(boxes, (4001, 4000)) in (False, None)


def test_a_folder_that_is_damaged_opens_or_is_refused() -> None:
    made = Sharded().tensor("model.w", WHOLE, ROWS).object("epoch", saved(3))
    files = made.all()
    cases = [files | {name: content[:at]} for name, content in files.items() for at in range(0, len(content), 50)]
    for name, content in files.items():
        step = 1 if name == ".metadata" else 7
        for at in range(0, len(content), step):
            cases.append(files | {name: content[:at] + bytes([content[at] ^ 0x11]) + content[at + 1 :]})
    for case in cases:
        try:
            file = from_files(case)
            node = file.root.get("model")
            found = state_dict(file, node if isinstance(node, dict) else None)
            for key in found:
                found.tensor(key)
        except CheckpointExplorerError as error:
            assert "\n" not in str(error)


def test_an_object_that_is_no_file_of_torch_is_said_to_be_one() -> None:
    file = from_files(Sharded().object("raw", b"x" * 100).all())
    assert file.root["raw"] == "an object of 100 bytes, not read"
