"""What a file holds: tensors, state dicts, and everything else by name. Nothing here reads a tensor's bytes by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from math import prod
from operator import attrgetter, mul
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from ckpt_explorer.dtypes import ITEM_BYTES
from ckpt_explorer.errors import CheckpointExplorerError, Diagnosis
from ckpt_explorer.text import visible

if TYPE_CHECKING:
    import torch

    from ckpt_explorer.reading.sources.records import Records
    from ckpt_explorer.reading.sources.source import Source


class Span(NamedTuple):
    """The bytes from `start` to before `stop` of a source."""

    source: Source
    start: int
    stop: int


class Storage(Protocol):
    """A run of bytes in the file that one or more tensors are views of."""

    @property
    def name(self) -> str:
        """What the file calls it."""

    @property
    def size(self) -> int:
        """Bytes in it."""

    @property
    def big_endian(self) -> bool:
        """Whether its numbers have their highest byte first."""

    @property
    def place(self) -> Span | None:
        """The part of a file at an address that `read` will look at; None where all is here, or it is not known."""

    def read(self) -> memoryview:
        """Its bytes as a view of the file, checked against the file's own checksum where it has one."""


class TensorInfo(NamedTuple):
    """A tensor as the file describes it: `offset` and `stride` count elements of the storage."""

    key: str
    shape: tuple[int, ...]
    dtype: str
    stride: tuple[int, ...]
    offset: int
    storage: Storage
    composed: Composed | None = None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes of its elements (of a view: not of the whole storage; of a composed one: those of its parts)."""
        if self.composed is not None:
            return sum(part.size for part in self.composed.parts)
        return self.elements * ITEM_BYTES[self.dtype]


_SHAPE, _DTYPE, _COMPOSED = attrgetter("shape"), attrgetter("dtype"), attrgetter("composed")


class Composed(NamedTuple):
    """How a tensor is made of others: a sparse one of indices and values, a quantised one of integers and scales.

    `kind` is a row of `ckpt_explorer.compositions`, `detail` what that row needs beside the parts.
    """

    kind: str
    parts: tuple[TensorInfo, ...]
    detail: Any = None


@dataclass(frozen=True)
class StateDict(Mapping[str, TensorInfo]):
    """A mapping from key to tensor at one dotted `path` of a checkpoint; `""` is the top."""

    path: str
    tensors: Mapping[str, TensorInfo]

    def __getitem__(self, key: str) -> TensorInfo:
        return self.tensors[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    @property
    def elements(self) -> int:
        """Number of elements of all tensors together."""
        return sum(map(prod, map(_SHAPE, self.tensors.values())))

    @property
    def size(self) -> int:
        """Bytes of all tensors together; shared storages count once a tensor."""
        infos = self.tensors.values()
        if any(map(_COMPOSED, infos)):
            return sum(info.size for info in infos)
        return sum(map(mul, map(prod, map(_SHAPE, infos)), map(ITEM_BYTES.__getitem__, map(_DTYPE, infos))))

    def tensor(self, key: str) -> torch.Tensor:
        """Return the tensor under `key`, as a view of the file's bytes.

        Nothing is read before this call, and nothing is copied by it: the result shares memory with the file
        (read-only; `clone()` before changing it). Shape, stride, dtype and layout are the saved ones, on the CPU: a
        sparse tensor is sparse, a quantised one quantised. (What has to be put together is the exception, and a file
        written on a big-endian machine, whose bytes are turned round in a copy.)

        Raises:
            KeyError: no tensor has this key.
            CorruptCheckpoint: its bytes do not have the checksum that the file keeps for them, or its parts do not
                make the tensor that they claim to be.
        """
        from ckpt_explorer.tensors import tensor_from

        return tensor_from(self.tensors[key])

    def dense(self, key: str) -> torch.Tensor:
        """The tensor under `key` as a network takes it: sparse ones filled out, quantised ones as the floats they mean.

        Raises what `tensor` raises.
        """
        from ckpt_explorer.tensors import dense_from

        return dense_from(self.tensors[key])


GlobalKind = Literal["tensor", "data", "code"]


@dataclass(frozen=True)
class GlobalName:
    """Something the file asks to import, how far that goes (a tensor's parts, harmless data, or code), and what it would do."""

    name: str
    kind: GlobalKind
    says: str = ""


class Part(NamedTuple):
    """One file of a checkpoint: its bytes, and its records where the format keeps checksums of them."""

    source: Source
    records: Records | None


@dataclass(frozen=True)
class Entry:
    """One line of the file's contents: a value, a tensor, or a whole branch with what it holds, at a dotted path."""

    path: str
    kind: str
    says: str
    tensors: int = 0
    size: int = 0
    shape: tuple[int, ...] | None = None
    dtype: str | None = None


@dataclass(frozen=True)
class Checkpoint:
    """An opened file. Its tensors stay in the file; `close` lets go of it.

    `members` are the checkpoints of an archive, and `member` the one that was opened. `lost` are the keys of a broken
    file whose bytes are gone.
    """

    name: str
    format: str
    size: int
    state_dicts: tuple[StateDict, ...]
    selected: str
    entries: tuple[Entry, ...] = ()
    globals: tuple[GlobalName, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    written_by: str | None = None
    members: tuple[str, ...] = ()
    member: str = ""
    lost: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    on_close: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)

    @property
    def state_dict(self) -> StateDict:
        """The state dict that was selected: by default the one that convention prefers."""
        return self.state_dict_at(self.selected)

    def state_dict_at(self, path: str) -> StateDict:
        """The state dict at the dotted `path`.

        Raises:
            CheckpointExplorerError: there is none; the text names those there are.
        """
        for state_dict in self.state_dicts:
            if state_dict.path == path:
                return state_dict
        names = ", ".join(repr(visible(state_dict.path)) for state_dict in self.state_dicts[:10])
        raise CheckpointExplorerError(
            f"{visible(self.name)} has no state dict at {visible(path)!r}: it has {names or 'none'}."
        )

    def select(self, path: str) -> Checkpoint:
        """The same checkpoint with the state dict at `path` selected."""
        return replace(self, selected=self.state_dict_at(path).path)

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits that tell this file from others, whatever it is called: of its size, and of every tensor's key,
        shape, dtype and place.

        No tensor is read. So files that differ in nothing but values, as two epochs of one training may, share it.
        """
        digest = blake2b(repr((self.size, len(self.state_dicts))).encode(), digest_size=16)
        for state_dict in self.state_dicts:
            digest.update(repr(state_dict.path).encode())
            digest.update(
                "\n".join(
                    f"{info.key!r}{info.shape}{info.dtype}{info.stride}{info.offset} {info.storage.size}"
                    for info in state_dict.values()
                ).encode("utf-8", "surrogatepass")
            )
        return digest.hexdigest()

    def close(self) -> None:
        """Let go of the file. Tensors that were taken from it stay valid until they are dropped."""
        self.on_close()
