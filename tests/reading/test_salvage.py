"""A file that was cut is refused with what is left of it, and that is opened when it is asked for."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save

from ckpt_explorer.errors import CorruptCheckpoint, RefusedFile
from ckpt_explorer.reading import open_checkpoint
from tests.reading.pickles import saved

TENSORS = {f"layer{i}.weight": torch.full((1000,), float(i)) for i in range(10)}
FILES = {
    "zip": saved(TENSORS),
    "legacy": saved(TENSORS, legacy=True),
    "safetensors": save(TENSORS),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_refusal_says_how_much_is_left_and_salvage_opens_exactly_that(kind: str) -> None:
    cut = FILES[kind][: len(FILES[kind]) // 2]
    with pytest.raises(CorruptCheckpoint, match=r"[345] of its 10 tensors can still be read") as refused:
        open_checkpoint(cut)
    assert refused.value.diagnosis.id in ("F4", "F5")
    opened = open_checkpoint(cut, salvage=True)
    assert len(opened.state_dict) == refused.value.readable
    assert len(opened.lost) == 10 - refused.value.readable
    for key, info in opened.state_dict.items():
        assert info.key == key
        assert torch.equal(opened.state_dict.tensor(key), TENSORS[key])
    assert opened.diagnoses[0].id == "F5"
    assert "not for use" in opened.diagnoses[0].next


@pytest.mark.parametrize("kind", FILES)
def test_every_cut_is_refused_or_opened_with_values_that_were_written(kind: str) -> None:
    whole = FILES[kind]
    for size in range(1, len(whole), len(whole) // 60):
        for salvage in (False, True):
            try:
                opened = open_checkpoint(whole[:size], salvage=salvage)
            except RefusedFile:
                continue
            assert all(torch.equal(opened.state_dict.tensor(key), TENSORS[key]) for key in opened.state_dict)


@pytest.mark.parametrize("kind", FILES)
def test_a_whole_file_is_not_called_cut_because_salvage_was_asked_for(kind: str) -> None:
    opened = open_checkpoint(FILES[kind], salvage=True)
    assert (len(opened.state_dict), opened.lost, opened.diagnoses) == (10, (), ())


def test_a_file_of_which_no_tensor_is_left_makes_no_offer() -> None:
    with pytest.raises(CorruptCheckpoint) as refused:
        open_checkpoint(FILES["zip"][:1800])
    assert refused.value.readable == 0
    assert "can still be read" not in str(refused.value)


def test_a_record_whose_bytes_are_not_those_written_is_not_among_what_is_left() -> None:
    cut = bytearray(FILES["zip"][: len(FILES["zip"]) // 2])
    at = bytes(cut).index(TENSORS["layer1.weight"].numpy().tobytes())
    cut[at + 8] ^= 1
    opened = open_checkpoint(bytes(cut), salvage=True)
    assert list(opened.state_dict) == ["layer0.weight"]
