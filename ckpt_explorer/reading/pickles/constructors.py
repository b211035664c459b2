"""The table of what torch's and Python's own constructors would build, and the small rows of it: containers, old tensors.

Source: `torch/_weights_only_unpickler.py` (the names that torch itself trusts, and how it set up tensors of old files).
"""

from __future__ import annotations

from typing import Any

from ckpt_explorer.reading.pickles.described import Call, Constructor, InertDict, as_dict_key
from ckpt_explorer.reading.pickles.torch_objects import (
    STORAGE_DTYPES,
    TENSOR_CLAIMS,
    StorageClaim,
    first_if_tensor,
    jagged,
    layout,
    meta,
    moved,
    nested,
    quantised,
    sparse,
    strided,
    subclass,
    tensor_v2,
    tensor_v3,
)


def _whole_storage(arguments: tuple[Any, ...]) -> Any:
    """`torch.FloatTensor(storage)` or `(tensor)`, as the first versions pickled tensors."""
    if len(arguments) == 1 and type(arguments[0]) is StorageClaim:
        return strided((arguments[0], 0, (arguments[0].elements,), (1,)))
    return first_if_tensor(arguments) if len(arguments) == 1 else NotImplemented


def _coordinates(arguments: tuple[Any, ...]) -> Any:
    """`torch.sparse.FloatTensor(indices, values, size)`."""
    return sparse(("sparse_coo", arguments)) if len(arguments) == 3 else NotImplemented


def _tensor_classes(module: str, constructor: Constructor) -> dict[str, Constructor]:
    names = (name for name, dtype in STORAGE_DTYPES.items() if not dtype.startswith("q") and name != "UntypedStorage")
    return {f"{module}.{name.removesuffix('Storage')}Tensor": constructor for name in names}


OLD_CLASSES: dict[str, Constructor] = {
    "torch.Tensor": _whole_storage,
    **_tensor_classes("torch", _whole_storage),
    **_tensor_classes("torch.cuda", _whole_storage),
}


def set_afterwards(node: Call) -> Any:
    """The tensor that `node` is once its attributes are set; else `node`.

    Of a tensor, those are its storage, offset, size and stride; of a parameter, its data and four more.
    """
    if node.args == () and type(node.state) is tuple:
        if node.name in OLD_CLASSES and len(node.state) == 4:
            made = strided(node.state)
            return node if made is NotImplemented else made
        if node.name == "torch.nn.parameter.Parameter" and len(node.state) == 5:
            return node.state[0] if type(node.state[0]) in TENSOR_CLAIMS else node
    return node


def _size(arguments: tuple[Any, ...]) -> Any:
    if len(arguments) == 1 and isinstance(arguments[0], list | tuple):
        return tuple(arguments[0])
    return NotImplemented


def _mapping(arguments: tuple[Any, ...]) -> Any:
    """A dict, an OrderedDict or a defaultdict, empty or made from a list of pairs (as Python 2 pickled them)."""
    made = InertDict()
    pairs = arguments[0] if arguments and isinstance(arguments[0], list | tuple) else []
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return NotImplemented
        made[as_dict_key(pair[0])] = pair[1]
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
    **OLD_CLASSES,
    **_tensor_classes("torch.sparse", _coordinates),
    **_tensor_classes("torch.cuda.sparse", _coordinates),
    "torch._utils._rebuild_tensor": tensor_v2,
    "torch._utils._rebuild_tensor_v2": tensor_v2,
    "torch._utils._rebuild_tensor_v3": tensor_v3,
    "torch._utils._rebuild_qtensor": quantised,
    "torch._utils._rebuild_sparse_tensor": sparse,
    "torch._utils._rebuild_nested_tensor": nested,
    "torch.nested._internal.nested_tensor._rebuild_njt": jagged,
    "torch._utils._rebuild_meta_tensor_no_storage": meta,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": moved,
    "torch.serialization._get_layout": layout,
    "torch._utils._rebuild_parameter": first_if_tensor,
    "torch._utils._rebuild_parameter_with_state": first_if_tensor,
    "torch.nn.parameter.Parameter": first_if_tensor,  # as torch before 0.4 pickled them
    "torch.autograd.variable.Variable": first_if_tensor,
    "torch._tensor._rebuild_from_type_v2": subclass,
    "torch._tensor._rebuild_from_type": subclass,
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
