"""A shortcut through the long runs of a state dict: hundreds of tensors, each written by the same instructions.

torch.save writes a tensor of a state dict as some thirty pickle instructions that differ only in their operands. Here
one regular expression matches all thirty, and each column of operands is decoded at once.

Why that is the same as walking them: an instruction is one byte with operands whose length that byte (or a length in
front of a text, which is checked here) fixes, so bytes read from an instruction's start can be read in one way only;
a match that begins there is a parse. What the instructions do is checked, not assumed: that the memo entries they ask
for are the tensor's constructor, the word "storage" and a storage class, and that the entries they make are new and
count up. Of those, the key, the storage's name and the tensor are kept; no writer asks for the others again, and if a
file does, it is walked once more without this shortcut. Where a check fails, nothing was changed, and the walk goes on
instruction by instruction.

Source: `torch/_tensor.py` `__reduce_ex__`, `torch/serialization.py` `persistent_id`, `Lib/pickle.py` (protocol 2).
"""

from __future__ import annotations

import re
import struct
import sys
from array import array
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any

from ckpt_explorer.checkpoint import Storage, TensorInfo
from ckpt_explorer.reading.pickles.claims import are_possible, infos_of
from ckpt_explorer.reading.pickles.described import Global, InertDict
from ckpt_explorer.reading.pickles.inert_pickle import Shortcut, Walk
from ckpt_explorer.reading.pickles.memo import Memo
from ckpt_explorer.reading.pickles.torch_objects import StorageClaim, TensorClaim, as_claim, storage_dtype, tensor_v2

WINDOW = 32 << 10
"""Bytes decoded at once, some hundred rows, so that the columns stay small; a longer run goes on behind them."""

Patterns = tuple[tuple[re.Pattern[bytes], re.Pattern[bytes]], ...]
"""Of each form of the instructions, one row, and a run of them with what follows as its last group."""

FindColumns = Callable[[Sequence[str], Sequence[str], Sequence[int]], Sequence[Storage] | None]
"""From names, dtypes and elements of storages to where they lie; None where one is not there or is too short."""

_GET = rb"(?:h.|j....)"  # BINGET, LONG_BINGET
_NUMBER = rb"(?:K.|M..|J....)"  # BININT1, BININT2, BININT
_NUMBERS = rb"(\)|\((?:NNNNt|N{1,64}t)|N(?:\x85|N(?:\x86|N\x87)))".replace(b"N", _NUMBER)  # a tuple of them
_PUTS = (rb"r(....)", rb"q(.)")  # LONG_BINPUT, BINPUT


def _patterns(instructions: bytes) -> Patterns:
    """`instructions` as patterns with long memo puts, and with short ones."""
    spelled = instructions.replace(b"NUMBERS", _NUMBERS).replace(b"NUMBER", _NUMBER).replace(b"GET", _GET)
    spelled = spelled.replace(b"TEXT", rb"([^\0]{0,255})").replace(b"NAME", _NAME).replace(b" ", b"")
    rows = [spelled.replace(b"PUT", put) for put in _PUTS]
    return tuple((re.compile(row, re.DOTALL), re.compile(row + rb"|(.+)", re.DOTALL)) for row in rows)


_NAME = b"(" + b"|".join(rb"\x0%d\x00{3}\d{%d}" % (size, size) for size in (3, 4, 2, 1, 5, 6, 7)) + b")"
"""A number as a text of one to seven digits, with its length in front."""

_TENSOR = _patterns(
    rb"X(.)\0\0\0 TEXT PUT"  # the key: its length, its text, its memo index
    rb"(GET\(\(GET GET)"  # the constructor; "storage" and the storage's class
    rb"X NAME PUT"  # the storage's name
    rb"(GET NUMBER)tPUT Q"  # its device and its elements: a persistent id
    rb"(NUMBER) NUMBERS(?:PUT)? NUMBERS(?:PUT)?"  # offset, shape, stride
    rb"[\x88\x89](GET)\)R PUT t PUT R PUT"  # requires_grad, an OrderedDict() of hooks, the call
)
_VERSION = _patterns(rb"X(.)\0\0\0 TEXT PUT}PUT(GET)(NUMBER)s")
"""An entry of a state dict's `_metadata`: a module's name, and a dict with its version alone."""

_ONE_NUMBER = re.compile(rb"K(.)|M(..)|J(.{4})", re.DOTALL)
_NAME_SIZES = bytes(range(1, 8))
_NEW_TUPLE: Callable[..., Any] = tuple.__new__
"""Faster than the named tuples' own constructors, which want their fields one by one."""


class _Numbers(dict[bytes, tuple[int, ...]]):
    """From the instructions of a tuple of numbers to the tuple; most state dicts have few different ones."""

    def __missing__(self, raw: bytes) -> tuple[int, ...]:
        small = raw[raw[:1] == b"(" : -1]
        if small[::2] == b"K" * (len(small) // 2):  # all of them in one byte each
            found = tuple(small[1::2])
        else:
            numbers = _ONE_NUMBER.findall(raw)
            found = tuple([int.from_bytes(a or b or c, "little", signed=c != b"") for a, b, c in numbers])
        self[raw] = found
        return found


class _Number(dict[bytes, int]):
    """The same for a single number."""

    def __missing__(self, raw: bytes) -> int:
        found = self[raw] = int.from_bytes(raw[1:], "little", signed=raw[:1] == b"J")
        return found


def tensor_shortcut(find: FindColumns | None = None) -> Shortcut:
    """A shortcut for one walk: it takes runs of tensors, and of versions in `_metadata`, in one step each.

    With `find`, which knows where storages lie, the tensors are facts at once: none of them is ever a claim.
    """
    number, numbers = _Number(), _Numbers()
    fits = True

    def take(walk: Walk, position: int) -> int:
        nonlocal fits
        of_tensors = type(walk.stack[-1]) in (TensorClaim, TensorInfo)
        while fits and walk.data[position : position + 1] == b"X":
            columns, end = _columns(_TENSOR if of_tensors else _VERSION, walk.data, position)
            if not columns:
                break
            fits = (
                _take_tensors(walk, columns, number, numbers, find)
                if of_tensors
                else _take_versions(walk, columns, number)
            )
            walk.shortened = True
            position = end if fits else position
        return position

    return take


Column = tuple[bytes, ...]


def _columns(patterns: Patterns, data: bytes | memoryview, position: int) -> tuple[tuple[Column, ...], int]:
    """The operands of every row from `position` on, each directly behind the last, by columns; and where the last ends."""
    run = next((run for row, run in patterns if row.match(data, position)), None)
    if run is None:
        return (), position
    end = min(position + WINDOW, len(data))
    rows = run.findall(data, position, end)
    if rows[-1][-1]:
        end -= len(rows.pop()[-1])
    return tuple(zip(*rows, strict=True))[:-1], end


def _take_tensors(
    walk: Walk, columns: tuple[Column, ...], number: _Number, numbers: _Numbers, find: FindColumns | None
) -> bool:
    """Do what the instructions of these tensors do, or nothing and say False."""
    (
        key_sizes, keys, key_puts, makers, names, name_puts, sizes, identity_puts,
        offsets, shapes, shape_puts, strides, stride_puts, hooks, hook_puts, argument_puts, tensor_puts,
    ) = columns  # fmt: skip
    dtypes = {raw: _dtype_made_by(walk, raw) for raw in set(makers)}
    counts = {raw: number[raw[_get_size(raw, 0) :]] for raw in set(sizes)}
    if not (
        None not in dtypes.values()
        and all(_remembered(walk, raw[: _get_size(raw, 0)]) is not None for raw in {*counts, *hooks})
        and _sizes_fit(key_sizes, keys)
        and _puts_are_new(
            walk, key_puts, name_puts, identity_puts, shape_puts, stride_puts, hook_puts, argument_puts, tensor_puts
        )
    ):
        return False
    key_texts, name_texts = _texts(keys), _names(names)
    types = [dtypes[raw] or "" for raw in makers]
    elements, starts = list(map(counts.__getitem__, sizes)), list(map(number.__getitem__, offsets))
    sides, steps = list(map(numbers.__getitem__, shapes)), list(map(numbers.__getitem__, strides))
    tensors: list[Any]
    remembered: Sequence[Any]
    if find is None:
        storages = map(_NEW_TUPLE, repeat(StorageClaim), zip(name_texts, types, elements, repeat(0), strict=False))
        claims = zip(storages, starts, sides, steps, types, strict=True)
        remembered = tensors = list(map(_NEW_TUPLE, repeat(TensorClaim), claims))
    else:
        places = find(name_texts, types, elements)
        if places is None or not are_possible(sides, types, steps, starts, places):
            return False  # walked one by one, they are claims; and whoever looks at those says what is wrong
        tensors = infos_of(key_texts, sides, types, steps, starts, places)
        remembered = _AsClaims(tensors)
    _keep(walk, (key_puts, key_texts), (name_puts, name_texts), (tensor_puts, remembered))
    walk.stack.extend(chain.from_iterable(zip(key_texts, tensors, strict=True)))
    return True


class _AsClaims(Sequence[TensorClaim]):
    """Tensors as they are remembered: whatever is made of one that is mentioned again, is made of its claim."""

    def __init__(self, infos: list[TensorInfo]) -> None:
        self._infos = infos

    def __len__(self) -> int:
        return len(self._infos)

    def __getitem__(self, row: Any) -> Any:
        return as_claim(self._infos[row])


def _take_versions(walk: Walk, columns: tuple[Column, ...], number: _Number) -> bool:
    """The same for the small mappings of `_metadata`."""
    sizes, keys, key_puts, mapping_puts, words, versions = columns
    word, *others = (_remembered(walk, raw) for raw in set(words))
    if (
        type(word) is not str
        or any(type(other) is not str or other != word for other in others)
        or not _sizes_fit(sizes, keys)
        or not _puts_are_new(walk, key_puts, mapping_puts)
    ):
        return False
    texts = _texts(keys)
    mappings = [InertDict() for _ in versions]
    for mapping, raw in zip(mappings, versions, strict=True):
        mapping[word] = number[raw]
    _keep(walk, (key_puts, texts), (mapping_puts, mappings))
    walk.stack.extend(chain.from_iterable(zip(texts, mappings, strict=True)))
    return True


def _remembered(walk: Walk, raw: bytes) -> Any:
    """What BINGET or LONG_BINGET takes from the memo; None where there is nothing."""
    try:
        return walk.memo[int.from_bytes(raw[1:], "little")]
    except KeyError:
        return None


def _dtype_made_by(walk: Walk, raw: bytes) -> str | None:
    """The dtype of tensors that begin with these instructions: three that take the tensor's constructor, the word
    "storage" and a class of torch's from the memo; None where they take anything else."""
    first = _get_size(raw, 0)
    word = first + len("((")
    of_storage = word + _get_size(raw, word)
    constructor = _remembered(walk, raw[:first])
    if type(constructor) is not Global or constructor.constructor is not tensor_v2:
        return None
    if _remembered(walk, raw[word:of_storage]) != "storage":
        return None
    return storage_dtype(_remembered(walk, raw[of_storage:]))


def _get_size(raw: bytes, start: int) -> int:
    """Bytes of the BINGET or LONG_BINGET at `start`."""
    return 2 if raw[start : start + 1] == b"h" else 5


def _sizes_fit(sizes: Column, texts: Column) -> bool:
    """Does each text have the length that was written in front of it?"""
    return b"".join(sizes) == bytes(map(len, texts))


def _puts_are_new(walk: Walk, *columns: Column) -> bool:
    """Do the memo entries count up by one, as every pickler numbers them, and is none of them there yet?"""
    width = len(columns[0][0])  # and of all others: a pattern takes puts of one kind
    first = int.from_bytes(columns[0][0], "little")
    joined = b"".join(chain.from_iterable(zip(*columns, strict=True)))
    count = len(joined) // width
    if first + count > 256**width:
        return False
    if joined != _counting(first, count, width):
        return False
    if not isinstance(walk.memo, Memo) or first < walk.memo.stop:
        return False
    if len(walk.memo) < count and max(walk.memo, default=-1) < first:
        return True
    return walk.memo.keys().isdisjoint(range(first, first + count))


_INTEGER = {1: "B", 4: "I"}
_MANY = 1 << 15
_FIRST = struct.pack(f"<{_MANY}I", *range(_MANY))


def _counting(first: int, count: int, width: int) -> bytes:
    """The numbers from `first` on as the operands of puts; most files have no more than a few thousand."""
    if first + count <= _MANY:
        return _FIRST[4 * first : 4 * (first + count)] if width == 4 else bytes(range(first, first + count))
    return struct.pack(f"<{count}I", *range(first, first + count))


def _keep(walk: Walk, *rows: tuple[Column, Sequence[Any]]) -> None:
    """Put the values at the memo indexes beside them: the first of the first column is the lowest of all, and so on."""
    assert isinstance(walk.memo, Memo)
    columns = [(_indexes(puts), values) for puts, values in rows]
    walk.memo.add(columns[0][0][0], columns[-1][0][-1] + 1, columns)


def _indexes(puts: Column) -> array[int]:
    found = array(_INTEGER[len(puts[0])], b"".join(puts))
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _texts(raw: Column) -> list[str]:
    """All texts at once: no text that the patterns take has a zero byte in it."""
    return b"\0".join(raw).decode("utf-8", "surrogatepass").split("\0")


def _names(raw: Column) -> list[str]:
    """All numbers at once. What is in front of their lengths' three zero bytes is no digit."""
    return b"".join(raw).translate(None, _NAME_SIZES).decode("ascii").split("\0\0\0")[1:]
