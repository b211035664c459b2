"""How far would each import that a file names go? A tensor's parts, harmless data, somebody's class, or harm."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from ckpt_explorer.checkpoint import GlobalKind, GlobalName
from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.errors import CorruptCheckpoint, Diagnosis
from ckpt_explorer.reading.pickles.constructors import CONSTRUCTORS
from ckpt_explorer.reading.pickles.torch_objects import STORAGE_DTYPES
from ckpt_explorer.text import listed, visible

_DATA: dict[str, str] = {
    "collections": "OrderedDict defaultdict Counter deque",
    "_codecs": "encode",
    "argparse": "Namespace",
    "types": "SimpleNamespace",
    "datetime": "datetime date timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "uuid": "UUID",
    "pathlib": "PosixPath WindowsPath PurePosixPath PureWindowsPath Path",
    "pathlib._local": "PosixPath WindowsPath PurePosixPath PureWindowsPath Path",
    "copy_reg": "_reconstructor",
    "copyreg": "_reconstructor __newobj__",
    "numpy": "dtype ndarray",
    "numpy.core.multiarray": "scalar _reconstruct",
    "numpy._core.multiarray": "scalar _reconstruct",
    "numpy.core.numeric": "_frombuffer",
    "numpy._core.numeric": "_frombuffer",
    "numpy.random._pickle": "__randomstate_ctor __generator_ctor __bit_generator_ctor",
    "torch": "device Generator",
    "torch.distributed.checkpoint.metadata": "Metadata MetadataIndex StorageMeta TensorStorageMetadata BytesStorageMetadata ChunkStorageMetadata TensorProperties _MEM_FORMAT_ENCODING",
    "torch.distributed.checkpoint.filesystem": "_StorageInfo _StoragePrefix",
    "torch.distributed._shard.sharded_tensor.metadata": "TensorProperties MEM_FORMAT_ENCODING",
    "torch.jit._pickle": "build_intlist build_doublelist build_boollist build_tensorlist build_tensor_from_id restore_type_tag",
    "torch.serialization": "_get_layout",
    "torch.torch_version": "TorchVersion",
    "builtins": "dict list tuple set frozenset int float str bytes bytearray bool complex object slice range Ellipsis NotImplemented",
    "__builtin__": "dict list tuple set frozenset int float str unicode long bytearray bool complex object slice xrange Ellipsis NotImplemented",
}
"""Names, by module, whose result is a plain value."""

_TORCH_NAMES = (
    *ITEM_BYTES,
    *["half", "double", "float", "int", "long", "short", "bool", "cfloat", "cdouble", "chalf"],
    *["per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric"],
    *[
        "per_channel_affine_float_qparams",
        "strided",
        "jagged",
        "sparse_coo",
        "sparse_csr",
        "sparse_csc",
        "sparse_bsr",
        "sparse_bsc",
    ],
    *["contiguous_format", "channels_last", "channels_last_3d", "preserve_format"],
)

_HARMLESS_LIBRARY = (
    "collections datetime decimal fractions uuid pathlib argparse enum functools logging random re copy copyreg typing "
    "dataclasses numbers string math time queue weakref abc itertools array ipaddress zoneinfo calendar statistics "
    "contextlib warnings threading __future__ io"
)
"""Modules of the standard library that honest checkpoints name objects of: unknown objects, but no cause for alarm."""

_ACTING = (
    "torch.utils.collect_env torch.utils.cpp_extension torch.utils.model_zoo torch.jit torch.hub torch.load torch.ops "
    "torch.classes torch.package torch.serialization torch._dynamo torch._inductor torch.fx torch.distributed.run "
    "torch.distributed.elastic torch._C numpy.f2py numpy.testing numpy.distutils numpy.load numpy.fromfile "
    "numpy.ctypeslib numpy.memmap pip setuptools pkg_resources IPython dill._dill cloudpickle joblib pandas.read_pickle "
    "pandas.eval pandas.io copyreg.add_extension copy_reg.add_extension functools.reduce io.open io.open_code "
    "io.FileIO logging.config __builtin__ builtins sympy requests urllib3 httpx aiohttp paramiko fsspec s3fs gcsfs boto3 botocore smart_open "
    "huggingface_hub gdown wget tensorflow keras yaml ruamel jsonpickle dill.load dill.loads cffi sh invoke fabric "
    "pexpect plumbum jinja2 mako numexpr scipy.io torchvision.datasets.utils"
)
"""Modules, and single names, that can read or write files, load code or run it, beside the standard library."""

_DATA_NAMES = frozenset(f"{module}.{name}" for module, names in _DATA.items() for name in names.split())
_TENSOR_NAMES = frozenset(
    [name for name in CONSTRUCTORS if name.startswith("torch")]
    + ["torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer", "torch.storage._load_from_bytes"]
    + ["torch.nested._internal.nested_tensor.NestedTensor", "torch.autograd.variable.Variable"]
    + [
        "torch.storage.TypedStorage",
        "torch._utils._rebuild_device_tensor_from_numpy",
        "torch._utils._rebuild_xla_tensor",
    ]
    + [f"torch.{name}" for name in _TORCH_NAMES]
    + [f"{module}.{name}" for module in ("torch", "torch.cuda", "torch.storage") for name in STORAGE_DTYPES]
    + [f"{module}.{name[:-7]}Tensor" for module in ("torch", "torch.cuda") for name in STORAGE_DTYPES]
)
_STANDARD_LIBRARY = (sys.stdlib_module_names | {"nt", "commands", "cPickle", "popen2"}) - set(_HARMLESS_LIBRARY.split())
_ACTING_NAMES = frozenset(_ACTING.split())


def global_kind(name: str) -> GlobalKind:
    """How far an import named in a file would go: `tensor`, harmless `data`, or anything else, which is `code`."""
    module, _, last = name.rpartition(".")
    if name in _TENSOR_NAMES or (module == "torch._utils" and last.startswith("_rebuild_")):
        return "tensor"
    if name in _DATA_NAMES or (
        module in ("numpy", "numpy.dtypes")
        and (last.startswith(("float", "int", "uint", "bool", "str_", "bytes_")) or last.endswith("DType"))
    ):
        return "data"
    return "code"


def can_do_harm(name: str) -> bool:
    """Could calling `name` run a command, load code, or touch a file, whatever the file gives it?

    A class of the user's own project is unknown, not harmful in itself: its code is not in the file. A function of the
    standard library that no checkpoint needs is.
    """
    if global_kind(name) != "code":
        return False
    parts = name.split(".")
    if any(".".join(parts[: count + 1]) in _ACTING_NAMES for count in range(len(parts))):
        return True
    return parts[0] in _STANDARD_LIBRARY


_SAYS = {"tensor": "a part of a tensor", "data": "a plain value or a container", "code": ""}


def graded(names: Collection[str], would: Mapping[str, str] = MappingProxyType({})) -> tuple[GlobalName, ...]:
    """The file's imports, graded, code first; `would` says what those of grade `code` would have done."""
    order = {"code": 0, "data": 1, "tensor": 2}
    rows = [
        GlobalName(visible(name), kind, would.get(name, _SAYS[kind]))
        for name, kind in zip(names, map(global_kind, names), strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: order[row.kind]))


def asks_for_code(file: str, names: Iterable[str]) -> Diagnosis | None:
    """P5: the file names something that could do harm."""
    harmful = [name for name in names if can_do_harm(name)]
    if not harmful:
        return None
    return Diagnosis(
        "P5",
        f"{visible(file)} asks to call {listed(harmful, 5)}, which could run commands or change files; it was not run, and what can be read was read without it",
        "don't open it with torch.load(weights_only=False); get a copy from somebody you trust.",
    )


@contextmanager
def code_first(file: str, names: Collection[str]) -> Iterator[None]:
    """Where a file is refused and also asks for code that could do harm, that is what is said: it is the graver word."""
    try:
        yield
    except CorruptCheckpoint as error:
        code = asks_for_code(file, names)
        if code is None or error.diagnosis.id == "P5":
            raise
        raise CorruptCheckpoint(code) from None


def diagnoses_of_globals(file: str, names: Iterable[str], whole_model: bool) -> tuple[Diagnosis, ...]:
    """What is to be said of the file's imports: one row each of the catalogue's P group, the gravest first."""
    code = [name for name in names if global_kind(name) == "code"]
    data = [name for name in names if global_kind(name) == "data"]
    unknown = [name for name in code if not can_do_harm(name) and not name.startswith("__torch__.")]
    unknown.sort(key=lambda name: name.startswith("torch."))
    found = [asks_for_code(file, code)]
    if any(name.startswith(("dill.", "cloudpickle.")) for name in code):
        found.append(
            Diagnosis(
                "P6",
                f"{visible(file)} was saved with dill or cloudpickle, which put functions into the file as code",
                "its weights were read without that code; save the state dict with torch.save.",
            )
        )
    if whole_model:
        found.append(
            Diagnosis(
                "P3",
                f"{visible(file)} holds a whole pickled model, of {listed(unknown or code or ['an unknown class'])}; its tensors were read, its classes were not imported",
                "save its state dict, so that the file opens without the project it came from.",
            )
        )
    elif unknown and all(name.startswith("__main__.") for name in unknown):
        found.append(
            Diagnosis(
                "P4",
                f"{visible(file)} holds an object of the training script ({listed(unknown)}) beside the weights",
                "nothing needs to be done: it was not built, and the weights were read without it.",
            )
        )
    elif unknown:
        found.append(
            Diagnosis(
                "P8",
                f"{visible(file)} names {listed(unknown)}, which PyTorch's weights_only refuses; none of it was imported, and the weights were read without it",
                "nothing needs to be done here; never answer that refusal with weights_only=False.",
            )
        )
    if any(name.startswith(("argparse.", "omegaconf.", "functools.", "enum.", "types.")) for name in (*code, *data)):
        found.append(
            Diagnosis(
                "P2",
                "The settings of the training are pickled beside the weights",
                "they are shown as text; the weights were read without them.",
            )
        )
    numbers = [name for name in data if name.startswith("numpy.")]
    if numbers:
        found.append(
            Diagnosis(
                "P1",
                f"NumPy values lie beside the weights ({listed(numbers)})",
                f"they are harmless; torch.load takes them after torch.serialization.add_safe_globals([{_safe_globals(numbers)}]).",
            )
        )
    return tuple(diagnosis for diagnosis in found if diagnosis)


def _safe_globals(names: list[str]) -> str:
    """The names as code: NumPy 2 calls `numpy.core` `numpy._core`, and a file of either version names its own."""
    import_names = [
        name.replace("numpy.core.", "numpy._core.") for name in names if name.rpartition(".")[2] != "scalar"
    ]
    scalars = ["numpy._core.multiarray.scalar"] if len(import_names) < len(names) else []
    return ", ".join(visible(name, 80) for name in (*scalars, *import_names)[:6])
