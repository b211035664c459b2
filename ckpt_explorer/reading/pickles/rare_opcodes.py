"""The opcodes of a pickle that a state dict rarely uses: one row each, from the byte to a function on the walk."""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ckpt_explorer.reading.pickles.described import Call, InertDict, PickleError

if TYPE_CHECKING:
    from ckpt_explorer.reading.pickles.inert_pickle import Walk

MAX_NUMBER_BYTES = 1024
LONG_BYTES = 256
"""Byte strings above this stay a view of the file."""
LONG_OLD_TEXT = 65_536
"""Python 2's strings above this are arrays, and stay a view of the file too."""

_DOUBLE = struct.Struct(">d")

Handler = Callable[["Walk"], None]


def _push(value: Callable[[Walk], Any]) -> Handler:
    def handler(walk: Walk) -> None:
        walk.stack.append(value(walk))

    return handler


def _long(size_bytes: int) -> Callable[[Walk], int]:
    def value(walk: Walk) -> int:
        count = walk.number(size_bytes)
        if count > MAX_NUMBER_BYTES:
            raise PickleError(f"a number of {count:,} bytes", walk.position)
        return int.from_bytes(walk.take(count), "little", signed=True)

    return value


def _text(size_bytes: int) -> Callable[[Walk], str]:
    def value(walk: Walk) -> str:
        return walk.text_of(walk.view(walk.number(size_bytes)))

    return value


def _bytes(size_bytes: int) -> Callable[[Walk], bytes | memoryview]:
    """Short ones as bytes, long ones as a view of the file."""

    def value(walk: Walk) -> bytes | memoryview:
        return _viewed(walk, walk.number(size_bytes), LONG_BYTES)

    return value


def _viewed(walk: Walk, size: int, longest_copy: int) -> bytes | memoryview:
    """The next bytes: a copy where they are few."""
    raw = walk.view(size)
    if size > longest_copy:
        walk.count_object()
        walk.viewed += size
        return raw
    walk.count_text(size)
    return bytes(raw)


def _old_text(raw: bytes | memoryview) -> str | bytes | memoryview:
    """Python 2's str: text where it is ASCII, else the bytes it was."""
    return raw.decode("ascii") if isinstance(raw, bytes) and raw.isascii() else raw


def _text_int(walk: Walk) -> int | bool:
    line = walk.line()
    return {b"00": False, b"01": True}[line] if line in (b"00", b"01") else _short_int(walk, line)


def _short_int(walk: Walk, digits: bytes) -> int:
    if len(digits) > MAX_NUMBER_BYTES:
        raise PickleError(f"a number of {len(digits):,} digits", walk.position)
    return int(digits, 0)


def _quoted(walk: Walk) -> str | bytes | memoryview:
    line = walk.line().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise PickleError("a text without quotes", walk.position)
    return _old_text(codecs.escape_decode(line[1:-1])[0])


def _escaped(walk: Walk) -> str:
    line = walk.line()
    if b"\\" in line:  # it may hold a character that makes all others take four bytes
        walk.count_text(4 * len(line))
    return line.decode("raw-unicode-escape")


def _empty_dict(walk: Walk) -> InertDict:
    walk.count_object()
    return InertDict()


def _empty_list(walk: Walk) -> list[Any]:
    walk.count_object()
    return []


def _list(walk: Walk) -> list[Any]:
    walk.count_object()
    return walk.popped_to_mark()


def _dict(walk: Walk) -> InertDict:
    flat = walk.popped_to_mark()
    result = _empty_dict(walk)
    walk.set_items(result, flat)
    return result


def _instance(walk: Walk) -> Any:
    module, name = walk.line().decode(), walk.line().decode()
    return walk.call(walk.named(module, name), tuple(walk.popped_to_mark()))


def _object(walk: Walk) -> Any:
    callee, *arguments = walk.popped_to_mark()
    return walk.call(callee, tuple(arguments))


def _tuple_of(count: int) -> Handler:
    def handler(walk: Walk) -> None:
        items = tuple(walk.stack[-count:])
        if len(items) < count:
            raise IndexError
        del walk.stack[-count:]
        walk.stack.append(items)

    return handler


def _append(walk: Walk) -> None:
    value = walk.stack.pop()
    walk.extend(walk.stack[-1], [value])


def _appends(walk: Walk) -> None:
    values = walk.popped_to_mark()
    walk.extend(walk.stack[-1], values)


def _set_items(walk: Walk) -> None:
    flat = walk.popped_to_mark()
    walk.set_items(walk.stack[-1], flat)


def _build(walk: Walk) -> None:
    state = walk.stack.pop()
    walk.build(walk.stack[-1], state)


def _new_object(walk: Walk) -> None:
    arguments, callee = walk.stack.pop(), walk.stack.pop()
    walk.stack.append(walk.call(callee, arguments))


def _new_object_with_keywords(walk: Walk) -> None:
    keywords, arguments, callee = walk.stack.pop(), walk.stack.pop(), walk.stack.pop()
    made = walk.call(callee, arguments)
    if isinstance(made, Call) and isinstance(keywords, dict):
        made.pairs = dict(keywords)
        walk.count_copy(made.pairs)
    walk.stack.append(made)


def _stack_global(walk: Walk) -> None:
    name, module = walk.stack.pop(), walk.stack.pop()
    walk.stack.append(walk.named(module, name))


def _extension(size_bytes: int) -> Callable[[Walk], Any]:
    return lambda walk: walk.named("copyreg.extension", str(walk.number(size_bytes)))


def _pop_mark(walk: Walk) -> None:
    walk.popped_to_mark()


def _pop(walk: Walk) -> None:
    if walk.marks and walk.marks[-1] == len(walk.stack):
        walk.marks.pop()
    else:
        walk.stack.pop()


def _duplicate(walk: Walk) -> None:
    walk.stack.append(walk.stack[-1])


def _protocol(walk: Walk) -> None:
    version = walk.number(1)
    if version > 5:
        raise PickleError(f"pickle protocol {version} does not exist", walk.position)


RARE: list[Handler | None] = [None] * 256
for _op, _handler in {
    0x80: _protocol,
    0x95: lambda walk: (walk.take(8), None)[1],  # FRAME: a hint for reading ahead
    0x63: _push(lambda walk: walk.named(walk.line().decode(), walk.line().decode())),  # GLOBAL
    0x93: _stack_global,
    0x69: _push(_instance),  # INST
    0x6F: _push(_object),  # OBJ
    0x81: _new_object,
    0x92: _new_object_with_keywords,
    0x82: _push(_extension(1)),
    0x83: _push(_extension(2)),
    0x84: _push(_extension(4)),
    0x62: _build,
    0x50: _push(lambda walk: walk.persistent(walk.line().decode())),  # PERSID
    0x7D: _push(_empty_dict),  # EMPTY_DICT
    0x64: _push(_dict),
    0x75: _set_items,
    0x5D: _push(_empty_list),  # EMPTY_LIST
    0x6C: _push(_list),  # LIST
    0x61: _append,
    0x65: _appends,
    0x8F: _push(_empty_list),  # EMPTY_SET, described as a list
    0x90: _appends,  # ADDITEMS
    0x91: _push(_list),  # FROZENSET, described as a list
    0x86: _tuple_of(2),
    0x87: _tuple_of(3),
    0x4E: _push(lambda walk: None),  # noqa: ARG005  NONE
    0x88: _push(lambda walk: True),  # noqa: ARG005  NEWTRUE
    0x49: _push(_text_int),  # INT
    0x4C: _push(lambda walk: _short_int(walk, walk.line().rstrip(b"L"))),  # LONG
    0x8A: _push(_long(1)),
    0x8B: _push(_long(4)),
    0x46: _push(lambda walk: float(walk.line())),  # FLOAT
    0x47: _push(lambda walk: _DOUBLE.unpack(walk.take(8))[0]),  # BINFLOAT
    0x53: _push(_quoted),  # STRING
    0x54: _push(lambda walk: _old_text(_viewed(walk, walk.number(4), LONG_OLD_TEXT))),  # BINSTRING
    0x55: _push(lambda walk: _old_text(walk.take(walk.number(1)))),  # SHORT_BINSTRING
    0x56: _push(_escaped),  # UNICODE
    0x8C: _push(_text(1)),
    0x8D: _push(_text(8)),
    0x42: _push(_bytes(4)),  # BINBYTES
    0x43: _push(_bytes(1)),  # SHORT_BINBYTES
    0x8E: _push(_bytes(8)),  # BINBYTES8
    0x96: _push(_bytes(8)),  # BYTEARRAY8
    0x97: lambda walk: walk.stack.append(walk.persistent("out-of-band buffer")),  # NEXT_BUFFER
    0x98: lambda walk: None,  # noqa: ARG005  READONLY_BUFFER
    0x30: _pop,
    0x31: _pop_mark,
    0x32: _duplicate,
    0x67: _push(lambda walk: walk.memo[int(walk.line())]),  # GET
    0x6A: _push(lambda walk: walk.memo[walk.number(4)]),  # LONG_BINGET
    0x70: lambda walk: walk.put(int(walk.line())),  # PUT
    0x94: lambda walk: walk.memoize(),  # MEMOIZE
}.items():
    RARE[_op] = _handler
