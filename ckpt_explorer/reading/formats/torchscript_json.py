"""TorchScript as PyTorch 1.0 to 1.2 wrote it: modules and tensors in a `model.json`, storages as `tensors/N`.

Each module lists its parameters, and which of them are buffers, by their place in one table of tensors; other attributes
stand in `attributes.pkl`. The code beside them is not read. (PyTorch 2 refuses these files.)

Source: `torch/csrc/jit/serialization/import_legacy.cpp`, `caffe2/proto/torch.proto`, `caffe2/proto/caffe2.proto`
(`TensorProto.DataType`), all as of PyTorch 1.5; JSON as protobuf writes it: numbers of 64 bits are texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ckpt_explorer.checkpoint import Storage
from ckpt_explorer.reading.formats.inner_files import InnerFiles
from ckpt_explorer.reading.formats.torchscript import MAX_DEPTH, MAX_KEY, MAX_MODULES, torchscript_note
from ckpt_explorer.reading.pickles.described import Call, Global, InertDict
from ckpt_explorer.reading.pickles.pickled import PickledFile
from ckpt_explorer.reading.pickles.torch_objects import TensorClaim
from ckpt_explorer.reading.refusals import damaged
from ckpt_explorer.reading.sources.records import Records
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory
from ckpt_explorer.reading.storages import whole_record
from ckpt_explorer.text import visible

MAX_JSON = 64 << 20
MAX_ATTRIBUTES = 64 << 20

_DATA_TYPES = {
    "FLOAT": "float32", "INT32": "int32", "BYTE": "uint8", "BOOL": "bool", "UINT8": "uint8", "INT8": "int8",
    "INT16": "int16", "INT64": "int64", "FLOAT16": "float16", "DOUBLE": "float64",
}  # fmt: skip
"""torch's names of the types, by their names in `TensorProto.DataType`."""


def torchscript_json_top(records: Records) -> str | None:
    """What the records of such an archive begin with; None for any other."""
    tops = [name.removesuffix("model.json") for name in records.records if name.endswith("/model.json")]
    return next((top for top in tops if f"{top}version" in records.records), None)


def read_torchscript_json(source: Source, records: ZipDirectory, top: str) -> PickledFile:
    """Describe the archive whose records begin with `top`: keys and order are those of its `state_dict()`.

    Raises:
        CorruptCheckpoint: its `model.json` is none, or a record contradicts it.
    """
    try:
        model = json.loads(bytes(records.read(records.records[f"{top}model.json"], MAX_JSON)))
    except (ValueError, RecursionError):
        raise damaged(source, "its model.json is no JSON") from None
    if not isinstance(model, dict) or not isinstance(model.get("mainModule"), dict):
        raise damaged(source, "its model.json describes no module")
    read = _Json(source, records, top)
    tensors = [read.tensor(row) for row in _rows(model, "tensors")]
    made, inner = InertDict(), InnerFiles(source)
    attributes: Any = ()
    if f"{top}attributes.pkl" in records.records:
        content = records.read(records.records[f"{top}attributes.pkl"], MAX_ATTRIBUTES)
        attributes = inner.described(Source(f"{source.name}: attributes.pkl", content))
    beside: dict[str, Any] = {}
    for prefix, module in read.modules(model["mainModule"]):
        named = [
            (row.get("name"), row.get("isBuffer") is True, row.get("tensorId")) for row in _rows(module, "parameters")
        ]
        for name, _, number in sorted(named, key=lambda row: row[1]):  # parameters, then buffers
            made[f"{prefix}{visible(str(name))}"] = _at(source, tensors, number or 0)
        for row in _rows(module, "attributes"):
            key = f"{prefix}{visible(str(row.get('name')))}"
            if key not in made and isinstance(attributes, list | tuple) and _number(row.get("id")) != -1:
                beside[key] = _at(source, attributes, row.get("id") or 0)
    if beside:
        others = made["(attributes)"] = Call(Global("torch.jit", "ScriptModule"), ())
        others.state = beside
    writer = "torch.jit.save of PyTorch 1.0 to 1.2"
    return PickledFile(made, inner.globals, inner.storages, writer, (torchscript_note(source),), records=records)


class _Json:
    """The parts of one `model.json`."""

    def __init__(self, source: Source, records: Records, top: str) -> None:
        self.source, self.records, self.top = source, records, top
        self._storages: dict[str, Storage] = {}

    def tensor(self, row: dict[str, Any]) -> TensorClaim:
        """The claim of a tensor of the table."""
        data = row.get("data")
        key = data.get("key") if isinstance(data, dict) else None
        record = self.records.records.get(f"{self.top}{key}")
        dtype = row.get("dataType")
        shape, stride = (tuple(map(_number, row.get(field) or ())) for field in ("dims", "strides"))
        offset = _number(row.get("offset") or 0)
        if record is None or dtype not in _DATA_TYPES or min((offset, *shape, *stride)) < 0:
            raise damaged(self.source, f"a tensor of its table (record {visible(str(key))!r}) is none")
        storage = self._storages.setdefault(record.name, whole_record(self.records, record.name))
        return TensorClaim(storage, offset, shape, stride, _DATA_TYPES[dtype])

    def modules(self, main: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The modules in the order of `state_dict()`, each with what its keys begin with."""
        waiting, visits = [("", 0, main)], 0
        while waiting:
            prefix, depth, module = waiting.pop()
            visits += 1
            if depth > MAX_DEPTH or len(prefix) > MAX_KEY or visits > MAX_MODULES:
                raise damaged(self.source, "its modules are nested beyond all reason")
            yield prefix, module
            below = [
                (f"{prefix}{visible(str(row.get('name')))}.", depth + 1, row) for row in _rows(module, "submodules")
            ]
            waiting.extend(reversed(below))


def _rows(node: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = node.get(name)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _number(value: Any) -> int:
    """A number of protobuf's JSON, which writes those of 64 bits as text; -1 for what is none."""
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdigit():
        return int(value)
    return value if type(value) is int else -1


def _at(source: Source, table: Any, value: Any) -> Any:
    number = _number(value)
    if not 0 <= number < len(table):
        raise damaged(source, "a module in it names a tensor or a value that is in no table")
    return table[number]
