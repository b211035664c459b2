"""TorchScript of PyTorch 1.0 to 1.2, written here by hand as those versions wrote it."""

from __future__ import annotations

import copy
import io
import json
import pickle
import zipfile
from typing import Any

import pytest
import torch

from ckpt_explorer.checkpoint import StateDict
from ckpt_explorer.errors import CheckpointExplorerError, CorruptCheckpoint
from ckpt_explorer.reading.formats.torchscript_json import read_torchscript_json, torchscript_json_top
from ckpt_explorer.reading.pickles.claims import tensor_infos
from ckpt_explorer.reading.pickles.pickled import PickledFile
from ckpt_explorer.reading.pickles.torch_objects import TENSOR_CLAIMS
from ckpt_explorer.reading.sources.source import source_of
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory
from tests.reading.pickles import called, text

WEIGHT = torch.arange(12.0).reshape(3, 4)

MODEL: dict[str, Any] = {
    "protoVersion": "3",
    "producerName": "pytorch",
    "producerVersion": "1.0",
    "mainModule": {
        "name": "Net",
        "optimize": True,
        "submodules": [
            {"name": "fc", "parameters": [{"tensorId": "0", "name": "weight"}]},
            {
                "name": "bn",
                "parameters": [{"isBuffer": True, "tensorId": "1", "name": "count"}, {"tensorId": "2", "name": "weight"}],
            },
        ],
        "parameters": [{"isBuffer": False, "tensorId": "3", "name": "tied"}],
        "attributes": [{"type": "str", "name": "title", "id": "0"}, {"type": "int", "name": "absent", "id": "-1"}],
    },
    "tensors": [
        {"dims": ["3", "4"], "offset": "0", "strides": ["4", "1"], "requiresGrad": True, "dataType": "FLOAT", "data": {"key": "tensors/0"}, "device": "cpu"},
        {"offset": "0", "dataType": "INT64", "data": {"key": "tensors/1"}, "device": "cpu"},
        {"dims": ["2"], "offset": "1", "strides": ["1"], "dataType": "FLOAT16", "data": {"key": "tensors/2"}, "device": "cpu"},
        {"dims": ["4", "3"], "offset": "0", "strides": ["1", "4"], "dataType": "FLOAT", "data": {"key": "tensors/0"}, "device": "cpu"},
    ],
}  # fmt: skip


def written(model: Any = MODEL, attributes: bytes | None = None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("net/version", "1\n")
        made.writestr("net/code/net.py", "op_version_set = 1\n")
        made.writestr("net/tensors/0", WEIGHT.numpy().tobytes())
        made.writestr("net/tensors/1", torch.tensor([7]).numpy().tobytes())
        made.writestr("net/tensors/2", torch.arange(3.0).half().numpy().tobytes())
        made.writestr("net/attributes.pkl", attributes or pickle.dumps(("a network",), 2))
        made.writestr("net/model.json", model if isinstance(model, bytes) else json.dumps(model))
    return file.getvalue()


def opened(data: bytes) -> PickledFile:
    source = source_of(data, "net.pt")
    records = ZipDirectory(source)
    assert torchscript_json_top(records) == "net/"
    return read_torchscript_json(source, records, "net/")


def state_dict(file: PickledFile) -> StateDict:
    claims = {key: value for key, value in file.root.items() if type(value) in TENSOR_CLAIMS}
    return StateDict("", tensor_infos(source_of(b"", "net.pt"), file.find_storages, claims))


def test_keys_stand_in_the_order_of_a_state_dict() -> None:
    found = state_dict(opened(written()))
    assert list(found) == ["tied", "fc.weight", "bn.weight", "bn.count"]
    assert torch.equal(found.tensor("fc.weight"), WEIGHT)
    assert torch.equal(found.tensor("tied"), WEIGHT.t())
    assert found.tensor("bn.weight").tolist() == [1, 2]
    assert int(found.tensor("bn.count")) == 7
    assert found["tied"].storage is found["fc.weight"].storage


def test_attributes_are_beside_the_weights() -> None:
    file = opened(written())
    assert file.root["(attributes)"].state == {"title": "a network"}
    assert [said.id for said in file.diagnoses] == ["F11"]


def test_a_call_of_the_shell_is_named() -> None:
    hostile = b"\x80\x02" + called("os.system", text("touch /tmp/pwned")) + b"\x85."
    assert "os.system" in opened(written(attributes=hostile)).globals


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("tensors", 0, "data", "key"), "tensors/9", "is none"),
        (("tensors", 0, "data"), None, "is none"),
        (("tensors", 0, "dataType"), "STRING", "is none"),
        (("tensors", 0, "dims"), ["-3", "4"], "is none"),
        (("tensors", 0, "dims"), ["4", "4"], "would need bytes up to 64"),
        (("tensors", 0, "strides"), [], "impossible shape"),
        (("tensors", 0, "offset"), "9" * 30, "is none"),
        (("mainModule", "parameters", 0, "tensorId"), "99", "in no table"),
        (("mainModule", "parameters", 0, "tensorId"), "-1", "in no table"),
        (("mainModule", "attributes", 0, "id"), "5", "in no table"),
        (("mainModule",), [], "describes no module"),
    ],
)
def test_a_description_that_lies_is_refused(path: tuple[Any, ...], value: Any, says: str) -> None:
    model = copy.deepcopy(MODEL)
    node = model
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    with pytest.raises(CorruptCheckpoint, match=says):
        state_dict(opened(written(model)))


def test_modules_without_end_are_refused() -> None:
    model = json.dumps(MODEL).replace('"submodules": [', '"submodules": [' + '{"submodules": [' * 300)
    with pytest.raises(CorruptCheckpoint, match="no JSON"):
        opened(written(model.encode()))
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"name": "a", "submodules": [deep]}
    with pytest.raises(CorruptCheckpoint, match="nested"):
        opened(written({**MODEL, "mainModule": deep}))


def test_a_file_that_breaks_off_or_is_damaged_opens_or_is_refused() -> None:
    data, raw = written(), json.dumps(MODEL).encode()
    flips = [written(raw[:at] + bytes([raw[at] ^ mask]) + raw[at + 1 :]) for at in range(len(raw)) for mask in (1, 16)]
    for case in [data[:at] for at in range(0, len(data), 50)] + flips:
        try:
            found = state_dict(opened(case))
            for key in found:
                found.tensor(key)
        except CheckpointExplorerError as error:
            assert "\n" not in str(error)
