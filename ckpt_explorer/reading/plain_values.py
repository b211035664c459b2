"""Objects of Python's own that lie beside weights, as a person would write them: dates, paths, sets. None is built.

What a pickle would give to the class is read as text; a class that is not in the table stays an opaque object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckpt_explorer.reading.pickles.described import Call, Global
from ckpt_explorer.reading.pickles.torch_objects import TENSOR_CLAIMS
from ckpt_explorer.text import shape_as_text, visible

MAX_SHOWN = 12
MAX_DEPTH = 4

Write = Callable[[Call, int], str | None]


def plain_value(node: Call, depth: int = 0) -> str | None:
    """How the object that `node` would build is written; None where its class is not known, or its arguments are odd."""
    if depth > MAX_DEPTH or type(node.args) is not tuple:
        return None
    write = _WRITERS.get(node.name.replace("__builtin__.", "builtins.").replace("pathlib._local.", "pathlib."))
    return write(node, depth) if write else None


def plain_text(value: Any, depth: int = 0) -> str:
    """A single value as it is written in Python, cut to a few items where it holds many."""
    if isinstance(value, Call):
        return plain_value(value, depth + 1) or f"{visible(value.name, 80)}(…)"
    if isinstance(value, str):
        return repr(visible(value, 80))
    if isinstance(value, int) and value.bit_length() >= 128:
        return f"a number of {value.bit_length():,} bits"
    if value is None or isinstance(value, bool | int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bytes | memoryview):
        return f"{len(value):,} bytes"
    if isinstance(value, Global):
        return visible(str(value), 120)
    if type(value) in TENSOR_CLAIMS:
        return f"a tensor of shape {shape_as_text(value.shape[:MAX_SHOWN])}"
    if isinstance(value, list | tuple) and depth < MAX_DEPTH:
        inside = _items(value, depth + 1)
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    return "…"


def _items(values: Any, depth: int) -> str:
    shown = [plain_text(value, depth) for value in values[:MAX_SHOWN]]
    return ", ".join([*shown, *(["…"] if len(values) > MAX_SHOWN else [])])


def _set(node: Call, depth: int) -> str | None:
    values = node.args[0] if len(node.args) == 1 else []
    return f"{{{_items(values, depth)}}}" if isinstance(values, list | tuple) else None


def _path(node: Call, _: int) -> str | None:
    return visible("/".join(part for part in node.args if isinstance(part, str)).replace("//", "/"), 200)


def _moment(node: Call, _: int) -> str | None:
    """`datetime` and `date` pickle as bytes: year in two, then month, day, hour, minute, second, microseconds in three."""
    raw = node.args[0] if node.args else None
    raw = raw.encode("latin-1", "replace") if isinstance(raw, str) else raw
    if not isinstance(raw, bytes) or len(raw) not in (4, 10):
        return None
    day = f"{raw[0] << 8 | raw[1]:04}-{raw[2]:02}-{raw[3]:02}"
    return day if len(raw) == 4 else f"{day} {raw[4]:02}:{raw[5]:02}:{raw[6]:02}"


def _called(name: str) -> Write:
    return lambda node, depth: f"{name}({_items(node.args, depth)})"


def _member(node: Call, depth: int) -> str | None:
    if len(node.args) == 1 and isinstance(node.args[0], str):
        return visible(node.args[0], 80)
    return _items(node.args, depth) if len(node.args) == 1 else None


_WRITERS: dict[str, Write] = {
    "builtins.set": _set,
    "builtins.frozenset": _set,
    "builtins.complex": _called("complex"),
    "builtins.slice": _called("slice"),
    "builtins.range": _called("range"),
    "builtins.xrange": _called("range"),
    "builtins.bytearray": _called("bytearray"),
    "datetime.datetime": _moment,
    "datetime.date": _moment,
    "datetime.timedelta": _called("timedelta"),
    "decimal.Decimal": _member,
    "fractions.Fraction": _member,
    "uuid.UUID": _called("UUID"),
    "torch.device": lambda node, _: ":".join(plain_text(part).strip("'") for part in node.args),
    "torch.torch_version.TorchVersion": _member,
    "collections.deque": lambda node, depth: f"deque([{_items(node.items or [], depth)}])",
    **dict.fromkeys(
        (f"pathlib.{kind}" for kind in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path")), _path
    ),
}
"""How objects of these classes are written; the class itself is never imported."""
