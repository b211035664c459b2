"""Programs of torch.export: their weights are those of the program's state dict, and nothing in them runs."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ckpt_explorer.checkpoint import StateDict
from ckpt_explorer.errors import CheckpointExplorerError, CorruptCheckpoint
from ckpt_explorer.reading.formats.exported import holds_exported, read_exported
from ckpt_explorer.reading.pickles.claims import tensor_infos
from ckpt_explorer.reading.pickles.described import Call
from ckpt_explorer.reading.pickles.pickled import PickledFile
from ckpt_explorer.reading.pickles.torch_objects import TENSOR_CLAIMS
from ckpt_explorer.reading.sources.source import source_of
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory
from tests.reading.pickles import archive, called, saved, text

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.tied = self.linear.weight
        self.table = nn.Parameter(torch.arange(12.0).reshape(3, 4).t())
        self.short = nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
        self.plain = torch.ones(3)
        self.register_buffer("passing", torch.ones(3), persistent=False)
        self.view: Tensor
        self.register_buffer("view", torch.arange(6.0).reshape(2, 3)[:, 1:])

    def forward(self, x: Tensor) -> Tensor:
        used = self.table[0, 0] + self.view[0, 0] + self.short[0] + nn.functional.linear(x, self.tied)
        return self.norm(self.linear(x)) + self.plain + self.passing + used  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def program() -> Any:
    return torch.export.export(Net().eval(), (torch.ones(4, 2),))


@pytest.fixture(scope="module")
def data(program: Any) -> bytes:
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def opened(data: bytes) -> PickledFile:
    source = source_of(data, "net.pt2")
    directory = ZipDirectory(source)
    assert holds_exported(directory)
    return read_exported(source, directory)


def state_dict(file: PickledFile, node: Any = None) -> StateDict:
    claims = {key: value for key, value in (node or file.root).items() if type(value) in TENSOR_CLAIMS}
    return StateDict("", tensor_infos(source_of(b"", "net.pt2"), file.find_storages, claims))


def rezipped(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return file.getvalue()


def with_row(data: bytes, **fields: Any) -> bytes:
    """The archive whose table says something else of `linear.bias`."""

    def change(name: str, content: bytes) -> bytes:
        if not name.endswith("_weights_config.json"):
            return content
        table = json.loads(content)
        row = table["config"]["linear.bias"]
        (row if set(fields) <= set(row) else row["tensor_meta"]).update(fields)
        return json.dumps(table).encode()

    return rezipped(data, change)


def test_keys_order_and_bits_are_those_of_the_program(program: Any, data: bytes) -> None:
    found, loaded = state_dict(opened(data)), torch.export.load(io.BytesIO(data))
    assert list(found) == list(loaded.state_dict)
    assert set(found) == set(program.state_dict)
    for key, tensor in program.state_dict.items():
        assert torch.equal(found.tensor(key), tensor)
        assert found.tensor(key).dtype == tensor.dtype
    assert found["tied"].storage is found["linear.weight"].storage


def test_constants_are_beside_the_weights_and_not_among_them(program: Any, data: bytes) -> None:
    beside = opened(data).root["(constants)"]
    assert isinstance(beside, Call)
    assert set(beside.state) == set(program.constants) == {"plain", "passing"}


def test_weights_are_views_of_the_file(data: bytes) -> None:
    start = torch.frombuffer(data, dtype=torch.uint8).data_ptr()
    assert start <= state_dict(opened(data)).tensor("linear.weight").data_ptr() < start + len(data)


def test_it_is_said_that_the_program_was_not_read(data: bytes) -> None:
    (said,) = opened(data).diagnoses
    assert "its weights were read, and the program in it was not" in said.says


def test_the_archives_of_older_versions_are_read() -> None:
    """Until 2.7: a plain zip archive with three files of torch.save's, and the program as JSON."""
    state = Net().state_dict()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("serialized_exported_program.json", "{}")
        made.writestr("serialized_state_dict.pt", saved(state))
        made.writestr("serialized_constants.pt", saved({"plain": torch.ones(3)}))
        made.writestr("version", "8.1")
    found = state_dict(opened(file.getvalue()))
    assert list(found) == list(state)
    assert all(torch.equal(found.tensor(key), tensor) for key, tensor in state.items())


def test_a_pickled_weight_is_read_and_what_it_asks_for_is_named(data: bytes) -> None:
    plain = rezipped(
        data, lambda name, content: saved(torch.full((3,), 7.0)) if name.endswith("/weight_3") else content
    )
    name = json.loads(zipfile.ZipFile(io.BytesIO(data)).read(table_of(data)))["config"]["linear.bias"]["path_name"]
    assert name == "weight_3"
    assert state_dict(opened(with_row(plain, use_pickle=True))).tensor("linear.bias").tolist() == [7, 7, 7]
    hostile = archive(b"\x80\x02" + called("os.system", text("touch /tmp/pwned")) + b".")
    for member in ("/weight_3", "/sample_inputs/model.pt"):
        evil = rezipped(data, lambda name, content, member=member: hostile if name.endswith(member) else content)  # type: ignore[misc]
        evil = with_row(evil, use_pickle=True) if member == "/weight_3" else evil
        assert "os.system" in opened(evil).globals


def table_of(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive_file:
        return next(name for name in archive_file.namelist() if name.endswith("_weights_config.json"))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"path_name": "weight_99"}, "does not hold the record of 'linear.bias'"),
        ({"path_name": "../../x"}, "does not hold the record of 'linear.bias'"),
        ({"path_name": None}, "does not hold the record of 'linear.bias'"),
        ({"tensor_meta": None}, "the shape of 'linear.bias' is none"),
        ({"sizes": [{"as_int": 4}]}, "would need bytes up to 16"),
        ({"sizes": [{"as_int": -4}]}, "impossible shape"),
        ({"sizes": [{"as_expr": "s0"}]}, "the shape of 'linear.bias' is none"),
        ({"sizes": 5}, "the shape of 'linear.bias' is none"),
        ({"strides": []}, "impossible shape"),
        ({"storage_offset": {"as_int": 1}}, "would need bytes up to 16"),
        ({"storage_offset": None}, "the shape of 'linear.bias' is none"),
        ({"dtype": 0}, "type that PyTorch does not have"),
        ({"dtype": [7]}, "type that PyTorch does not have"),
    ],
)
def test_a_table_that_lies_is_refused(data: bytes, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(CorruptCheckpoint, match=says):
        state_dict(opened(with_row(data, **fields)))


@pytest.mark.parametrize("table", [b"", b"{", b"[]", b"[" * 100_000, b'{"config": []}', b"\xff"])
def test_a_table_that_is_none_is_refused(data: bytes, table: bytes) -> None:
    with pytest.raises(CorruptCheckpoint, match="its table"):
        opened(rezipped(data, lambda name, content: table if name.endswith("_weights_config.json") else content))


def test_a_file_that_breaks_off_or_is_damaged_opens_or_is_refused(data: bytes) -> None:
    name = table_of(data)
    size = zipfile.ZipFile(io.BytesIO(data)).getinfo(name).file_size

    def flipped(at: int) -> bytes:
        def change(found: str, content: bytes) -> bytes:
            return content[:at] + bytes([content[at] ^ 0x11]) + content[at + 1 :] if found == name else content

        return rezipped(data, change)

    for case in [data[:at] for at in range(0, len(data), 200)] + [flipped(at) for at in range(0, size, 3)]:
        try:
            found = state_dict(opened(case))
            for key in found:
                found.tensor(key)
        except CheckpointExplorerError as error:
            assert "\n" not in str(error)
