"""What torch's own constructors would build, described: storages, tensors, and the containers around them.

Source: `torch/_utils.py` (the `_rebuild_*` functions and the order of their arguments) and `torch/serialization.py`.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import Any, NamedTuple

from ckpt_explorer.checkpoint import Storage, TensorInfo
from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.reading.pickles.described import Call, Global
from ckpt_explorer.reading.storages import MadeStorage

MAX_DIMENSIONS = 64

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
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
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

    storage: StorageClaim | Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str


class ComposedClaim(NamedTuple):
    """What the pickle says of a tensor that is made of others; `kind` and `detail` are those of `Composed`."""

    kind: str
    parts: tuple[TensorClaim, ...]
    shape: tuple[int, ...]
    dtype: str
    detail: Any = None


AnyTensorClaim = TensorClaim | ComposedClaim | TensorInfo
TENSOR_CLAIMS = (TensorClaim, ComposedClaim, TensorInfo)
"""What stands for a tensor among the objects of a file: a claim, and once it was looked at, the fact in its place."""


def as_claim(found: Any) -> Any:
    """The claim that a tensor's fact was, and anything else as it is: what is made of tensors is made of claims."""
    if type(found) is TensorInfo and found.composed is None:
        return TensorClaim(found.storage, found.offset, found.shape, found.stride, found.dtype)
    return found


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


class Storages:
    """`storage_claim`, and the devices that the storages are said to be of.

    A run of tensors that is taken in one step names its device by a text that was mentioned before, so each device is
    seen here once at least.
    """

    def __init__(self) -> None:
        self.devices: dict[str, None] = {}

    def __call__(self, identity: Any) -> StorageClaim | Call:
        claim = storage_claim(identity)
        if type(claim) is StorageClaim and type(identity[3]) is str and len(self.devices) < MAX_DEVICES:
            self.devices[identity[3][:MAX_DEVICE_NAME]] = None
        return claim


MAX_DEVICES, MAX_DEVICE_NAME = 64, 40


def storage_dtype(storage_class: Any) -> str | None:
    if isinstance(storage_class, Global) and storage_class.module in ("torch", "torch.cuda", "torch.storage"):
        return STORAGE_DTYPES.get(storage_class.name)
    return None


def _whole_numbers(values: Any) -> bool:
    return type(values) is tuple and all(type(value) is int for value in values)


def _sides(values: Any) -> Any:
    """A shape or strides as a tuple: torch takes a list of few numbers as well."""
    return tuple(values) if type(values) is list and len(values) <= MAX_DIMENSIONS else values


def strided(arguments: tuple[Any, ...]) -> Any:
    storage, offset, shape, stride = arguments[0], arguments[1], _sides(arguments[2]), _sides(arguments[3])
    if type(storage) is StorageClaim and type(offset) is int and _whole_numbers(shape) and _whole_numbers(stride):
        return TensorClaim(storage, offset, shape, stride, storage.dtype)
    return NotImplemented


def tensor_v2(arguments: tuple[Any, ...]) -> Any:
    if len(arguments) == 7 and arguments[6]:
        return _with_bits(strided(arguments), arguments[6])
    return strided(arguments) if len(arguments) >= 4 else NotImplemented


def tensor_v3(arguments: tuple[Any, ...]) -> Any:
    if len(arguments) < 7 or not _is_torch_dtype(arguments[6]):
        return NotImplemented
    claim = strided(arguments)
    if type(claim) is not TensorClaim:
        return NotImplemented
    typed = claim._replace(dtype=arguments[6].name)
    return _with_bits(typed, arguments[7]) if len(arguments) > 7 and arguments[7] else typed


def _with_bits(claim: Any, metadata: Any) -> Any:
    """A tensor that is read conjugated or negated (`torch._utils.set_tensor_metadata`, which looks at the names alone)."""
    if type(claim) is not TensorClaim or not isinstance(metadata, dict):
        return NotImplemented
    bits = tuple(name for name in ("conj", "neg") if name in metadata)
    return ComposedClaim("bits", (claim,), claim.shape, claim.dtype, bits) if bits else claim


def _is_torch_dtype(name: Any) -> bool:
    return isinstance(name, Global) and name.module == "torch" and name.name in ITEM_BYTES


def first_if_tensor(arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if arguments and type(arguments[0]) in TENSOR_CLAIMS else NotImplemented


def sparse(arguments: tuple[Any, ...]) -> Any:
    """`_rebuild_sparse_tensor(layout, (indices, values, size[, is_coalesced]))`, or with two kinds of indices."""
    if len(arguments) != 2 or not isinstance(arguments[0], str) or type(arguments[1]) is not tuple:
        return NotImplemented
    layout, data = arguments
    count = {"sparse_coo": 2, "sparse_csr": 3, "sparse_csc": 3, "sparse_bsr": 3, "sparse_bsc": 3}.get(layout)
    if count is None or len(data) not in (count + 1, count + 1 + (layout == "sparse_coo")):
        return NotImplemented
    parts, shape = data[:count], _sides(data[count])
    if any(type(part) is not TensorClaim for part in parts) or not _whole_numbers(shape):
        return NotImplemented
    coalesced = data[3] if layout == "sparse_coo" and len(data) == 4 and isinstance(data[3], bool) else None
    return ComposedClaim(layout, parts, shape, parts[-1].dtype, coalesced)


def layout(arguments: tuple[Any, ...]) -> Any:
    """`torch.serialization._get_layout("torch.sparse_coo")`: the layout's own name."""
    if len(arguments) == 1 and isinstance(arguments[0], str) and arguments[0].startswith("torch."):
        return arguments[0].removeprefix("torch.")
    return NotImplemented


def nested(arguments: tuple[Any, ...]) -> Any:
    """`_rebuild_nested_tensor(buffer, sizes, strides, offsets)`: a batch of tensors of different sizes."""
    if len(arguments) != 4 or any(type(part) is not TensorClaim for part in arguments):
        return NotImplemented
    buffer, sizes = arguments[:2]
    dimensions = sizes.shape[1] if len(sizes.shape) == 2 and 0 <= sizes.shape[1] <= MAX_DIMENSIONS else 0
    return ComposedClaim("nested", arguments, (sizes.shape[0] if sizes.shape else 0, *[0] * dimensions), buffer.dtype)


def jagged(arguments: tuple[Any, ...]) -> Any:
    """`_rebuild_njt({"values": ..., "offsets": ..., "lengths": ..., "_ragged_idx": ...})`: the newer nested layout."""
    state = arguments[0] if len(arguments) == 1 else None
    if not isinstance(state, dict) or state.get("_ragged_idx", 1) != 1:
        return NotImplemented
    parts = tuple(as_claim(state[name]) for name in ("values", "offsets", "lengths") if state.get(name) is not None)
    if len(parts) < 2 or any(type(part) is not TensorClaim for part in parts):
        return NotImplemented
    values, offsets = parts[:2]
    if len(offsets.shape) != 1 or not values.shape:
        return NotImplemented
    return ComposedClaim("jagged", parts, (max(offsets.shape[0] - 1, 0), 0, *values.shape[1:]), values.dtype)


def quantised(arguments: tuple[Any, ...]) -> Any:
    """`_rebuild_qtensor(storage, offset, size, stride, (scheme, scale, zero point[, axis]), ...)`."""
    claim = strided(arguments) if len(arguments) >= 5 else NotImplemented
    if type(claim) is not TensorClaim or type(arguments[4]) is not tuple or not arguments[4]:
        return NotImplemented
    scheme, *values = arguments[4]
    name = scheme.name if isinstance(scheme, Global) and scheme.module == "torch" else ""
    if name == "per_tensor_affine" and len(values) == 2 and all(type(value) in (int, float) for value in values):
        return ComposedClaim("per_tensor_affine", (claim,), claim.shape, claim.dtype, (float(values[0]), values[1]))
    if name.startswith("per_channel_affine") and len(values) == 3 and type(values[2]) is int:
        of_floats = name.endswith("float_qparams")
        scales = _numbers(values[0], "float32" if of_floats else "float64")
        zero_points = _numbers(values[1], "float32" if of_floats else "int64")
        tensors = type(scales) is type(zero_points) is TensorClaim
        if tensors and 0 <= values[2] < len(claim.shape):
            return ComposedClaim(
                "per_channel_affine", (claim, scales, zero_points), claim.shape, claim.dtype, values[2]
            )
    return claim


def _numbers(values: Any, dtype: str) -> Any:
    """The tensor of a list of numbers, as PyTorch 1.3 pickled scales. They are looked at when it is asked for."""
    if type(values) is not list:
        return values
    size = len(values) * ITEM_BYTES[dtype]
    storage = MadeStorage("list", size, partial(_packed, values, len(values), dtype))
    return TensorClaim(storage, 0, (len(values),), (1,), dtype)


def _packed(values: list[Any], count: int, dtype: str) -> memoryview:
    try:
        return memoryview(struct.pack(f"<{count}{_PACKED_AS[dtype]}", *values))
    except (struct.error, OverflowError):
        raise ValueError(f"a list that should have {count:,} numbers has others") from None


_PACKED_AS = {"float32": "f", "float64": "d", "int64": "q"}


def meta(arguments: tuple[Any, ...]) -> Any:
    """`_rebuild_meta_tensor_no_storage(dtype, size, stride, requires_grad)`: a shape that never had values."""
    if len(arguments) < 3 or not _is_torch_dtype(arguments[0]):
        return NotImplemented
    if not _whole_numbers(arguments[1]) or not _whole_numbers(arguments[2]):
        return NotImplemented
    return ComposedClaim("meta", (), arguments[1], arguments[0].name, arguments[2])


def moved(arguments: tuple[Any, ...]) -> Any:
    """`_rebuild_device_tensor_from_cpu_tensor(data, dtype, device, requires_grad)`: written for a device without storages."""
    if len(arguments) != 4 or type(arguments[0]) not in TENSOR_CLAIMS or not _is_torch_dtype(arguments[1]):
        return NotImplemented
    if arguments[1].name == arguments[0].dtype:
        return arguments[0]
    if type(arguments[0]) is not TensorClaim:
        return NotImplemented
    return ComposedClaim("cast", (arguments[0],), arguments[0].shape, arguments[1].name)


def subclass(arguments: tuple[Any, ...]) -> Any:
    """`_rebuild_from_type_v2(function, type, arguments, state)`: the tensor below a subclass."""
    if len(arguments) < 3 or not isinstance(arguments[0], Global) or type(arguments[2]) is not tuple:
        return NotImplemented
    if str(arguments[1]) == "torch.distributed.tensor.DTensor" and len(arguments) == 4:
        return _distributed(arguments[2], arguments[3])
    constructor = arguments[0].constructor
    if constructor is None or constructor is subclass:
        return NotImplemented
    made = constructor(arguments[2])
    return made if type(made) in TENSOR_CLAIMS else NotImplemented


def _distributed(arguments: tuple[Any, ...], state: Any) -> Any:
    """A DTensor that this process held as a whole: its local tensor, if that has its shape and is no summand of it.

    `arguments` are `(class, dtype, size, ...)`; `_local_tensor` is an attribute, and `_spec` says how it was placed.
    """
    named = state[1] if type(state) is tuple and len(state) == 2 else state
    if not isinstance(named, dict):
        return NotImplemented
    local, spec = as_claim(named.get("_local_tensor")), named.get("_spec")
    placements = spec.state.get("placements") if isinstance(spec, Call) and isinstance(spec.state, dict) else None
    if type(local) not in TENSOR_CLAIMS or len(arguments) < 3 or type(placements) is not tuple:
        return NotImplemented
    if len(placements) > MAX_DIMENSIONS:
        return NotImplemented
    known = all(isinstance(place, Call) and place.name.endswith((".Shard", ".Replicate")) for place in placements)
    return local if known and _sides(arguments[2]) == local.shape else NotImplemented


def module_state(node: Any) -> dict[str, Any] | None:
    """The attributes of a pickled `nn.Module`, recognised by `_parameters`, `_buffers` and `_modules`; else None."""
    if isinstance(node, Call) and isinstance(node.state, dict):
        state = node.state
        if all(isinstance(state.get(part), dict) for part in ("_parameters", "_buffers", "_modules")):
            return state
    return None
