"""pickle.dump of NumPy arrays or of tensors, with no torch.save around it: Detectron2, Caffe2 and VGGFace2 ship such files.

An array is a call to NumPy's `_reconstruct` whose state holds dtype, shape and bytes; a tensor's storage is a call to
torch's `_load_from_bytes` with a whole legacy file as a byte string. Both become claims on bytes inside this file.

Source: `numpy/core/src/multiarray/methods.c` (`array_reduce`, `array_setstate`), `numpy/core/numeric.py` (`_frombuffer`),
`torch/storage.py` (`_load_from_bytes`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ckpt_explorer.checkpoint import Storage
from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.reading.formats.torch_legacy import read_torch_legacy
from ckpt_explorer.reading.pickles.claims import MAX_DIMENSIONS
from ckpt_explorer.reading.pickles.described import Call, Global
from ckpt_explorer.reading.pickles.pickled import PickledFile, walk
from ckpt_explorer.reading.pickles.torch_objects import CONSTRUCTORS, StorageClaim, TensorClaim
from ckpt_explorer.reading.sources.source import Source

MAX_VISITS = 200_000
LOAD_FROM_BYTES = "torch.storage._load_from_bytes"

_DTYPES = {
    "f2": "float16", "f4": "float32", "f8": "float64", "c8": "complex64", "c16": "complex128", "b1": "bool",
    "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64",
}  # fmt: skip
_SAVED_DTYPE = re.compile(r"[<>|=]?([a-z]\d{1,2})")


def read_plain_pickle(source: Source) -> PickledFile:
    """Describe a plain pickle; its arrays and tensors are views of the file where it holds their bytes as they are.

    Raises:
        CorruptCheckpoint: cut short, or not a pickle that can be described.
    """
    found = _Arrays(source)
    walked = walk(source, source.data, constructors={**CONSTRUCTORS, LOAD_FROM_BYTES: found.nested})
    root = found.replaced(walked.root)
    return PickledFile(root, {**walked.globals, **found.globals}, found.storages, "pickle.dump")


class _Arrays:
    """The arrays and nested storages of one pickle, replaced by claims, and where their bytes are."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.globals: dict[str, Global] = {}
        self.places: dict[str, Storage] = {}

    def storages(self, claims: Sequence[StorageClaim]) -> list[Storage]:
        return [self.places[claim.key] for claim in claims]

    def replaced(self, root: Any) -> Any:
        """`root`, in whose mappings and lists every array is now a claim."""
        top = [root]
        waiting: list[Any] = [top]
        seen: set[int] = set()
        while waiting and len(seen) < MAX_VISITS:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
                if isinstance(value, Call):
                    claim = self._array(value)
                    if claim is not None:
                        node[key] = claim
                    elif isinstance(value.state, dict):
                        waiting.append(value.state)
                elif isinstance(value, dict | list):
                    waiting.append(value)
        return top[0]

    def _array(self, node: Call) -> TensorClaim | None:
        if node.name in ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"):
            if not isinstance(node.state, tuple) or len(node.state) != 5:
                return None
            _, shape, dtype, fortran, data = node.state
        elif node.name in ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"):
            if not isinstance(node.args, tuple) or len(node.args) != 4:
                return None
            data, dtype, shape, order = node.args
            fortran = order == "F"
        else:
            return None
        name, big_endian = _dtype(dtype)
        if name is None or type(shape) is not tuple or len(shape) > MAX_DIMENSIONS:
            return None
        if not all(type(side) is int and side >= 0 for side in shape):
            return None
        if isinstance(data, str):
            data = data.encode("latin-1", "replace")
        if not isinstance(data, bytes | memoryview):
            return None
        return self._claim(memoryview(data), name, shape, _strides(shape, bool(fortran)), big_endian)

    def _claim(
        self, data: memoryview, dtype: str, shape: tuple[int, ...], stride: tuple[int, ...], big_endian: bool
    ) -> TensorClaim:
        key = f"array {len(self.places)}"
        self.places[key] = Storage(key, len(data), lambda: data, big_endian)
        return TensorClaim(StorageClaim(key, dtype, len(data) // ITEM_BYTES[dtype]), 0, shape, stride, dtype)

    def nested(self, arguments: tuple[Any, ...]) -> Any:
        """The storage that `_load_from_bytes` would make: a legacy file in a byte string, with nothing else in it."""
        try:
            (data,) = arguments
            inner = read_torch_legacy(Source(self.source.name, memoryview(data)))
            (place,) = inner.find_storages([inner.root])
        except (CheckpointExplorerError, TypeError, ValueError, AttributeError):
            self.globals["torch.load"] = Global("torch", "load")  # what would be called on bytes that we can't describe
            return NotImplemented
        self.globals.update(inner.globals)
        key = f"storage {len(self.places)}"
        self.places[key] = place
        return inner.root._replace(key=key)


def _dtype(node: Any) -> tuple[str | None, bool]:
    """torch's name of a pickled NumPy dtype, and whether it is big-endian."""
    if not isinstance(node, Call) or node.name != "numpy.dtype" or not isinstance(node.args, tuple) or not node.args:
        return None, False
    saved = _SAVED_DTYPE.fullmatch(node.args[0]) if isinstance(node.args[0], str) else None
    order = node.state[1] if isinstance(node.state, tuple) and len(node.state) > 1 else "<"
    return (_DTYPES.get(saved[1]) if saved else None), order == ">"


def _strides(shape: tuple[int, ...], fortran: bool) -> tuple[int, ...]:
    """Steps in elements, rows last (C) or rows first (Fortran)."""
    steps, step = [], 1
    for side in shape if fortran else reversed(shape):
        steps.append(step)
        step *= max(side, 1)
    return tuple(steps if fortran else reversed(steps))
