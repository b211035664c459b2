"""A file on a web server: parts of it by range requests, through the session of fsspec's HTTP file system."""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import Coroutine, Generator, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from ckpt_explorer.errors import SourceError
from ckpt_explorer.reading.sources.address import PACKAGES, Address
from ckpt_explorer.reading.sources.unreachable import (
    ELSE,
    ConnectionCut,
    NoRanges,
    changed,
    empty,
    package_missing,
    refused_by_status,
    stalled,
)
from ckpt_explorer.text import visible

if TYPE_CHECKING:
    from aiohttp import ClientResponse

CHUNK = 512 << 10
SMALL = 1 << 20
"""A file of no more bytes is taken as a whole from a server that sends no parts: a web page, an LFS pointer, ..."""

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")

_T = TypeVar("_T")


class WebFile:
    """One file, asked for in parts. `size` is None before the first answer, or where the server never says.

    Proxies and passwords are taken from the environment and ~/.netrc, as other downloaders do. Not for use by two
    threads at once.
    """

    def __init__(self, address: Address, stall: float) -> None:
        try:
            import aiohttp
            from fsspec.implementations.http import HTTPFileSystem  # type: ignore[import-untyped]
        except ImportError:
            raise package_missing(address, PACKAGES[address.scheme]) from None
        self.size: int | None = None
        self._address, self._stall, self._tag = address, stall, ""
        limits = aiohttp.ClientTimeout(total=None, connect=stall, sock_connect=stall, sock_read=stall)
        self._files = HTTPFileSystem(
            skip_instance_cache=True,  # else a session for every thread that ever asked would stay open for good
            client_kwargs={"timeout": limits, "trust_env": True, "auto_decompress": False, "read_bufsize": CHUNK},
        )

    def first(self, count: int) -> bytes:
        """The first `count` bytes, from one request that also tells the size: all, where the file is small.

        No HEAD request: addresses that are signed for GET refuse it.

        Raises:
            NoRanges: the server sends only all of it, or does not say how long it is.
            SourceError: any other reason why it can't be read.
        """
        answer = self._ask(0, count)
        try:
            if answer.status == 200:
                return self._small(answer)
            if self.size is None:
                raise NoRanges(self._address, None)
            return b"".join(self._body(answer, 0, min(count, self.size)))
        finally:
            self._close(answer)

    def chunks(self, start: int, stop: int | None) -> Generator[bytes, None, None]:
        """The bytes from `start` to before `stop` (None: to the end) as they arrive, at most CHUNK at once.

        Raises:
            ConnectionCut: it ended before.
            NoRanges: the server sends only all of it.
            SourceError: any other reason why it can't be read.
        """
        answer = self._ask(start, stop)
        try:
            if answer.status == 200 and (start or stop is not None):
                raise NoRanges(self._address, self.size)
            yield from self._body(answer, start, stop)
        finally:
            self._close(answer)

    def _small(self, answer: ClientResponse) -> bytes:
        """All of a file that the server sends as a whole, if it is no longer than SMALL."""
        if self.size is not None and self.size > SMALL:
            raise NoRanges(self._address, self.size)
        got = bytearray()
        for chunk in self._body(answer, 0, self.size):
            got += chunk
            if len(got) > SMALL:
                raise NoRanges(self._address, None)
        self.size = len(got)
        if not got:
            raise empty(self._address)
        return bytes(got)

    def _ask(self, start: int, stop: int | None) -> ClientResponse:
        """The server's answer, checked: its status, and that it is about the bytes that were asked for."""
        headers = {"Accept-Encoding": "identity"}
        if start or stop is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        with self._told(start):
            answer = self._wait(self._get(headers))
        try:
            self._check(answer, start)
        except SourceError:
            self._close(answer)
            raise
        return answer

    async def _get(self, headers: dict[str, str]) -> ClientResponse:
        import yarl

        session = await self._files.set_session()
        url = yarl.URL(self._address.text, encoded=self._address.encoded)
        # Each read has its own limit; this one is for a server that sends its headers byte by byte.
        async with asyncio.timeout(3 * self._stall):
            answer: ClientResponse = await session.get(url, headers=headers)
        return answer

    def _check(self, answer: ClientResponse, start: int) -> None:
        status = answer.status
        if self._address.scheme == "https" and answer.url.scheme != "https":
            raise SourceError(
                f"{self._address.shown} leads to an address without TLS, where anybody on the way could change the file: "
                "give an address that stays https://."
            )
        said = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if status == 416:
            raise empty(self._address) if self.size is None else changed(self._address)
        if status not in (200, 206):
            raise refused_by_status(self._address, status)
        if status == 206 and (said is None or int(said[1]) != start):
            raise NoRanges(self._address, self.size)
        size = answer.content_length if said is None else int(said[3]) if said[3].isdigit() else None
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if (self._tag and tag and tag != self._tag) or (size and self.size and size != self.size):
            raise changed(self._address)
        self.size, self._tag = self.size or size, self._tag or tag

    def _body(self, answer: ClientResponse, start: int, stop: int | None) -> Iterator[bytes]:
        at, end = start, stop if stop is not None else self.size
        while end is None or at < end:
            with self._told(at):
                chunk = self._wait(answer.content.read(CHUNK))
            if not chunk:
                if end is not None:
                    raise ConnectionCut(self._address, at, self.size)
                return
            chunk = chunk if end is None else chunk[: end - at]
            at += len(chunk)
            yield chunk

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of `work`, done by fsspec's thread; given up when this thread is interrupted."""
        future = asyncio.run_coroutine_threadsafe(work, self._files.loop)
        try:
            while not wait([future], timeout=1).done:  # an endless wait could not be interrupted everywhere
                pass
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _close(self, answer: ClientResponse) -> None:
        """End the answer: its connection is closed, unless all of it was read."""
        self._files.loop.call_soon_threadsafe(answer.close)

    @contextmanager
    def _told(self, at: int) -> Iterator[None]:
        """Whatever goes wrong with the network, in one sentence. aiohttp's own texts may hold the whole address."""
        import aiohttp

        host = self._address.host
        try:
            yield
        except TimeoutError:
            raise stalled(self._address, self._stall) from None
        except aiohttp.ClientSSLError as error:
            raise SourceError(
                f"{host} can't prove that it is {host} ({_tls_reason(error)}): check the address and this machine's clock, {ELSE}."
            ) from None
        except aiohttp.ClientProxyConnectionError:
            raise SourceError(
                f"The proxy on the way to {host} does not answer: check HTTPS_PROXY where this runs."
            ) from None
        except aiohttp.ClientConnectorDNSError as error:
            raise SourceError(
                f"There is no host {visible(error.host)}: check the address, and this machine's connection to the network."
            ) from None
        except aiohttp.ClientConnectorError as error:
            there = f"{visible(error.host)}:{error.port}"
            if error.errno == errno.ECONNREFUSED:
                raise SourceError(f"{there} refuses connections: check the port, and that its server runs.") from None
            raise SourceError(f"There is no way to {there}: check the network of the machine that runs this.") from None
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            raise ConnectionCut(self._address, at, self.size) from None
        except aiohttp.TooManyRedirects:
            raise SourceError(
                f"{self._address.shown} is redirected in circles: open it in a browser, and give the address that it ends at."
            ) from None
        except aiohttp.ClientResponseError as error:
            if error.status in (0, 400):  # what it sent is no HTTP
                raise SourceError(
                    f"{host} does not answer as a web server does: check the address and the port."
                ) from None
            raise refused_by_status(self._address, error.status) from None
        except (aiohttp.ClientError, ValueError):
            raise SourceError(f"{self._address.shown} can't be asked for: check the address.") from None


def _tls_reason(error: Exception) -> str:
    """OpenSSL's own words, such as "self-signed certificate"; they hold no address."""
    reason = re.search(r"certificate verify failed: ([A-Za-z0-9 \-]{1,60})", str(error))
    return reason[1].strip() if reason else "no secure connection"
