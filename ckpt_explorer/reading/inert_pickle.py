"""Walk a pickle and describe what it would build, without importing or calling anything.

This is a walker of our own and not CPython's unpickler with a careful `find_class`: there is no instruction here that
could import or call, so what a file can do does not depend on a list of forbidden names. A class or function stays a
`Global` (its name), a call stays a `Call` (the name and what it was given). The few constructors whose result we know
(an OrderedDict, a tensor) are computed by code of ours, chosen from the table that the caller passes in.

Everything is bounded: opcodes, the depth of the stack, the size of a number; lengths are checked against the file
before anything is allocated, and the memo is a dict, so that an index of two to the thirtieth costs one entry.

Source: `Lib/pickletools.py` and `Modules/_pickle.c` of CPython 3.11 (opcodes of protocols 0 to 5).
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable, Mapping
from typing import Any

MAX_OPCODES = 5_000_000
MAX_STACK = 1_000_000
MAX_NUMBER_BYTES = 1024
MAX_LINE = 65_536
MAX_GLOBALS = 10_000

Constructor = Callable[[tuple[Any, ...]], Any]
"""From the arguments of a call to our own description of its result; NotImplemented for arguments it does not know."""

PersistentLoad = Callable[[Any], Any]


class PickleError(Exception):
    """These bytes are no pickle that can be described; `position` is the byte at which that showed."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} at byte {position:,}")
        self.position = position


class PickleCutShort(PickleError):
    """The bytes end in the middle of the pickle."""


class Global:
    """The name of something the file asks to import. It never is."""

    __slots__ = ("constructor", "module", "name")

    def __init__(self, module: str, name: str, constructor: Constructor | None = None) -> None:
        self.module = module
        self.name = name
        self.constructor = constructor

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Call:
    """What the file asks to call or build, with all it was given: an object that never came to be."""

    __slots__ = ("args", "callee", "items", "pairs", "state")

    def __init__(self, callee: Any, args: Any) -> None:
        self.callee = callee
        self.args = args
        self.state: Any = None
        self.items: list[Any] = []
        self.pairs: dict[Any, Any] = {}

    @property
    def name(self) -> str:
        """The dotted name of the class or function, or `?` where that is itself the result of a call."""
        return str(self.callee) if isinstance(self.callee, Global) else "?"


class InertDict(dict[Any, Any]):
    """A mapping from the file; `state` holds attributes that were set on it (such as a state dict's `_metadata`)."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        super().__init__()
        self.state: Any = None


_MARK = object()
_SCALARS = (str, int, float, bytes, bool, type(None))


def walk_pickle(
    data: memoryview | bytes,
    constructors: Mapping[str, Constructor],
    persistent_load: PersistentLoad | None = None,
    start: int = 0,
) -> tuple[Any, dict[str, Global], int]:
    """Describe the pickle that begins at byte `start` of `data`.

    Returns the described object, every global the pickle names (by dotted name, in order of first mention), and the
    position behind its last byte. `constructors` maps dotted names to functions of ours that turn a call's arguments
    into a description; `persistent_load` does the same for persistent ids (torch's storages).

    Raises:
        PickleCutShort: the bytes end inside the pickle.
        PickleError: the bytes are no pickle, or exceed a limit of this module.
    """
    return _Walk(data, constructors, persistent_load).run(start)


class _Walk:
    """One pass over one pickle: its stack, its memo, and what it named."""

    def __init__(
        self, data: memoryview | bytes, constructors: Mapping[str, Constructor], persistent_load: PersistentLoad | None
    ) -> None:
        self.data = data
        self.end = len(data)
        self.constructors = constructors
        self.persistent_load = persistent_load
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.globals: dict[str, Global] = {}
        self.position = 0

    def run(self, start: int) -> tuple[Any, dict[str, Global], int]:
        try:
            return self._run(start)
        except (IndexError, struct.error):
            if self.position + 9 >= self.end or not self.stack:
                raise PickleCutShort("the pickle breaks off", min(self.position, self.end)) from None
            raise PickleError("the pickle takes more from its stack than it put there", self.position) from None
        except (KeyError, ValueError, UnicodeError, OverflowError, TypeError) as error:
            raise PickleError(f"not a valid pickle ({type(error).__name__})", self.position) from None

    def _run(self, position: int) -> tuple[Any, dict[str, Global], int]:
        data, stack, memo, marks = self.data, self.stack, self.memo, self.marks
        push, pop, rare = stack.append, stack.pop, _RARE
        unpack_int, unpack_uint = _INT.unpack_from, _UINT.unpack_from
        for _ in range(MAX_OPCODES):
            op = data[position]
            position += 1
            # The fourteen opcodes that make up a state dict, most frequent first; all others are in the table below.
            if op == 0x71:  # BINPUT
                memo[data[position]] = stack[-1]
                position += 1
            elif op == 0x72:  # LONG_BINPUT
                memo[unpack_uint(data, position)[0]] = stack[-1]
                position += 4
            elif op == 0x68:  # BINGET
                push(memo[data[position]])
                position += 1
            elif op == 0x4B:  # BININT1
                push(data[position])
                position += 1
            elif op == 0x28:  # MARK
                marks.append(len(stack))
                if len(stack) > MAX_STACK or len(marks) > MAX_STACK:
                    raise PickleError("the pickle is nested too deep", position)
            elif op == 0x58:  # BINUNICODE
                length = unpack_uint(data, position)[0]
                position += 4
                if position + length > self.end:
                    raise PickleCutShort("the pickle breaks off inside a text", self.end)
                push(str(data[position : position + length], "utf-8", "surrogatepass"))
                position += length
            elif op == 0x74:  # TUPLE
                mark = marks.pop()
                items = tuple(stack[mark:])
                del stack[mark:]
                push(items)
            elif op == 0x52:  # REDUCE
                arguments = pop()
                self.position = position
                stack[-1] = self.call(stack[-1], arguments)
            elif op == 0x4D:  # BININT2
                push(data[position] | data[position + 1] << 8)
                position += 2
            elif op == 0x4A:  # BININT
                push(unpack_int(data, position)[0])
                position += 4
            elif op == 0x51:  # BINPERSID
                self.position = position
                stack[-1] = self.persistent(stack[-1])
            elif op == 0x85:  # TUPLE1
                stack[-1] = (stack[-1],)
            elif op == 0x89:  # NEWFALSE
                push(False)
            elif op == 0x29:  # EMPTY_TUPLE
                push(())
            elif op == 0x2E:  # STOP
                return pop(), self.globals, position
            else:
                self.position = position
                handler = rare[op]
                if handler is None:
                    raise PickleError(f"byte 0x{op:02x} is no pickle instruction", position - 1)
                handler(self)
                position = self.position
                if len(stack) > MAX_STACK:
                    raise PickleError("the pickle is nested too deep", position)
        raise PickleError(f"the pickle has more than {MAX_OPCODES:,} instructions", position)

    # ------------------------------------------------------------------ what the opcodes share

    def take(self, count: int) -> bytes:
        """The next `count` bytes, after a check that they exist."""
        start = self.position
        if count < 0 or start + count > self.end:
            raise PickleCutShort("the pickle breaks off", self.end)
        self.position = start + count
        return bytes(self.data[start : start + count])

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def line(self) -> bytes:
        window = bytes(self.data[self.position : self.position + MAX_LINE])
        length = window.find(b"\n")
        if length < 0:
            if len(window) < MAX_LINE:
                raise PickleCutShort("the pickle breaks off inside a line", self.end)
            raise PickleError("a line of the pickle is too long", self.position)
        self.position += length + 1
        return window[:length]

    def popped_to_mark(self) -> list[Any]:
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def named(self, module: Any, name: Any) -> Global:
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError("a name to import is no text", self.position)
        dotted = f"{module}.{name}"
        known = self.globals.get(dotted)
        if known is None:
            if len(self.globals) >= MAX_GLOBALS:
                raise PickleError(f"the pickle names more than {MAX_GLOBALS:,} globals", self.position)
            known = self.globals[dotted] = Global(module, name, self.constructors.get(dotted))
        return known

    def call(self, callee: Any, arguments: Any) -> Any:
        """The description of `callee(*arguments)`: ours where the table knows it, else an inert Call."""
        if type(callee) is Global and callee.constructor is not None and type(arguments) is tuple:
            described = callee.constructor(arguments)
            if described is not NotImplemented:
                return described
        return Call(callee, arguments)

    def persistent(self, identity: Any) -> Any:
        if self.persistent_load is None:
            raise PickleError("the pickle refers to something outside of itself", self.position)
        return self.persistent_load(identity)

    def set_items(self, target: Any, flat: list[Any]) -> None:
        if len(flat) % 2:
            raise PickleError("a key of the pickle has no value", self.position)
        into = target.pairs if isinstance(target, Call) else target
        if not isinstance(into, dict):
            raise PickleError("the pickle stores items in something that is no mapping", self.position)
        for index in range(0, len(flat), 2):
            into[_as_dict_key(flat[index])] = flat[index + 1]

    def extend(self, target: Any, values: list[Any]) -> None:
        into = target.items if isinstance(target, Call) else target
        if not isinstance(into, list):
            raise PickleError("the pickle appends to something that is no list", self.position)
        into.extend(values)

    def build(self, target: Any, state: Any) -> None:
        if not isinstance(target, Call | InertDict):
            return  # attributes of a plain value: nothing we describe has any
        if isinstance(target.state, dict) and isinstance(state, dict):
            target.state.update(state)
        else:
            target.state = state


def _as_dict_key(key: Any) -> Any:
    """`key` if hashing it is cheap and safe, else a stand-in: a tuple nested a million deep would end the process."""
    if isinstance(key, str | int | float | bytes | None):
        return key
    if isinstance(key, tuple) and len(key) <= 64 and all(isinstance(part, _SCALARS) for part in key):
        return key
    return Call(Global("", "key"), (key,))


_INT = struct.Struct("<i")
_UINT = struct.Struct("<I")
_DOUBLE = struct.Struct(">d")

Handler = Callable[[_Walk], None]


def _push(value: Callable[[_Walk], Any]) -> Handler:
    def handler(walk: _Walk) -> None:
        walk.stack.append(value(walk))

    return handler


def _long(size_bytes: int) -> Callable[[_Walk], int]:
    def value(walk: _Walk) -> int:
        count = walk.number(size_bytes)
        if count > MAX_NUMBER_BYTES:
            raise PickleError(f"a number of {count:,} bytes", walk.position)
        return int.from_bytes(walk.take(count), "little", signed=True)

    return value


def _text(size_bytes: int) -> Callable[[_Walk], str]:
    return lambda walk: str(walk.take(walk.number(size_bytes)), "utf-8", "surrogatepass")


def _old_text(raw: bytes) -> str | bytes:
    """Python 2's str: text where it is ASCII, else the bytes it was."""
    return raw.decode("ascii") if raw.isascii() else raw


def _text_int(walk: _Walk) -> int | bool:
    line = walk.line()
    return {b"00": False, b"01": True}[line] if line in (b"00", b"01") else _short_int(walk, line)


def _short_int(walk: _Walk, digits: bytes) -> int:
    if len(digits) > MAX_NUMBER_BYTES:
        raise PickleError(f"a number of {len(digits):,} digits", walk.position)
    return int(digits, 0)


def _quoted(walk: _Walk) -> str | bytes:
    line = walk.line().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise PickleError("a text without quotes", walk.position)
    return _old_text(codecs.escape_decode(line[1:-1])[0])


def _dict(walk: _Walk) -> InertDict:
    flat = walk.popped_to_mark()
    result = InertDict()
    walk.set_items(result, flat)
    return result


def _instance(walk: _Walk) -> Any:
    module, name = walk.line().decode(), walk.line().decode()
    return walk.call(walk.named(module, name), tuple(walk.popped_to_mark()))


def _object(walk: _Walk) -> Any:
    callee, *arguments = walk.popped_to_mark()
    return walk.call(callee, tuple(arguments))


def _tuple_of(count: int) -> Handler:
    def handler(walk: _Walk) -> None:
        items = tuple(walk.stack[-count:])
        if len(items) < count:
            raise IndexError
        del walk.stack[-count:]
        walk.stack.append(items)

    return handler


def _append(walk: _Walk) -> None:
    value = walk.stack.pop()
    walk.extend(walk.stack[-1], [value])


def _appends(walk: _Walk) -> None:
    values = walk.popped_to_mark()
    walk.extend(walk.stack[-1], values)


def _set_item(walk: _Walk) -> None:
    value, key = walk.stack.pop(), walk.stack.pop()
    walk.set_items(walk.stack[-1], [key, value])


def _set_items(walk: _Walk) -> None:
    flat = walk.popped_to_mark()
    walk.set_items(walk.stack[-1], flat)


def _build(walk: _Walk) -> None:
    state = walk.stack.pop()
    walk.build(walk.stack[-1], state)


def _new_object(walk: _Walk) -> None:
    arguments, callee = walk.stack.pop(), walk.stack.pop()
    walk.stack.append(walk.call(callee, arguments))


def _new_object_with_keywords(walk: _Walk) -> None:
    keywords, arguments, callee = walk.stack.pop(), walk.stack.pop(), walk.stack.pop()
    made = walk.call(callee, arguments)
    if isinstance(made, Call) and isinstance(keywords, dict):
        made.pairs.update(keywords)
    walk.stack.append(made)


def _stack_global(walk: _Walk) -> None:
    name, module = walk.stack.pop(), walk.stack.pop()
    walk.stack.append(walk.named(module, name))


def _extension(size_bytes: int) -> Callable[[_Walk], Any]:
    return lambda walk: walk.named("copyreg.extension", str(walk.number(size_bytes)))


def _pop_mark(walk: _Walk) -> None:
    walk.popped_to_mark()


def _pop(walk: _Walk) -> None:
    if walk.marks and walk.marks[-1] == len(walk.stack):
        walk.marks.pop()
    else:
        walk.stack.pop()


def _duplicate(walk: _Walk) -> None:
    walk.stack.append(walk.stack[-1])


def _protocol(walk: _Walk) -> None:
    version = walk.number(1)
    if version > 5:
        raise PickleError(f"pickle protocol {version} does not exist", walk.position)


_RARE: list[Handler | None] = [None] * 256
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
    0x7D: _push(lambda walk: InertDict()),  # noqa: ARG005  EMPTY_DICT
    0x64: _push(_dict),
    0x73: _set_item,
    0x75: _set_items,
    0x5D: _push(lambda walk: []),  # noqa: ARG005  EMPTY_LIST
    0x6C: _push(lambda walk: walk.popped_to_mark()),  # LIST
    0x61: _append,
    0x65: _appends,
    0x8F: _push(lambda walk: []),  # noqa: ARG005  EMPTY_SET, described as a list
    0x90: _appends,  # ADDITEMS
    0x91: _push(lambda walk: walk.popped_to_mark()),  # FROZENSET, described as a list
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
    0x54: _push(lambda walk: _old_text(walk.take(walk.number(4)))),  # BINSTRING
    0x55: _push(lambda walk: _old_text(walk.take(walk.number(1)))),  # SHORT_BINSTRING
    0x56: _push(lambda walk: walk.line().decode("raw-unicode-escape")),  # UNICODE
    0x8C: _push(_text(1)),
    0x8D: _push(_text(8)),
    0x42: _push(lambda walk: walk.take(walk.number(4))),  # BINBYTES
    0x43: _push(lambda walk: walk.take(walk.number(1))),  # SHORT_BINBYTES
    0x8E: _push(lambda walk: walk.take(walk.number(8))),  # BINBYTES8
    0x96: _push(lambda walk: walk.take(walk.number(8))),  # BYTEARRAY8
    0x97: lambda walk: walk.stack.append(walk.persistent("out-of-band buffer")),  # NEXT_BUFFER
    0x98: lambda walk: None,  # noqa: ARG005  READONLY_BUFFER
    0x30: _pop,
    0x31: _pop_mark,
    0x32: _duplicate,
    0x67: _push(lambda walk: walk.memo[int(walk.line())]),  # GET
    0x6A: _push(lambda walk: walk.memo[walk.number(4)]),  # LONG_BINGET
    0x70: lambda walk: walk.put(int(walk.line())),  # PUT
    0x94: lambda walk: walk.put(len(walk.memo)),  # MEMOIZE
}.items():
    _RARE[_op] = _handler
