"""NumPy's arrays and numbers in a pickle: arrays become claims on bytes of the file, numbers become numbers.

So do tensors of the first PyTorch, of which a pickle too says what they are only after it has made them.

An array is a call to NumPy's `_reconstruct` whose state holds dtype, shape and bytes (or `_frombuffer` of them). Files
of torch.save hold them too, beside the weights or in their place.

Source: `numpy/_core/src/multiarray/methods.c` (`array_reduce`, `array_setstate`), `numpy/_core/numeric.py`
(`_frombuffer`), `numpy/_core/src/multiarray/scalarapi.c` (`scalar`), `torch/_utils.py` (`_rebuild_device_tensor_from_numpy`).
"""

from __future__ import annotations

import re
import struct
from typing import Any

from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.reading.pickles.constructors import OLD_CLASSES, set_afterwards
from ckpt_explorer.reading.pickles.described import Call, Global
from ckpt_explorer.reading.pickles.torch_objects import MAX_DIMENSIONS, ComposedClaim, TensorClaim
from ckpt_explorer.reading.storages import MadeStorage

MAX_VISITS = 500_000

DTYPES = {
    "f2": "float16", "f4": "float32", "f8": "float64", "c8": "complex64", "c16": "complex128", "b1": "bool",
    "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64",
}  # fmt: skip
"""torch's names by NumPy's type codes."""

_SAVED_DTYPE = re.compile(r"[<>|=]?([a-zA-Z]\d{0,2})")
_STRUCT = {"f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q", "b1": "?"}  # fmt: skip

_MODULES = ("numpy.core", "numpy._core")
_RECONSTRUCT = frozenset(f"{module}.multiarray._reconstruct" for module in _MODULES)
_FROM_BUFFER = frozenset(f"{module}.numeric._frombuffer" for module in _MODULES)
_SCALAR = frozenset(f"{module}.multiarray.scalar" for module in _MODULES)
_FROM_NUMPY = frozenset({"torch._utils._rebuild_device_tensor_from_numpy", "torch._utils._rebuild_xla_tensor"})
_OLD = frozenset({*OLD_CLASSES, "torch.nn.parameter.Parameter"})
_OURS = _RECONSTRUCT | _FROM_BUFFER | _SCALAR | _FROM_NUMPY | _OLD


def with_arrays(root: Any, names: dict[str, Global]) -> Any:
    """`root`, in whose mappings, lists and objects every NumPy array is a claim and every NumPy number a number."""
    if not _OURS & names.keys():
        return root
    top = [root]
    waiting: list[Any] = [top]
    seen: set[int] = set()
    encoded: dict[int, bytes] = {}
    while waiting and len(seen) < MAX_VISITS:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
            found = _replaced(value, encoded) if isinstance(value, Call) else value
            if found is not value:
                node[key] = found
            if isinstance(found, dict | list):
                waiting.append(found)
            elif isinstance(found, tuple) and type(found) is tuple and any(isinstance(item, Call) for item in found):
                node[key] = inside = list(found)
                waiting.append(inside)
            elif isinstance(found, Call):
                waiting.extend(
                    part for part in (found.state, found.pairs, found.items) if isinstance(part, dict | list)
                )
    return top[0]


def _replaced(node: Call, encoded: dict[int, bytes]) -> Any:
    """What an array, a number, or a list of objects in NumPy's guise is to us; else the call itself.

    `encoded` are the bytes of texts that were met before: many arrays may be given the same one.
    """
    name = node.name
    if name in _RECONSTRUCT and type(node.state) is tuple and len(node.state) == 5:
        _, shape, dtype, fortran, data = node.state
        return _array(node, _as_bytes(data, encoded), dtype, shape, bool(fortran))
    if type(node.args) is not tuple:
        return node
    if name in _OLD:
        return set_afterwards(node)
    if name in _FROM_BUFFER and len(node.args) == 4:
        data, dtype, shape, order = node.args
        return _array(node, _as_bytes(data, encoded), dtype, shape, order == "F")
    if name in _SCALAR and len(node.args) == 2:
        return _number(node)
    if name in _FROM_NUMPY and len(node.args) >= 2 and isinstance(node.args[0], Call):
        claim, dtype = _replaced(node.args[0], encoded), node.args[1]
        if isinstance(claim, TensorClaim) and isinstance(dtype, Global) and dtype.name in ITEM_BYTES:
            same = claim.dtype == dtype.name
            return claim if same else ComposedClaim("cast", (claim,), claim.shape, dtype.name)
    return node


def _as_bytes(data: Any, encoded: dict[int, bytes]) -> Any:
    """Python 2's byte strings arrive as text where they are ASCII."""
    if not isinstance(data, str):
        return data
    if id(data) not in encoded:
        encoded[id(data)] = data.encode("latin-1", "replace")
    return encoded[id(data)]


def _array(node: Call, data: Any, dtype: Any, shape: Any, fortran: bool) -> Any:
    code, big_endian = saved_dtype(dtype)
    if code == "O" and isinstance(data, list):  # an array of Python objects: what is in them is what counts
        return data[0] if shape == () and len(data) == 1 else data
    if code not in DTYPES or not isinstance(data, bytes | memoryview):
        return node
    return array_claim(memoryview(data), code, shape, fortran, big_endian) or node


def array_claim(data: memoryview, code: str, shape: Any, fortran: bool, big_endian: bool) -> TensorClaim | None:
    """The tensor whose elements of NumPy's type `code` are `data`, rows last (C) or first (`fortran`).

    None where `shape` is none. That the bytes suffice for it is checked with all other claims.
    """
    if type(shape) is not tuple or len(shape) > MAX_DIMENSIONS:
        return None
    if not all(type(side) is int and side >= 0 for side in shape):
        return None
    dtype = DTYPES[code]
    storage = MadeStorage("array", len(data), lambda: data, big_endian)
    return TensorClaim(storage, 0, shape, strides(shape, fortran), dtype)


def saved_dtype(node: Any) -> tuple[str, bool]:
    """NumPy's type code of a pickled dtype (such as `f4`), empty where it is none, and whether it is big-endian."""
    if not isinstance(node, Call) or node.name != "numpy.dtype" or type(node.args) is not tuple or not node.args:
        return "", False
    saved = _SAVED_DTYPE.fullmatch(node.args[0]) if isinstance(node.args[0], str) else None
    order = node.state[1] if type(node.state) is tuple and len(node.state) > 1 else "<"
    return (saved[1].rstrip("0123456789") if saved[1][0] == "O" else saved[1]) if saved else "", order == ">"


def _number(node: Call) -> Any:
    dtype, data = node.args
    code, big_endian = saved_dtype(dtype)
    if isinstance(data, str):
        data = data.encode("latin-1", "replace")
    if code not in _STRUCT or not isinstance(data, bytes) or len(data) != struct.calcsize(_STRUCT[code]):
        return node
    return struct.unpack((">" if big_endian else "<") + _STRUCT[code], data)[0]


def strides(shape: tuple[int, ...], fortran: bool) -> tuple[int, ...]:
    """Steps in elements, rows last (C) or rows first (Fortran)."""
    steps, step = [], 1
    for side in shape if fortran else reversed(shape):
        steps.append(step)
        step *= max(side, 1)
    return tuple(steps if fortran else reversed(steps))
