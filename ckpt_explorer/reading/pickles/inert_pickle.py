"""Walk a pickle and describe what it would build, without importing or calling anything.

This is a walker of our own and not CPython's unpickler with a careful `find_class`: there is no instruction here that
could import or call, so what a file can do does not depend on a list of forbidden names. A class or function stays a
`Global` (its name), a call stays a `Call` (the name and what it was given). The few constructors whose result we know
(an OrderedDict, a tensor) are computed by code of ours, chosen from the table that the caller passes in.

Everything is bounded: opcodes, objects, the depth of the stack, the size of a number; lengths are checked against the
file before anything is allocated, and the memo is a dict, so that an index of two to the thirtieth costs one entry.

Source: `Lib/pickletools.py` and `Modules/_pickle.c` of CPython 3.11 (opcodes of protocols 0 to 5).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

from ckpt_explorer.reading.pickles.described import (
    Call,
    Constructor,
    Global,
    InertDict,
    PersistentLoad,
    PickleCutShort,
    PickleError,
    PickleTooLarge,
    TupleKey,
    as_dict_key,
)
from ckpt_explorer.reading.pickles.memo import Memo
from ckpt_explorer.reading.pickles.rare_opcodes import RARE

MAX_OPCODES = 3_000_000
OPCODES_AN_OBJECT = 7
"""A tensor takes thirty; mappings, lists and calls by the million would be all that a pickle holds."""
MAX_OBJECTS = MAX_OPCODES // OPCODES_AN_OBJECT
OPCODES_A_MEMO_ENTRY = 3
MAX_MEMO = MAX_OPCODES // OPCODES_A_MEMO_ENTRY
STRETCH = 8192
"""Instructions between two looks at the stack, the memo and the bytes."""
MAX_STACK = 500_000
MAX_CODE = 40 << 20
"""Bytes of a pickle that are neither arrays nor texts worth counting."""
MAX_TEXT = 96 << 20
MAX_SHORT_TEXT = 24 << 20
MAX_GLOBALS = 10_000
MAX_NAME = 2000
MAX_LINE = 65_536
SHORT_LINE = 128

SHORT_TEXT = 64
"""Texts up to this are bounded by the number of opcodes."""
LONG_TEXT = 4096
"""Texts up to this are counted against MAX_SHORT_TEXT, longer ones (arrays that were written as text) against MAX_TEXT."""

_WIDE = re.compile(rb"[\xc4-\xff]")
"""A character that takes two or four bytes in memory, and makes all others of its text take as many."""

_INT = struct.Struct("<i")
_UINT = struct.Struct("<I")

Shortcut = Callable[["Walk", int], int]
"""Takes many instructions in one step from byte `position` on, if it knows them; returns where it stopped."""


def walk_pickle(
    data: memoryview | bytes,
    constructors: Mapping[str, Constructor],
    persistent_load: PersistentLoad | None = None,
    start: int = 0,
    shortcut: Shortcut | None = None,
    opcodes: int = MAX_OPCODES,
    given: int = 0,
) -> Walk:
    """Describe the pickle that begins at byte `start` of `data`; the result has `root`, `globals` and `position`.

    `constructors` maps dotted names to functions of ours that turn a call's arguments into a description;
    `persistent_load` does the same for persistent ids (torch's storages). A `shortcut` may leave out memo entries
    that are hardly ever asked for: if one is, the pickle is walked again without it. At most `opcodes` instructions
    are walked. `given` are the bytes of the file that somebody gave: what is in memory may grow with them.

    Raises:
        PickleCutShort: the bytes end inside the pickle.
        PickleError: the bytes are no pickle, or exceed a limit of this module.
    """
    if shortcut is not None:
        try:
            return Walk(data, constructors, persistent_load, shortcut, opcodes, given).run(start)
        except _Forgotten:
            pass
    return Walk(data, constructors, persistent_load, None, opcodes, given).run(start)


class _Forgotten(Exception):
    """The pickle asks for a memo entry that the shortcut did not keep."""


class Walk:
    """One pass over one pickle: its stack, its memo, and what it named.

    Once it has run, `root` is the described object, `globals` is what the pickle names (by dotted name, in order of
    first mention), and `position` is the byte behind its last one. When it fails, `globals` holds what came before.
    """

    def __init__(
        self,
        data: memoryview | bytes,
        constructors: Mapping[str, Constructor],
        persistent_load: PersistentLoad | None,
        shortcut: Shortcut | None,
        opcodes: int = MAX_OPCODES,
        given: int = 0,
    ) -> None:
        self.data = data
        self.end = len(data)
        self.constructors = constructors
        self.persistent_load = persistent_load
        self.shortcut = shortcut
        self.opcodes = opcodes
        self.most_objects = opcodes // OPCODES_AN_OBJECT
        self.most_memo = opcodes // OPCODES_A_MEMO_ENTRY
        self.most_text = max(MAX_TEXT, 2 * given)
        self.most_code = max(MAX_CODE, given)
        self.shortened = False
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {} if shortcut is None else Memo()
        self.globals: dict[str, Global] = {}
        self.root: Any = None
        self.position = 0
        self.objects = 0
        self.text = 0
        self.short_text = 0
        self.viewed = 0
        self.finished = False

    def run(self, start: int) -> Walk:
        """Walk from byte `start` to the end of the pickle."""
        try:
            position = start
            for _ in range(-(-self.opcodes // STRETCH)):
                position = self._stretch(position)
                if self.finished:
                    return self
                self._check_room(position, start)
            raise PickleTooLarge(f"the pickle has more than {self.opcodes:,} instructions", position)
        except PickleError as error:
            error.globals = self.globals
            raise
        except (KeyError, ValueError, UnicodeError, OverflowError, TypeError) as error:
            if self.shortened and isinstance(error, KeyError):
                raise _Forgotten from None
            invalid = PickleError(f"not a valid pickle ({type(error).__name__})", self.position)
            invalid.globals = self.globals
            raise invalid from None

    def _check_room(self, position: int, start: int) -> None:
        if max(len(self.stack), len(self.marks)) > MAX_STACK or len(self.memo) > self.most_memo:
            raise PickleTooLarge("the pickle is nested too deep, or keeps too much for later", position)
        if position - start - self.viewed - self.text - self.short_text > self.most_code:
            raise PickleTooLarge(f"the pickle has more than {self.most_code:,} bytes of instructions", position)

    def _stretch(self, position: int) -> int:
        """Walk some thousand instructions from byte `position` on; returns where that ended."""
        data, stack, memo, marks = self.data, self.stack, self.memo, self.marks
        push, pop, rare, shortcut = stack.append, stack.pop, RARE, self.shortcut
        unpack_int, unpack_uint = _INT.unpack_from, _UINT.unpack_from
        try:
            for _ in range(STRETCH):
                op = data[position]
                position += 1
                # The opcodes that make up a state dict, most frequent first; all others are in the table of rare ones.
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
                elif op == 0x58:  # BINUNICODE
                    length = unpack_uint(data, position)[0]
                    position += 4
                    if position + length > self.end:
                        raise PickleCutShort("the pickle breaks off inside a text", self.end)
                    if length > SHORT_TEXT:
                        self.position = position
                        push(self.text_of(self.view(length)))
                    else:
                        push(str(data[position : position + length], "utf-8", "surrogatepass"))
                    position += length
                elif op == 0x74:  # TUPLE
                    mark = marks.pop()
                    items = tuple(stack[mark:])
                    del stack[mark:]
                    push(items)
                elif op == 0x52:  # REDUCE, and where that made a tensor, maybe many more behind it
                    arguments = pop()
                    self.position = position
                    stack[-1] = self.call(stack[-1], arguments)
                    if shortcut is not None:
                        position = self._after_put(position, shortcut)
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
                elif op == 0x73:  # SETITEM, and maybe more of the small mappings in a state dict's _metadata
                    value, key = pop(), pop()
                    self.position = position
                    self.set_items(stack[-1], [key, value])
                    if shortcut is not None:
                        position = shortcut(self, position)
                elif op == 0x2E:  # STOP
                    self.position = position
                    self.root = pop()
                    self.finished = True
                    return position
                else:
                    self.position = position
                    handler = rare[op]
                    if handler is None:
                        raise PickleError(f"byte 0x{op:02x} is no pickle instruction", position - 1)
                    handler(self)
                    position = self.position
        except (IndexError, struct.error):
            self.position = position
            if position + 8 >= self.end:
                raise PickleCutShort("the pickle breaks off", self.end) from None
            raise PickleError("the pickle takes more from its stack than it put there", position) from None
        return position

    def _after_put(self, position: int, shortcut: Shortcut) -> int:
        """The memo put that follows a REDUCE, if one does, and then the shortcut; returns where they ended."""
        op = self.data[position]
        if op == 0x71:
            self.memo[self.data[position + 1]] = self.stack[-1]
            return shortcut(self, position + 2)
        if op == 0x72:
            self.memo[_UINT.unpack_from(self.data, position + 1)[0]] = self.stack[-1]
            return shortcut(self, position + 5)
        return position

    def take(self, count: int) -> bytes:
        """The next `count` bytes, after a check that they exist."""
        return bytes(self.view(count))

    def view(self, count: int) -> memoryview:
        """The next `count` bytes, where they lie."""
        start = self.position
        if start + count > self.end:
            raise PickleCutShort("the pickle breaks off", self.end)
        self.position = start + count
        return memoryview(self.data)[start : start + count]

    def count_object(self, count: int = 1) -> None:
        """To be called for each mapping, list and call: they take more memory than their opcode took in the file."""
        self.objects += count
        if self.objects > self.most_objects:
            raise PickleTooLarge(f"the pickle builds more than {self.most_objects:,} objects", self.position)

    def count_copy(self, made: Any) -> None:
        """To be called for what a few bytes copied: they may do so again and again."""
        if isinstance(made, bytes):
            self.count_text(len(made))
        elif type(made) is tuple or isinstance(made, dict):
            self.count_object(len(made) // (2 if isinstance(made, dict) else 16))

    def count_text(self, length: int) -> None:
        """To be called for each text, and each copy of bytes, that is not short."""
        if length > LONG_TEXT:
            self.text += length
        elif length > SHORT_TEXT:
            self.short_text += length
        if self.text > self.most_text or self.short_text > MAX_SHORT_TEXT:
            limit = self.most_text if self.text > self.most_text else MAX_SHORT_TEXT
            raise PickleTooLarge(f"the pickle holds more than {limit:,} bytes of text", self.position)

    def text_of(self, raw: memoryview) -> str:
        """A text, after a check of what it will take."""
        wide = len(raw) > LONG_TEXT and _WIDE.search(raw) is not None
        self.count_text(4 * len(raw) if wide else len(raw))
        return str(raw, "utf-8", "surrogatepass")

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def line(self) -> bytes:
        window = bytes(self.data[self.position : self.position + SHORT_LINE])
        length = window.find(b"\n")
        if length < 0:
            window = bytes(self.data[self.position : self.position + MAX_LINE])
            length = window.find(b"\n")
            self.count_text(length)
        if length < 0:
            if self.position + MAX_LINE > self.end:
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

    def memoize(self) -> None:
        """Put what is on top behind all entries, where their number is known: a shortcut does not keep all."""
        if self.shortened:
            raise KeyError("memo")
        self.put(len(self.memo))

    def named(self, module: Any, name: Any) -> Global:
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError("a name to import is no text", self.position)
        if len(module) + len(name) > MAX_NAME:
            raise PickleError(f"a name to import of {len(module) + len(name):,} characters", self.position)
        dotted = f"{module}.{name}"
        known = self.globals.get(dotted)
        if known is None:
            if len(self.globals) >= MAX_GLOBALS:
                raise PickleTooLarge(f"the pickle names more than {MAX_GLOBALS:,} globals", self.position)
            known = self.globals[dotted] = Global(module, name, self.constructors.get(dotted))
        return known

    def call(self, callee: Any, arguments: Any) -> Any:
        """The description of `callee(*arguments)`: ours where the table knows it, else an inert Call."""
        self.count_object()
        if type(callee) is Global:
            if callee.constructor is not None and type(arguments) is tuple:
                described = callee.constructor(arguments)
                self.count_copy(described)
                if described is not NotImplemented:
                    return described
            if callee.given is None:
                callee.given = arguments
        return Call(callee, arguments)

    def persistent(self, identity: Any) -> Any:
        if self.persistent_load is None:
            raise PickleError("the pickle refers to something outside of itself", self.position)
        found = self.persistent_load(identity)
        if isinstance(found, Call):
            self.count_object()
        return found

    def set_items(self, target: Any, flat: list[Any]) -> None:
        if len(flat) % 2:
            raise PickleError("a key of the pickle has no value", self.position)
        into = target
        if isinstance(target, Call):
            into = target.pairs = target.pairs if target.pairs is not None else {}
        if not isinstance(into, dict):
            raise PickleError("the pickle stores items in something that is no mapping", self.position)
        keys = flat[::2]
        if set(map(type, keys)) != {str}:
            keys = list(map(as_dict_key, keys))
            self.count_text(sum(len(key.text) for key in keys if isinstance(key, TupleKey)))
        into.update(zip(keys, flat[1::2], strict=True))

    def extend(self, target: Any, values: list[Any]) -> None:
        into = target
        if isinstance(target, Call):
            into = target.items = target.items if target.items is not None else []
        if not isinstance(into, list):
            raise PickleError("the pickle appends to something that is no list", self.position)
        into.extend(values)

    def build(self, target: Any, state: Any) -> None:
        if not isinstance(target, Call | InertDict):
            return  # attributes of a plain value: nothing we describe has any
        if isinstance(target.state, dict) and isinstance(state, dict):
            target.state = {**target.state, **state}
            self.count_copy(target.state)
        else:
            target.state = state
