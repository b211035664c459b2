"""Pickles written at random, by a grammar that knows what readers of PyTorch's files look for, and where it hurts."""

from __future__ import annotations

import struct
from random import Random

from tests.fuzz.of_bytes import NUMBERS

MARKER = 'open(__import__("os").environ["CKPT_MARKER_DIR"]+"/ran","w").close()'
"""Python that leaves a trace if anything runs it."""

HARMFUL = (
    ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("builtins", "exec"), ("builtins", "getattr"), ("this", "s"),
    ("tests.fuzz.marker", "touch"), ("antigravity", "webbrowser"), ("torch", "load"), ("pickle", "loads"), ("importlib", "import_module"),
    ("numpy", "load"), ("builtins", "bytearray"), ("builtins", "__import__"), ("torch.storage", "_load_from_bytes"),
)  # fmt: skip

STORAGES = (
    ("torch", "FloatStorage"),
    ("torch", "QInt8Storage"),
    ("torch", "LongStorage"),
    ("torch", "BoolStorage"),
    ("torch.storage", "UntypedStorage"),
)
SCHEMES = (("torch", "per_tensor_affine"), ("torch", "per_channel_affine"))
KNOWN = (
    ("collections", "OrderedDict"), ("collections", "defaultdict"), ("collections", "Counter"), ("builtins", "dict"), ("builtins", "set"),
    ("torch._utils", "_rebuild_tensor"), ("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor_v3"),
    ("torch._utils", "_rebuild_qtensor"), ("torch._utils", "_rebuild_sparse_tensor"), ("torch._utils", "_rebuild_nested_tensor"),
    ("torch._utils", "_rebuild_meta_tensor_no_storage"), ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"),
    ("torch._utils", "_rebuild_device_tensor_from_numpy"), ("torch._utils", "_rebuild_parameter"), ("torch.serialization", "_get_layout"),
    ("torch._utils", "_rebuild_parameter_with_state"), ("torch._tensor", "_rebuild_from_type_v2"), ("torch.nn.parameter", "Parameter"),
    ("torch", "Size"), ("torch", "FloatStorage"), ("torch", "QInt8Storage"), ("torch.storage", "UntypedStorage"), ("torch", "float32"),
    ("torch", "float4_e2m1fn_x2"), ("torch", "per_tensor_affine"), ("torch", "per_channel_affine"), ("torch", "device"), ("torch", "quint4x2"),
    ("_codecs", "encode"), ("builtins", "bytes"), ("numpy", "dtype"), ("numpy", "ndarray"), ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.numeric", "_frombuffer"), ("numpy.core.multiarray", "scalar"), ("pathlib", "PosixPath"), ("argparse", "Namespace"),
    ("datetime", "datetime"), ("enum", "Enum"), ("torch.distributed.checkpoint.metadata", "Metadata"),
    ("torch.distributed.checkpoint.metadata", "TensorStorageMetadata"), ("torch.distributed.checkpoint.metadata", "ChunkStorageMetadata"),
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"), ("torch.distributed.checkpoint.metadata", "MetadataIndex"),
)  # fmt: skip

WORDS = (
    "", "storage", "0", "1", "cpu", "latin1", "torch.sparse_coo", "sparse_coo", "sparse_csr", "f4", "<", ">", "O8", "V4", "weight", "state",
    "state_dict", "param_groups", "params", "_parameters", "_buffers", "_modules", "_metadata", "version", "a\nb\x1b[2J", "\u202egnp", "\ud800",
    "__setstate__", "__class__", "module.layer1.0.conv1.weight", "x" * 300, "\U0001f600" * 300, "conj", "training", "pytorch-lightning_version",
)  # fmt: skip


def text(value: str) -> bytes:
    """BINUNICODE, half of a surrogate pair included."""
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    """LONG1 or LONG4, whatever the size."""
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw if len(raw) < 256 else b"\x8b" + struct.pack("<i", len(raw)) + raw


def named(name: tuple[str, str]) -> bytes:
    """GLOBAL."""
    return f"c{name[0]}\n{name[1]}\n".encode()


def any_number(rng: Random) -> int:
    """Small ones mostly, then those at which programs break, one of a thousand digits among them."""
    choice = rng.random()
    if choice < 0.6:
        return rng.randrange(5)
    return 10**1000 if choice > 0.98 else rng.choice(NUMBERS)


def _numbers(rng: Random) -> bytes:
    return b"(" + b"".join(number(any_number(rng)) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 65)))) + b"t"


def _storage(rng: Random) -> bytes:
    kind = rng.choice(STORAGES)
    view = (b"", b"", b"N", b"(" + text("0") + number(any_number(rng)) + number(2) + b"t")
    key = text(rng.choice(("0", "0", "0", "1", "2", "../0", "\ud800")))
    return (
        b"("
        + text("storage")
        + named(kind)
        + key
        + text("cpu")
        + number(rng.choice((2, 4, 108, any_number(rng))))
        + rng.choice(view)
        + b"tQ"
    )


def any_tensor(rng: Random) -> bytes:
    """The instructions of a tensor, some of whose numbers are wrong."""
    hooks = rng.choice(
        (b"ccollections\nOrderedDict\n)R", b"ccollections\nOrderedDict\n)R", b"N", b"}" + text("conj") + b"\x88s")
    )
    name = rng.choice(
        (("torch._utils", "_rebuild_tensor_v2"),) * 3
        + (("torch._utils", "_rebuild_tensor_v3"), ("torch._utils", "_rebuild_qtensor"))
    )
    more = {
        "_rebuild_tensor_v3": named(
            rng.choice((("torch", "float8_e5m2"), ("torch", "uint64"), ("torch", "bits16"), ("torch", "quint4x2")))
        )
        + hooks,
        "_rebuild_qtensor": b"\x89" + hooks,
    }.get(name[1], b"")
    scheme = (
        b"("
        + named(rng.choice(SCHEMES))
        + any_value(rng, 1)
        + number(any_number(rng))
        + rng.choice((b"", number(any_number(rng))))
        + b"t"
    )
    middle = scheme if name[1] == "_rebuild_qtensor" else b"\x89" + hooks
    return (
        named(name)
        + b"("
        + _storage(rng)
        + number(rng.choice((0, 0, any_number(rng))))
        + _numbers(rng)
        + _numbers(rng)
        + middle
        + more
        + b"tR"
    )


def any_value(rng: Random, depth: int = 4) -> bytes:
    """Instructions that leave one value on the stack, if all goes well."""
    leaves = (
        lambda: number(any_number(rng)), lambda: text(rng.choice(WORDS[:-6])), lambda: rng.choice((b"N", b"\x88", b"\x89", b")", b"]", b"}")),
        lambda: named(rng.choice(KNOWN)), lambda: b"h" + bytes([rng.randrange(8)]), lambda: b"G" + rng.randbytes(8), lambda: any_tensor(rng),
        lambda: b"B\x04\0\0\0" + rng.randbytes(4), lambda: rng.choice((b"S'x'\n", b"I1\n", b"L9L\n", b"F1e400\n", b"Vx\\ud800\n", b"Pid\n")),
    )  # fmt: skip
    if depth <= 0 or rng.random() < 0.4:
        return rng.choice(leaves)()

    def below() -> bytes:
        return any_value(rng, depth - 1)

    def many() -> bytes:
        return b"".join(below() for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4, 5, 7))))

    def pairs() -> bytes:
        return b"".join(
            (text(rng.choice(WORDS)) if rng.random() < 0.8 else below()) + below() for _ in range(rng.randrange(5))
        )

    known = named(rng.choice(KNOWN))
    branches = (
        lambda: b"(" + many() + b"t", lambda: b"](" + many() + b"e", lambda: b"}(" + pairs() + b"u", lambda: b"\x8f(" + many() + b"\x90",
        lambda: known + b"(" + many() + b"tR", lambda: known + b"(" + many() + b"tR", lambda: known + b"(" + many() + b"tR",
        lambda: named(rng.choice(HARMFUL)) + b"(" + text(MARKER) + b"tR", lambda: known + b"(" + many() + b"t\x81" + below() + b"b",
        lambda: known + b")R" + b"(" + pairs() + b"u", lambda: known + b")R" + b"(" + many() + b"e", lambda: below() + b"q" + bytes([rng.randrange(8)]),
        lambda: below() + below() + b"b", lambda: below() + b"Q", lambda: below() + b"2\x86", lambda: b"(" + known + many() + b"o",
        lambda: known + b"(" + many() + b"t}" + text("x") + below() + b"s\x92", lambda: below() + below() + b"R", lambda: below() + below() + b"\x93",
        lambda: b"]q\7h\7a", lambda: b"}q\7" + text("self") + b"h\7s", lambda: below() + below() + below() + b"s",
    )  # fmt: skip
    return rng.choice(branches)()


def any_program(rng: Random) -> bytes:
    """A whole pickle: a mapping of such values, as a checkpoint is one."""
    keys = ("weight", "state_dict", "layer1.0.conv1.weight", "optimizer", "model", "epoch", *WORDS[:3])
    body = b"".join(
        text(rng.choice(keys)) + (any_tensor(rng) if rng.random() < 0.5 else any_value(rng))
        for _ in range(rng.randrange(1, 6))
    )
    return b"\x80\x02}(" + body + b"u."
