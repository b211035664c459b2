"""What torch's own constructors would build, described: storages, tensors, and the containers around them.

Source: `torch/_utils.py` (the `_rebuild_*` functions and the order of their arguments) and `torch/serialization.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ckpt_explorer.reading.pickles.described import Call, Constructor, Global, InertDict

STORAGE_DTYPES: dict[str, str] = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "UntypedStorage": "uint8",
}


class StorageClaim(NamedTuple):
    """What the pickle says of a storage: its record, its dtype, how many elements, and where a view of it begins."""

    key: str
    dtype: str
    elements: int
    view_offset: int = 0


class TensorClaim(NamedTuple):
    """What the pickle says of a tensor; nothing of it has been checked yet."""

    storage: StorageClaim
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str


def storage_claim(identity: Any) -> StorageClaim | Call:
    """The storage behind torch's persistent id `("storage", class, key, location, elements[, view])`.

    `view`, in legacy files of torch before 0.4, is `(key, offset, size)` of a part of the storage. An id of another
    form stays an inert Call.
    """
    if type(identity) is tuple and 5 <= len(identity) <= 6:
        kind, storage_class, key, _, elements = identity[:5]
        view = identity[5] if len(identity) == 6 else None
        dtype = storage_dtype(storage_class)
        offset = view[1] if isinstance(view, tuple) and len(view) == 3 else 0
        if kind == "storage" and dtype and type(key) is str and type(elements) is int and type(offset) is int:
            return StorageClaim(key, dtype, elements, offset)
    return Call(Global("", "persistent id"), (identity,))


def storage_dtype(storage_class: Any) -> str | None:
    if isinstance(storage_class, Global) and storage_class.module in ("torch", "torch.cuda", "torch.storage"):
        return STORAGE_DTYPES.get(storage_class.name)
    return None


def _whole_numbers(values: Any) -> bool:
    return type(values) is tuple and all(type(value) is int for value in values)


def _tensor(arguments: tuple[Any, ...]) -> Any:
    storage, offset, shape, stride = arguments[:4]
    if type(storage) is StorageClaim and type(offset) is int and _whole_numbers(shape) and _whole_numbers(stride):
        return TensorClaim(storage, offset, shape, stride, storage.dtype)
    return NotImplemented


def tensor_v2(arguments: tuple[Any, ...]) -> Any:
    return _tensor(arguments) if len(arguments) >= 4 else NotImplemented


def _tensor_v3(arguments: tuple[Any, ...]) -> Any:
    if len(arguments) < 7 or not isinstance(arguments[6], Global) or arguments[6].module != "torch":
        return NotImplemented
    claim = _tensor(arguments)
    return claim._replace(dtype=arguments[6].name) if type(claim) is TensorClaim else NotImplemented


def _first_if_tensor(arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if arguments and type(arguments[0]) is TensorClaim else NotImplemented


def _subclass(arguments: tuple[Any, ...]) -> Any:
    """`_rebuild_from_type_v2(function, type, arguments, state)`: the tensor below a subclass."""
    if len(arguments) < 3 or not isinstance(arguments[0], Global) or type(arguments[2]) is not tuple:
        return NotImplemented
    constructor = arguments[0].constructor
    return constructor(arguments[2]) if constructor and constructor is not _subclass else NotImplemented


def _size(arguments: tuple[Any, ...]) -> Any:
    if len(arguments) == 1 and isinstance(arguments[0], list | tuple):
        return tuple(arguments[0])
    return NotImplemented


def _mapping(arguments: tuple[Any, ...]) -> Any:
    """A dict, an OrderedDict or a defaultdict, empty or made from a list of pairs (as Python 2 pickled them)."""
    made = InertDict()
    pairs = arguments[0] if arguments and isinstance(arguments[0], list | tuple) else []
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str | int):
            return NotImplemented
        made[pair[0]] = pair[1]
    if arguments and isinstance(arguments[0], dict):
        made.update(arguments[0])
    return made


def _encode(arguments: tuple[Any, ...]) -> Any:
    """`_codecs.encode(text, "latin1")`: how protocol 2 writes bytes."""
    if len(arguments) == 2 and isinstance(arguments[0], str) and arguments[1] in ("latin1", "latin-1"):
        try:
            return arguments[0].encode("latin-1")
        except UnicodeEncodeError:
            return NotImplemented
    return NotImplemented


def _no_bytes(arguments: tuple[Any, ...]) -> Any:
    """`bytes()`: how protocol 2 writes an empty byte string."""
    return NotImplemented if arguments else b""


CONSTRUCTORS: dict[str, Constructor] = {
    "torch._utils._rebuild_tensor": tensor_v2,
    "torch._utils._rebuild_tensor_v2": tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_qtensor": tensor_v2,
    "torch._utils._rebuild_parameter": _first_if_tensor,
    "torch._utils._rebuild_parameter_with_state": _first_if_tensor,
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch._tensor._rebuild_from_type": _subclass,
    "torch.Size": _size,
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": lambda arguments: _mapping(arguments[1:]),
    "collections.Counter": _mapping,
    "builtins.dict": _mapping,
    "__builtin__.dict": _mapping,
    "_codecs.encode": _encode,
    "builtins.bytes": _no_bytes,
    "__builtin__.bytes": _no_bytes,
}


def module_state(node: Any) -> dict[str, Any] | None:
    """The attributes of a pickled `nn.Module`, recognised by `_parameters`, `_buffers` and `_modules`; else None."""
    if isinstance(node, Call) and isinstance(node.state, dict):
        state = node.state
        if all(isinstance(state.get(part), dict) for part in ("_parameters", "_buffers", "_modules")):
            return state
    return None
