"""The tar format of PyTorch 0.1, written here as that version wrote it, and read as today's torch.load reads it."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import tarfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ckpt_explorer.checkpoint import StateDict
from ckpt_explorer.errors import CheckpointExplorerError, CorruptCheckpoint
from ckpt_explorer.reading.formats.torch_tar import read_torch_tar
from ckpt_explorer.reading.pickles.claims import tensor_infos
from ckpt_explorer.reading.pickles.pickled import PickledFile
from ckpt_explorer.reading.pickles.torch_objects import TENSOR_CLAIMS
from ckpt_explorer.reading.sources.source import Source, source_of
from ckpt_explorer.reading.sources.tar import tar_folder

KINDS = {
    torch.float32: "Float",
    torch.float64: "Double",
    torch.float16: "Half",
    torch.int64: "Long",
    torch.uint8: "Byte",
}

WHOLE = torch.arange(24.0).reshape(4, 6)
TENSORS: dict[str, Tensor] = {
    "weight": WHOLE,
    "transposed": WHOLE.t(),
    "rows": WHOLE[1:3, ::2],
    "count": torch.tensor([7]),
    "mask": torch.tensor([[0, 1, 255]], dtype=torch.uint8),
    "half": torch.ones(3, dtype=torch.float16),
}


class Old:
    """What torch.save of 0.1.12 does: tensors and storages noted as the object is pickled, and written beside it."""

    def __init__(self, value: Any, python_2: bool = False) -> None:
        self.tensors: dict[int, Tensor] = {}
        self.classes: set[type] = set()
        members = {"sys_info": self.system_info(), "pickle": self.pickled(value)}
        if python_2:
            members["pickle"] = members["pickle"].replace(b"X\x06\x00\x00\x00weight", b"U\x06weight")
        self.members = members | {"tensors": self.of_tensors(), "storages": self.of_storages()}

    @staticmethod
    def system_info() -> bytes:
        sizes = {"short": 2, "int": 4, "long": 8}
        little = sys.byteorder == "little"
        return pickle.dumps({"protocol_version": 1000, "little_endian": little, "type_sizes": sizes}, 2)

    def pickled(self, value: Any) -> bytes:
        file = io.BytesIO()
        noted = self

        class Pickler(pickle.Pickler):
            def persistent_id(self, value: Any) -> Any:
                if isinstance(value, Tensor):
                    noted.tensors[id(value)] = value
                    return str(id(value))
                if value is torch.nn.Linear and value not in noted.classes:
                    noted.classes.add(value)
                    return value, "net.py", "class Net: ..."
                return None

        Pickler(file, 2).dump(value)
        return file.getvalue()

    def of_tensors(self) -> bytes:
        rows = pickle.dumps(len(self.tensors), 2)
        for key, tensor in self.tensors.items():
            rows += self.row(key, tensor.untyped_storage().data_ptr(), f"{KINDS[tensor.dtype]}Tensor")
            rows += struct.pack("<iI", tensor.dim(), 0)
            rows += struct.pack(f"<{tensor.dim()}q", *tensor.shape) + struct.pack(f"<{tensor.dim()}q", *tensor.stride())
            rows += struct.pack("<q", tensor.storage_offset())
        return rows

    def of_storages(self) -> bytes:
        storages = {tensor.untyped_storage().data_ptr(): tensor for tensor in self.tensors.values()}
        rows = pickle.dumps(len(storages), 2)
        for key, tensor in storages.items():
            raw = bytes(tensor.untyped_storage())
            rows += self.row(key, "cpu", f"{KINDS[tensor.dtype]}Storage")
            rows += struct.pack("<q", len(raw) // tensor.element_size()) + raw
        return rows + pickle.dumps([], 2)

    @staticmethod
    def row(key: int, second: int | str, kind: str) -> bytes:
        """A pickled `(key, second, torch.kind)`."""
        start = pickle.dumps((key, second), 2)[2:-1].removesuffix(b"q\x00").removesuffix(b"q\x01").removesuffix(b"\x86")
        return b"\x80\x02(" + start + b"ctorch\n" + kind.encode() + b"\nt."


def tar(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as made:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return file.getvalue()


def opened(data: bytes) -> PickledFile:
    return read_torch_tar(tar_folder(source_of(data, "old.pth")))


def state_dict(file: PickledFile, node: Any = None) -> StateDict:
    claims = {key: value for key, value in (node or file.root).items() if type(value) in TENSOR_CLAIMS}
    return StateDict("", tensor_infos(Source("old.pth", memoryview(b"")), file.find_storages, claims))


def loaded(tmp_path: Path, data: bytes) -> Any:
    """What torch.load makes of a file that this test wrote. (It refuses the format with weights_only.)"""
    file = tmp_path / "old.pth"
    file.write_bytes(data)
    return torch.load(file, weights_only=False)


def refusal(members: Mapping[str, bytes]) -> str:
    with pytest.raises(CorruptCheckpoint) as refused:
        state_dict(opened(tar(members)))
    return str(refused.value)


def test_every_tensor_is_the_one_that_torch_loads(tmp_path: Path) -> None:
    data = tar(Old(OrderedDict(TENSORS)).members)
    found, expected = state_dict(opened(data)), loaded(tmp_path, data)
    assert list(found) == list(expected) == list(TENSORS)
    for key, tensor in expected.items():
        assert torch.equal(found.tensor(key), tensor)
        assert torch.equal(found.tensor(key), TENSORS[key])
        assert found.tensor(key).dtype == tensor.dtype
        assert found[key].stride == tensor.stride()


def test_tensors_that_share_a_storage_still_do() -> None:
    found = state_dict(opened(tar(Old(TENSORS).members)))
    assert found["weight"].storage is found["transposed"].storage is found["rows"].storage


def test_nothing_is_copied() -> None:
    data = tar(Old(TENSORS).members)
    start = torch.frombuffer(data, dtype=torch.uint8).data_ptr()
    assert start <= state_dict(opened(data)).tensor("weight").data_ptr() < start + len(data)


def test_views_of_storages_lie_in_their_root(tmp_path: Path) -> None:
    old = Old({"weight": WHOLE})
    (root,) = {tensor.untyped_storage().data_ptr() for tensor in old.tensors.values()}
    (tensor,) = old.tensors
    rows = pickle.dumps(1, 2) + Old.row(tensor, 5, "FloatTensor") + struct.pack("<iI3q", 1, 0, 4, 1, 2)
    views = pickle.dumps([(5, root, 6, 10)], 2)
    members = old.members | {
        "tensors": rows,
        "storages": old.members["storages"].removesuffix(pickle.dumps([], 2)) + views,
    }
    found, expected = state_dict(opened(tar(members))), loaded(tmp_path, tar(members))
    assert found.tensor("weight").tolist() == expected["weight"].tolist() == [8, 9, 10, 11]


def test_what_python_2_wrote_is_read() -> None:
    assert "weight" in state_dict(opened(tar(Old(TENSORS, python_2=True).members)))


def test_a_tensor_without_dimensions_was_an_empty_one() -> None:
    old = Old({"weight": torch.ones(1)})
    (key,) = old.tensors
    rows = (
        pickle.dumps(1, 2)
        + b"\x80\x02("
        + pickle.dumps(key, 2)[2:-1]
        + b"Nctorch\nFloatTensor\nt."
        + struct.pack("<iIq", 0, 0, 0)
    )
    assert state_dict(opened(tar(old.members | {"tensors": rows}))).tensor("weight").shape == (0,)


def test_the_class_of_a_whole_model_is_named_and_its_parameters_are_found() -> None:
    module = torch.nn.Linear(2, 3)
    state = {"_parameters": {"weight": module.weight.data}, "_buffers": {}, "_modules": {}}
    data = tar(Old({"class": torch.nn.Linear, "state": state}).members)
    file = opened(data)
    assert str(file.root["class"]) == "torch.nn.modules.linear.Linear"
    found = state_dict(file, file.root["state"]["_parameters"])
    assert torch.equal(found.tensor("weight"), module.weight.data)


def test_a_file_that_asks_for_the_shell_names_it() -> None:
    hostile = b"\x80\x02cos\nsystem\n" + pickle.dumps(("true",), 2)[2:-1] + b"R."
    assert "os.system" in opened(tar(Old(TENSORS).members | {"pickle": hostile})).globals
    assert "os.system" in opened(tar(Old(TENSORS).members | {"sys_info": hostile})).globals


def test_claims_that_the_members_contradict_are_refused() -> None:
    members = Old({"weight": WHOLE}).members
    one = Old.row(1, 2, "FloatTensor")
    assert "holds no 'tensors'" in refusal({name: members[name] for name in ("pickle", "storages")})
    assert "how many parts" in refusal(members | {"tensors": pickle.dumps(-1, 2)})
    assert "how many parts" in refusal(members | {"tensors": pickle.dumps(2**70, 2)})
    assert "storage '2', which it does not hold" in refusal(
        members | {"tensors": pickle.dumps(1, 2) + one + struct.pack("<iIq", 0, 0, 0)}
    )
    assert "dimensions" in refusal(members | {"tensors": pickle.dumps(1, 2) + one + struct.pack("<iI", 10**6, 0)})
    assert "break off" in refusal(members | {"tensors": pickle.dumps(1, 2) + one})
    counted = members["storages"].replace(struct.pack("<q", 24), struct.pack("<q", 25))
    assert "should have 25 elements" in refusal(members | {"storages": counted[:-20]})
    assert "no type" in refusal(members | {"storages": members["storages"].replace(b"FloatStorage", b"ListStorage")})
    shape = members["tensors"].replace(struct.pack("<2q", 4, 6), struct.pack("<2q", 5, 6))
    assert "would need bytes" in refusal(members | {"tensors": shape})
    bad_view = members["storages"].removesuffix(pickle.dumps([], 2)) + pickle.dumps([(5, 6, 7, 8)], 2)
    assert "does not hold" in refusal(members | {"storages": bad_view})


def test_a_file_that_breaks_off_or_is_damaged_opens_or_is_refused() -> None:
    members = Old({"weight": WHOLE, "count": torch.tensor([7])}).members
    data = tar(members)
    cases = [data[:size] for size in range(0, len(data), 50)]
    for name, content in members.items():
        cases += [tar(members | {name: content[:at]}) for at in range(0, len(content), 50)]
        for at in range(len(content)):
            cases.append(tar(members | {name: content[:at] + bytes([content[at] ^ 0x11]) + content[at + 1 :]}))
    for case in cases:
        try:
            file = opened(case)
            if isinstance(file.root, dict):
                found = state_dict(file)
                for key in found:
                    found.tensor(key)
        except CheckpointExplorerError as error:
            assert "\n" not in str(error)
