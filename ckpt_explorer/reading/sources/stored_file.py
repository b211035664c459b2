"""A file in an object store or on a file server (s3, gs, hf, az, sftp, ...), through fsspec's file system for it."""

from __future__ import annotations

import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from ckpt_explorer.errors import SourceError
from ckpt_explorer.reading.sources.address import PACKAGES, Address
from ckpt_explorer.reading.sources.unreachable import ELSE, ConnectionCut, empty, package_missing, stalled

PIECE = 4 << 20
"""Bytes of one request: fsspec returns them in one piece, so this is what is in memory at once."""

PATIENCE = 3
"""How often the time without a byte one request may take, as nobody sees the bytes of a piece arrive."""


class StoredFile:
    """One file, asked for in parts. `size` is None before the first answer. Not for use by two threads at once."""

    def __init__(self, address: Address, stall: float) -> None:
        self.size: int | None = None
        self._address, self._stall = address, stall
        self._store = Store(address, stall)

    def first(self, count: int) -> bytes:
        """The first `count` bytes; `size` is known after.

        Raises:
            SourceError: there is no such file, it is a folder, or it may not be read.
        """
        found = self._store.ask("info", self._store.path)
        if found.get("type") == "directory":
            raise SourceError(f"{self._address.shown} is a folder: give the address of a file in it.")
        size = found.get("size")
        if type(size) is not int or size < 0:
            raise SourceError(
                f"{self._address.host} does not say how long {self._address.shown} is: download it, and open the file."
            )
        if not size:
            raise empty(self._address)
        self.size = size
        return b"".join(self.chunks(0, min(count, size)))

    def chunks(self, start: int, stop: int | None) -> Generator[bytes, None, None]:
        """The bytes from `start` to before `stop` (None: to the end), at most PIECE at once.

        Raises:
            ConnectionCut: it ended before.
            SourceError: any other reason why it can't be read.
        """
        if self.size is None:
            self.first(0)
        end = (self.size or 0) if stop is None else stop
        while start < end:
            piece = self._store.read(self._store.path, start, min(start + PIECE, end))
            if not piece:
                raise ConnectionCut(self._address, start, self.size)
            yield piece[: end - start]
            start += len(piece)


class Store:
    """fsspec's file system for an address, every question to it with a limit of time and its failures as a sentence."""

    def __init__(self, address: Address, stall: float) -> None:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]

        self._address, self._stall = address, stall
        options = _OPTIONS.get(address.scheme, _NONE)
        with self._told():
            try:
                self._files, self.path = url_to_fs(address.text, skip_instance_cache=True, **options)
            except ImportError:
                raise package_missing(address, PACKAGES[address.scheme]) from None

    def ask(self, what: str, *given: Any, **named: Any) -> Any:
        """The answer of the file system's method `what`.

        Raises:
            SourceError: it has none, or not in time.
        """
        from fsspec.asyn import sync  # type: ignore[import-untyped]

        with self._told():
            if self._files.async_impl:
                work = getattr(self._files, f"_{what}")
                return sync(self._files.loop, work, *given, timeout=PATIENCE * self._stall, **named)
            return getattr(self._files, what)(*given, **named)

    def read(self, path: str, start: int, stop: int) -> bytes:
        """The bytes of `path` from `start` to before `stop`; fewer, or none, where the store sends fewer.

        Raises what `ask` raises.
        """
        options = _READING.get(self._address.scheme, _NONE)
        piece: bytes = self.ask("cat_file", path, start=start, end=stop, **options)
        return piece

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever goes wrong, in one sentence. The packages' own texts may hold keys and signatures."""
        shown = self._address.shown
        try:
            yield
        except SourceError:
            raise
        except TimeoutError:
            raise stalled(self._address, PATIENCE * self._stall) from None
        except (ConnectionError, socket.gaierror):
            raise SourceError(
                f"There is no way to {self._address.host}: check the address, and this machine's connection to the network."
            ) from None
        except FileNotFoundError:
            raise SourceError(f"There is no {shown}: check the address.") from None
        except PermissionError:
            raise SourceError(
                f"{shown} may not be read with the login that {PACKAGES[self._address.scheme]} finds here: check that login, {ELSE}."
            ) from None
        except (TypeError, AttributeError, NameError, LookupError, AssertionError):
            raise  # a bug, which must not pass for a fault of the network
        except Exception as error:  # noqa: BLE001  each package brings a family of errors of its own, of no common kind
            package = PACKAGES[self._address.scheme] or "fsspec"
            raise SourceError(
                f"{shown} can't be read ({package} says {type(error).__name__}): check the address and the login, {ELSE}."
            ) from None


_NONE: dict[str, Any] = {}
_OPTIONS: dict[str, dict[str, Any]] = {
    scheme: {"config_kwargs": {"connect_timeout": 10, "read_timeout": 20, "retries": {"max_attempts": 1}}}
    for scheme in ("s3", "s3a")
}
"""Against retries that nobody sees. Source: botocore.config.Config."""
_READING: dict[str, dict[str, Any]] = {"hf": {"cache_type": "none"}}
"""Against the 5 MiB that are read ahead otherwise. Source: fsspec.spec.AbstractBufferedFile."""
