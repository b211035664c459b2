"""Small files that ask for much: refused, or opened, within the memory and time of an honest file."""

from __future__ import annotations

import io
import resource
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ckpt_explorer.errors import CheckpointExplorerError, CorruptCheckpoint
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.reading.pickles.inert_pickle import MAX_MEMO, MAX_OBJECTS, MAX_STACK
from tests.reading.pickles import archive, beside_a_tensor, called, mapping, tensor, text

ROOT = Path(__file__).resolve().parents[2]

_OPEN_IN_LITTLE_MEMORY = """
import resource, sys
from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.reading import open_checkpoint
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    open_checkpoint(sys.argv[1])
except CheckpointExplorerError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def growth(data: bytes, folder: Path) -> int:
    """Peak memory in MB that opening these bytes takes, in a process of its own."""
    file = folder / "bomb.pth"
    file.write_bytes(data)
    ran = subprocess.run(
        [sys.executable, "-c", _OPEN_IN_LITTLE_MEMORY, str(file)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-500:]
    return int(ran.stdout.split()[-1])


def packed(instructions: bytes) -> bytes:
    return archive(b"\x80\x02" + instructions + b".", packed=True)


def _again(name: bytes, given: bytes) -> bytes:
    """The same call made ten thousand times."""
    return b"(" + given + b"q\x01" + name + b"q\x02](" + b"h\x02h\x01\x85R" * 10_000 + b"el"


BOMBS = {
    "a dict for every byte": b"(" + b"}" * (MAX_OBJECTS + 10) + b"l",
    "a list for every byte, one in the other": b"]" * (MAX_OBJECTS + 10),
    "a stack without an end": b"N" * (MAX_STACK + 10),
    "a mark for every byte": b"(" * (MAX_STACK + 10),
    "a memo without an end": b"N" + b"\x94" * (MAX_MEMO + 10),
    "tuples around tuples": b")" + b"\x85" * 4_000_000,
    "one object put on the stack and taken off again for ever": b"N" + b"20" * 4_000_000,
    "calls of calls": b"cos\nsystem\n" + b")R" * (MAX_OBJECTS + 10),
    "sixty million bytes of text": text("x" * 60_000_000),
    "a list made a shape again and again": _again(b"ctorch\nSize\n", b"](" + b"K\x01" * 200_000 + b"e"),
    "a list made a mapping again and again": _again(
        b"ccollections\nOrderedDict\n",
        b"](" + b"".join(b"](J" + struct.pack("<I", number) + b"Ne" for number in range(50_000)) + b"e",
    ),
    "a long key in many mappings": b"((" + text("x" * 300) * 16 + b"tq\x01]((" + b"}h\x01Ns" * 100_000 + b"l",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_pickle_bomb_is_refused_in_little_memory(name: str, tmp_path: Path) -> None:
    assert growth(packed(BOMBS[name]), tmp_path) < 300


def test_four_gigabytes_in_four_megabytes_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made, made.open("a/data.pkl", "w") as record:
        for _ in range(100):
            record.write(b"N0" * 1_000_000)
    assert growth(file.getvalue(), tmp_path) < 20


def test_a_compressed_record_that_claims_more_than_packing_can_do_is_refused() -> None:
    data = bytearray(packed(b"}"))
    at = data.find(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 60_000_000)
    with pytest.raises(CorruptCheckpoint, match="more than packing can do"):
        open_checkpoint(bytes(data))


def test_keys_whose_hashes_were_made_equal_take_no_longer_than_others(tmp_path: Path) -> None:
    modulus = 2**61 - 1
    numbers = [b"\x8a\x0a" + (index * modulus).to_bytes(10, "little") + b"N" for index in range(1, 60_000)]
    pairs = [b"K\x01K" + bytes([index % 256]) + b"\x86N" for index in range(1000)]
    assert growth(beside_a_tensor(b"}(" + b"".join(numbers + pairs) + b"u"), tmp_path) < 100


def test_a_key_nested_a_million_deep_does_not_end_the_process(tmp_path: Path) -> None:
    assert growth(beside_a_tensor(b"}(" + b")" + b"\x85" * 1_000_000 + b"Nu"), tmp_path) < 300


def test_paths_of_doubling_lists_are_walked_once_each() -> None:
    levels = b"(lq\x00" + b"".join(b"0](h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(60))
    assert list(open_checkpoint(beside_a_tensor(levels)).state_dict) == ["weight"]


@pytest.mark.parametrize(
    ("instructions", "what"),
    [
        (tensor("0", (2**40,), 2), "would need bytes up to"),
        (tensor("0", (2,), 2, stride=(2**62,)), "impossible shape"),
        (tensor("0", (2,), 2, stride=(-1,)), "impossible shape"),
        (tensor("0", (2,), 2, offset=-1), "impossible shape"),
        (tensor("0", (2,), 2, offset=1), "would need bytes up to 12"),
        (tensor("0", (2**33, 2**33), 2, stride=(0, 0)), "impossible shape"),
        (tensor("0", (2, 2), 2), "impossible shape"),
        (tensor("0", (2,), 2**60), "should have"),
        (tensor("0", (2,), -1), "should have"),
        (tensor("9", (2,), 2), "refers to storage '9'"),
    ],
)
def test_a_tensor_that_can_not_be_is_refused_with_both_numbers(instructions: bytes, what: str) -> None:
    data = archive(b"\x80\x02" + mapping({"weight": instructions}) + b".", {"0": bytes(8)})
    with pytest.raises(CorruptCheckpoint, match=what) as refused:
        open_checkpoint(data)
    assert refused.value.diagnosis.id == "F18"


@pytest.mark.parametrize(
    "instructions",
    [
        b"X" + struct.pack("<I", 2**32 - 1),
        b"\x8d" + struct.pack("<Q", 2**40),
        b"\x8b" + struct.pack("<i", 2**31 - 1),
        b"\x8b" + struct.pack("<i", -1),
        b"B" + struct.pack("<I", 2**32 - 1),
        b"\x96" + struct.pack("<Q", 2**63),
        b"L" + b"9" * 1_000_000 + b"L\n",
        b"L" + b"9" * 5_000 + b"L\n",
        b"g-1\n",
        b"0000",
        b"t",
        b"u",
        b"\xff",
        b"I1e5\n",
        b"(i",
        b"V\\ud800\n\x85R",
    ],
)
def test_a_pickle_that_can_not_be_is_refused(instructions: bytes) -> None:
    with pytest.raises(CheckpointExplorerError):
        open_checkpoint(archive(b"\x80\x02" + instructions + b"."))


def test_an_array_of_a_terabyte_is_described_and_not_made() -> None:
    opened = open_checkpoint(
        beside_a_tensor(called("builtins.bytearray", b"\x8a\x06" + (10**12).to_bytes(6, "little")))
    )
    assert list(opened.state_dict) == ["weight"]
