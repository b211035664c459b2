"""`.pt2`: what torch.export.save writes, a program as JSON with its weights beside it. The program is not read.

Each weight is a record of plain bytes, and a table in JSON says which weight lies in which, with shape, strides and
type. Tensor subclasses and other objects are pickled; PyTorch's own reader runs those pickles, here they are described.
Until PyTorch 2.7 all weights were one file of torch.save's in a plain zip archive.

Source: `torch/export/pt2_archive/_package.py`, `constants.py`, `torch/_export/serde/schema.py` (`PayloadMeta`,
`TensorMeta`, `ScalarType`); `torch/export/__init__.py` (`save`) of PyTorch 2.1 to 2.7.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ckpt_explorer.checkpoint import Storage
from ckpt_explorer.errors import Diagnosis
from ckpt_explorer.reading.formats.inner_files import InnerFiles
from ckpt_explorer.reading.formats.torch_zip import MAX_PICKLE, says_big_endian
from ckpt_explorer.reading.pickles.described import Call, Global, InertDict
from ckpt_explorer.reading.pickles.grades import code_first
from ckpt_explorer.reading.pickles.pickled import PickledFile
from ckpt_explorer.reading.pickles.torch_objects import TENSOR_CLAIMS, TensorClaim
from ckpt_explorer.reading.refusals import damaged
from ckpt_explorer.reading.sources.records import Records
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory
from ckpt_explorer.reading.storages import whole_record
from ckpt_explorer.text import visible

MAX_TABLE = 64 << 20

_SCALAR_TYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16",
    29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu",
    34: "uint32", 35: "uint64",
}  # fmt: skip
"""torch's names of the types, by their number in `schema.ScalarType`."""

_WEIGHTS = re.compile(r"(.*?)data/weights/([^/]+)_weights_config\.json")
_CONSTANTS = "{}data/constants/{}_constants_config.json"
_OLD_WEIGHTS = "serialized_state_dict.pt"
_OTHER_PICKLES = re.compile(r"(.*/)?(data/sample_inputs/[^/]+\.pt|serialized_(constants|example_inputs)\.pt)")


def holds_exported(records: Records) -> bool:
    """Whether an archive is one of torch.export's with weights in it."""
    return _OLD_WEIGHTS in records.records or any(map(_WEIGHTS.fullmatch, records.records))


def read_exported(source: Source, directory: ZipDirectory) -> PickledFile:
    """Describe a `.pt2` archive: the weights of its program, or of each where it holds several; constants beside them.

    Raises:
        CorruptCheckpoint: a table in it is none, or a record contradicts it.
    """
    read = _Exported(source, directory)
    for name in directory.records:
        if _OTHER_PICKLES.fullmatch(name):
            read.pickled(name)
    with code_first(source.name, read.inner.globals):
        if _OLD_WEIGHTS in directory.records:
            root, constants = read.pickled(_OLD_WEIGHTS), InertDict()
        else:
            root, constants = read.programs()
    made = root if isinstance(root, dict) else InertDict()
    if constants and made:
        beside = made["(constants)"] = Call(Global("torch.export", "ExportedProgram"), ())
        beside.state = constants
    elif constants:
        made["constants"] = constants
    note = Diagnosis(
        "F17",
        f"{visible(source.name)} is a program that torch.export wrote: its weights were read, and the program in it was not",
        "convert writes them as a plain state dict; torch.export.load would run the pickles in it, so give it only files that you trust.",
    )
    return PickledFile(made, read.inner.globals, read.inner.storages, "torch.export.save", (note,), records=directory)


class _Exported:
    """The tables of an archive and the records that they name."""

    def __init__(self, source: Source, directory: ZipDirectory) -> None:
        self.source, self.directory = source, directory
        self.inner = InnerFiles(source)
        self._storages: dict[str, Storage] = {}

    def programs(self) -> tuple[InertDict, InertDict]:
        """The state dict of the one program, or of each by its name; and likewise the constants."""
        found = list(filter(None, map(_WEIGHTS.fullmatch, self.directory.records)))
        weights, constants = InertDict(), InertDict()
        for match in found:
            top, model = match.groups()
            weights[model] = self._table(match[0], f"{top}data/weights/", says_big_endian(self.directory, top))
            table = _CONSTANTS.format(top, model)
            if table in self.directory.records:
                constants[model] = self._table(table, f"{top}data/constants/", says_big_endian(self.directory, top))
        if len(found) == 1:
            return weights[found[0][2]], constants.get(found[0][2], InertDict())
        return weights, constants

    def pickled(self, name: str) -> Any:
        """The object in a record that torch would unpickle."""
        content = self.directory.read(self.directory.records[name], MAX_PICKLE)
        return self.inner.described(Source(f"{self.source.name}: {name}", content))

    def _table(self, name: str, folder: str, big_endian: bool) -> InertDict:
        raw = self.directory.read(self.directory.records[name], MAX_TABLE)
        try:
            table = json.loads(bytes(raw))
        except (ValueError, RecursionError):
            raise damaged(self.source, f"its table {visible(name)!r} is no JSON") from None
        rows = table.get("config") if isinstance(table, dict) else None
        if not isinstance(rows, dict):
            raise damaged(self.source, f"its table {visible(name)!r} lists no weights")
        return InertDict((key, self._payload(key, row, folder, big_endian)) for key, row in rows.items())

    def _payload(self, key: str, row: Any, folder: str, big_endian: bool) -> Any:
        path = row.get("path_name") if isinstance(row, dict) else None
        if not isinstance(path, str) or f"{folder}{path}" not in self.directory.records:
            raise damaged(self.source, f"it does not hold the record of {visible(key)!r}")
        record = self.directory.records[f"{folder}{path}"]
        if row.get("use_pickle") is not False:
            found = self.pickled(record.name)
            return found if type(found) in TENSOR_CLAIMS else [found]
        meta = row.get("tensor_meta")
        meta = meta if isinstance(meta, dict) else {}
        shape, stride = self._numbers(key, meta.get("sizes")), self._numbers(key, meta.get("strides"))
        (offset,) = self._numbers(key, [meta.get("storage_offset")])
        number = meta.get("dtype")
        dtype = _SCALAR_TYPES.get(number) if type(number) is int else None
        if dtype is None:
            raise damaged(self.source, f"{visible(key)!r} has elements of a type that PyTorch does not have")
        storage = self._storages.setdefault(record.name, whole_record(self.directory, record.name, big_endian))
        return TensorClaim(storage, offset, shape, stride, dtype)

    def _numbers(self, key: str, values: Any) -> tuple[int, ...]:
        """A list of `{"as_int": 3}`: a side may be a symbol in the schema, but the file of a tensor has numbers."""
        rows = values if isinstance(values, list) else [None]
        found = [row.get("as_int") if isinstance(row, dict) else None for row in rows]
        numbers = tuple(number for number in found if type(number) is int)
        if len(numbers) < len(found):
            raise damaged(self.source, f"the shape of {visible(key)!r} is none")
        return numbers
