"""What fuzzing and hand-made files found, made small: each once hung, ate the memory, ended the process or stumbled.

Memory is the highest resident size of the process, above what it was before: it was gigabytes before each was mended. Time
is not asserted, but the slow ones took minutes.
"""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ckpt_explorer.errors import CheckpointExplorerError, CorruptCheckpoint
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.reading.formats.safetensors import read_safetensors
from ckpt_explorer.reading.sources.source import source_of
from tests.reading.pickles import archive, called, mapping, saved, tensor, text
from tests.reading.test_any_bytes import opens_or_is_refused

pytestmark = pytest.mark.filterwarnings("ignore")

MEGABYTES = 200


def megabytes_for(data: bytes) -> float:
    """How far the memory of this process rises while the file is opened, or refused."""

    def resident(which: str) -> float:
        return int(Path("/proc/self/status").read_text(encoding="ascii").split(f"{which}:")[1].split()[0]) / 1024

    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = resident("VmRSS")
    opens_or_is_refused(data)
    return resident("VmHWM") - before


def beside(extra: bytes) -> bytes:
    """A packed archive with a tensor, and beside it what these instructions leave."""
    pickle = b"\x80\x02" + mapping({"weight": tensor("0", (2,), 2), "extra": extra}) + b"."
    return archive(pickle, {"0": bytes(8)}, packed=True)


def plain(extra: bytes) -> bytes:
    """A plain pickle in a gzip archive."""
    return gzip.compress(b"\x80\x02" + mapping({"extra": extra}) + b".", 1)


def long_text(size: int) -> bytes:
    """A text of so many bytes, kept under memo index 100."""
    return b"X" + struct.pack("<I", size) + b"m" * size + b"q\x64"


EMOJI = "\U0001f600".encode()


def wide_text(size: int) -> bytes:
    return b"X" + struct.pack("<I", size + 4) + EMOJI + b"a" * size


def numbered(form: str, count: int) -> bytes:
    return b"".join(form.encode("latin-1").replace(b"#", struct.pack("<I", number)) for number in range(count))


GREEDY: dict[str, Callable[[], bytes]] = {
    "keys that are tuples of one long text": lambda: b"(" + long_text(1 << 20) + b"(" + b"h\x64" * 16 + b"tq\x65}(" + b"h\x65N" * 1000 + b"ut",
    "names of a megabyte": lambda: b"(" + long_text(1 << 20) + numbered("h\x64C\x04#0X\x01\0\0\0a\x930", 9000) + b"t",
    "one text encoded again and again": lambda: b"(" + long_text(1 << 20) + b"c_codecs\nencode\nq\x650" + text("latin1") + b"q\x66" + b"h\x65h\x64h\x66\x86R" * 3000 + b"t",
    "many children under a long path": lambda: b"".join([b"}" + text("k" * 299)] * 98) + b"}(" + numbered("J#}", 20_000) + b"u" + b"s" * 98,
    "a long text with one wide letter": lambda: wide_text(60 << 20),
    "texts with one wide letter each": lambda: b"(" + wide_text(240) * 250_000 + b"t",
    "lines with one wide letter each": lambda: b"(" + (b"V\\U0001F600" + b"a" * 60_000 + b"\n") * 1000 + b"t",
    "persistent ids of nothing": lambda: b"(" + b"NQ" * 990_000 + b"t",
    "a persistent id of a persistent id": lambda: b"N" + b"Q" * 2_900_000,
    "small mappings by the hundred thousand": lambda: b"(" + b"}K\x01K\x01s" * 740_000 + b"t",
    "memo entries without an end": lambda: b"(N" + numbered("r#", 1_400_000) + b"t",
    "copies of short byte strings": lambda: b"}(" + numbered("C\xff#" + "k" * 251 + "N", 200_000) + b"u",
}  # fmt: skip


@pytest.mark.parametrize("name", GREEDY)
@pytest.mark.parametrize("container", [beside, plain])
def test_what_a_pickle_makes_of_a_few_bytes_is_bounded(name: str, container: Callable[[bytes], bytes]) -> None:
    assert megabytes_for(container(GREEDY[name]())) < MEGABYTES


def test_arrays_that_share_one_text_share_its_bytes() -> None:
    dtype = (
        b"cnumpy\ndtype\n("
        + text("f4")
        + b"\x89\x88tR(K\x03"
        + text("<")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tbq\x65"
    )
    old = b"T" + struct.pack("<I", 65_536) + b"m" * 65_536 + b"q\x64"
    array = b"cnumpy.core.multiarray\n_reconstruct\n)R(K\1M\0\x40\x85h\x65\x89h\x64tb"
    assert megabytes_for(beside(b"](" + dtype + old + array * 4000 + b"e")) < MEGABYTES


def test_a_tuple_that_holds_itself_twice_over_and_over_is_not_hashed() -> None:
    """In the place of the word `version`, where a shortcut looked it up in a set."""
    doubled = b"N" + b"2\x86" * 200 + b"q\x08"
    versions = b"".join(
        text(f"layer{number}") + b"q" + bytes([20 + 2 * number]) + b"}q" + bytes([21 + 2 * number]) + b"h\x08K\1s"
        for number in range(40)
    )
    opens_or_is_refused(beside(b"(" + doubled + b"}(" + versions + b"ut"))
    opens_or_is_refused(beside(b"(" + doubled + b"}" + versions.replace(b"K\1s", b"K\1ss") + b"t"))


def test_lines_by_the_hundred_thousand_are_read_a_line_at_a_time() -> None:
    """Each took a copy of the 64 KiB behind it."""
    opens_or_is_refused(beside(b"(" + b"I1\n0" * 400_000 + b"t"))


@pytest.mark.parametrize("offset", range(8))
def test_complex_numbers_that_lie_at_an_odd_place_do_not_end_the_process(offset: int) -> None:
    value = np.arange(4, dtype="<c16")
    header = f"{{'descr': '<c16', 'fortran_order': False, 'shape': (4,), {' ' * offset}}}\n".encode()
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + value.tobytes()
    found = open_checkpoint(data, "model.npy").state_dict.tensor("array")
    assert found.data_ptr() % 16 == 0
    assert torch.equal(found.clone() * 2, torch.from_numpy(value) * 2)


def test_a_place_of_hundreds_of_digits_is_refused_in_a_sentence() -> None:
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,1' + b"0" * 400 + b"]}}"
    source = source_of(struct.pack("<Q", len(header)) + header + bytes(4), "w.safetensors")
    with pytest.raises(CorruptCheckpoint, match="no place"):
        read_safetensors(source)


def test_what_an_optimizer_calls_its_tensors_is_shown_without_its_control_characters() -> None:
    state = {0: {"a\nb\x1b[0m": torch.ones(2)}}
    data = saved({"w": torch.ones(2), "optimizer": {"state": state, "param_groups": [{"lr": 0.1, "params": [0]}]}})
    shown = [entry.says for entry in open_checkpoint(data, "model.pth").entries]
    assert any("\\x0a" in says for says in shown)
    assert not any("\n" in says or "\x1b" in says for says in shown)


def test_hidden_buffers_that_are_a_call_on_a_call_are_none() -> None:
    module = mapping(
        {
            "_parameters": mapping({"w": tensor("0", (2,), 2)}),
            "_buffers": b"}",
            "_modules": b"}",
            "_non_persistent_buffers_set": b"cbuiltins\nset\n" + called("a.b") + b"\x81",
        }
    )
    pickle = b"\x80\x02cmy\nNet\n)\x81" + module + b"b."
    assert list(open_checkpoint(archive(pickle, {"0": bytes(8)}), "model.pth").state_dict) == ["w"]


def test_a_sparse_tensor_of_a_million_rows_and_columns_is_not_filled_out() -> None:
    value = torch.sparse_coo_tensor(torch.tensor([[1], [2]]), torch.ones(1), (1 << 20, 1 << 20), check_invariants=True)
    state_dict = open_checkpoint(saved({"w": value}), "model.pth").state_dict
    assert state_dict.tensor("w").shape == (1 << 20, 1 << 20)
    with pytest.raises(CheckpointExplorerError, match="filled out"):
        state_dict.dense("w")


def test_an_empty_tensor_keeps_its_strides() -> None:
    value = torch.empty(3, 0, 2).transpose(0, 2)
    assert open_checkpoint(saved({"w": value}), "model.pth").state_dict.tensor("w").stride() == value.stride()


def test_a_single_tensor_whose_bytes_were_cut_off_is_lost_and_no_more() -> None:
    data = saved({"state_dict": {"w": torch.ones(2)}, "beside": [torch.ones(20_000)]})
    left = open_checkpoint(data[: len(data) // 2], "model.pth", salvage=True)
    assert list(left.state_dict) == ["w"]
    assert left.lost == ("beside.0",)


def test_a_sparse_tensor_of_blocks_without_rows_is_not_filled_out() -> None:
    value = torch.sparse_bsr_tensor(torch.tensor([0, 1]), torch.tensor([0]), torch.ones(1, 2, 2), (2, 2))
    data = saved({"w": value}).replace(b"K\x01K\x02K\x02\x87", b"K\x01K\x00K\x02\x87")
    state_dict = open_checkpoint(mended(data), "model.pth").state_dict
    with pytest.raises(CheckpointExplorerError, match="can't be made from its parts"):
        state_dict.dense("w")


def mended(data: bytes) -> bytes:
    """The archive with the checksum of its pickle left out."""
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        pickled = opened.infolist()[0]
    raw = struct.pack("<I", pickled.CRC)
    assert raw in data
    return data.replace(raw, bytes(4))
