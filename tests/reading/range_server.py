"""A web server on this machine that sends parts of a file, or misbehaves in one of the ways that servers do."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Site:
    """What the server has and how it behaves; both may be changed while it runs.

    `files` by path without the first slash. `cut_after` and `stall_after` count the bytes of each answer's body.
    """

    files: dict[str, bytes]
    url: str = ""
    ranges: bool = True
    length: bool = True
    status: int | None = None
    etag: str | None = '"one"'
    redirect: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    cuts: int = 1_000_000
    stall_after: int | None = None
    password: str | None = None
    asked: list[str] = field(default_factory=list)
    sent: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def requests(self) -> int:
        """How many were answered up to now."""
        return len(self.asked)


@contextmanager
def served(**behaviour: Any) -> Iterator[Site]:
    """A running server of `Site(**behaviour)` on a free port of 127.0.0.1."""
    site = Site(**behaviour)

    class Answer(_Answer):
        def __init__(self, *given: Any) -> None:
            self.site = site
            super().__init__(*given)

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        server.block_on_close = False
        site.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="range server", daemon=True)
        thread.start()
        try:
            yield site
        finally:
            site.over.set()
            server.shutdown()
            thread.join()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        site, path = self.site, unquote(self.path.partition("?")[0]).lstrip("/")
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        site.asked.append(f"{path} {wanted[0] if wanted else 'all'}")
        if path in site.redirect:
            return self._head(302, 0, {"Location": site.redirect[path]})
        if site.password is not None and self.headers.get("Authorization") != site.password:
            return self._head(401, 0, {})
        if site.status or path not in site.files:
            return self._head(site.status or 404, 0, {})
        content = site.files[path]
        headers = {"ETag": site.etag} if site.etag else {}
        if wanted is None or not site.ranges:
            self._head(200, len(content) if site.length else None, headers)
            return self._send(content)
        start, stop = int(wanted[1]), min(int(wanted[2] or len(content)) + 1, len(content))
        if start >= len(content):
            return self._head(416, 0, {"Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content) if site.length else '*'}"
        self._head(206, stop - start, headers)
        return self._send(content[start:stop])

    def _head(self, status: int, length: int | None, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is None:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, body: bytes) -> None:
        site = self.site
        end = len(body)
        if site.cut_after is not None and site.cuts and site.cut_after < end:
            site.cuts -= 1
            end = site.cut_after
            self.close_connection = True
        if site.stall_after is not None:
            end = min(end, site.stall_after)
        with suppress(ConnectionError):
            for start in range(0, end, 64 << 10):
                piece = body[start : min(start + (64 << 10), end)]
                self.wfile.write(piece)
                site.sent += len(piece)
            if site.stall_after is not None and end < len(body):
                self.wfile.flush()
                site.over.wait(60)
                self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing: the tests count requests by themselves."""
