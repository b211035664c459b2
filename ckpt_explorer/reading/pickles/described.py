"""What a pickle would build, described: names that are never imported, calls that are never made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Constructor = Callable[[tuple[Any, ...]], Any]
"""From the arguments of a call to our own description of its result; NotImplemented for arguments it does not know."""

PersistentLoad = Callable[[Any], Any]
"""From torch's name of a storage to our own description of it."""


class PickleError(Exception):
    """These bytes are no pickle that can be described; `position` is the byte at which that showed.

    `globals` holds what the pickle had named before.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} at byte {position:,}")
        self.position = position
        self.globals: dict[str, Global] = {}


class PickleCutShort(PickleError):
    """The bytes end in the middle of the pickle."""


class PickleTooLarge(PickleError):
    """It exceeds a limit of the walk: it may be honest, but no state dict is that large."""


class Global:
    """The name of something the file asks to import. It never is. `given` is what its first call would have got."""

    __slots__ = ("constructor", "given", "module", "name")

    def __init__(self, module: str, name: str, constructor: Constructor | None = None) -> None:
        self.module = module
        self.name = name
        self.constructor = constructor
        self.given: Any = None

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Call:
    """What the file asks to call or build, with all it was given: an object that never came to be.

    `items` and `pairs` are what was appended to it and stored in it afterwards, `state` is what `__setstate__` or
    `__dict__` would have got.
    """

    __slots__ = ("args", "callee", "items", "pairs", "state")

    def __init__(self, callee: Any, args: Any) -> None:
        self.callee = callee
        self.args = args
        self.state: Any = None
        self.items: list[Any] | None = None
        self.pairs: dict[Any, Any] | None = None

    @property
    def name(self) -> str:
        """The dotted name of the class or function, or `?` where that is itself the result of a call."""
        return str(self.callee) if isinstance(self.callee, Global) else "?"


class InertDict(dict[Any, Any]):
    """A mapping from the file; `state` holds attributes that were set on it (such as a state dict's `_metadata`)."""

    state: Any = None


class TupleKey:
    """A tuple of plain values, or a large number, that keys a mapping.

    Python's hash of either can be steered by whoever wrote the file, so that a million keys fall on one place and
    storing them takes days; the hash of a text can't.
    """

    __slots__ = ("text",)

    def __init__(self, parts: tuple[Any, ...] | int) -> None:
        self.text = repr(parts)

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TupleKey) and self.text == other.text

    def __str__(self) -> str:
        return self.text


_SCALARS = (str, int, float, bytes, type(None))
_SAFE_HASH = 1 << 60
MAX_KEY_PARTS, MAX_INNER_PARTS = 16, 4
MAX_KEY_PART = 300
"""Characters of a text, bytes of a byte string and bits of a number in such a key."""


def as_dict_key(key: Any) -> Any:
    """`key` where hashing it is cheap and safe, else a stand-in.

    Not safe: integers past 2**61 - 1, whose hashes wrap around and can all be made equal; a tuple nested a million
    deep, whose hash would overflow the C stack.
    """
    if isinstance(key, int):
        return key if -_SAFE_HASH < key < _SAFE_HASH else _key_of(key)
    if isinstance(key, str | bytes | float | None):
        return key
    return _key_of(key)


def _key_of(key: Any) -> TupleKey | Call:
    """A stand-in that says what the key is, where that is short; else one that is equal to no other."""
    parts = key if type(key) is tuple else (key,) if isinstance(key, int) else None
    if parts is not None and len(parts) <= MAX_KEY_PARTS and all(map(_is_short_or_few, parts)):
        return TupleKey(key)
    return Call(Global("", "key"), (key,))


def _is_short_or_few(part: Any) -> bool:
    return _is_short(part) or (type(part) is tuple and len(part) <= MAX_INNER_PARTS and all(map(_is_short, part)))


def _is_short(part: Any) -> bool:
    if isinstance(part, int):
        return part.bit_length() <= MAX_KEY_PART
    return isinstance(part, _SCALARS) and not (isinstance(part, str | bytes) and len(part) > MAX_KEY_PART)
