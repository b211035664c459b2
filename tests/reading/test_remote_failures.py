"""Servers that do not give what they are asked for: each is told apart in one sentence, which shows no secret."""

from __future__ import annotations

import re
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from ckpt_explorer.errors import SourceError
from ckpt_explorer.reading.sources.ranges import BLOCK
from ckpt_explorer.reading.sources.remote import NoRanges, remote_source
from tests.reading.range_server import served

BYTES = bytes(range(251)) * 12_000
"""3 MB."""
STALL = 0.4
"""Seconds."""


def refusal(act: Callable[..., object], *given: Any, **options: Any) -> str:
    """The one sentence with which `act` is refused."""
    with pytest.raises(SourceError) as caught:
        act(*given, **options)
    said = str(caught.value)
    assert said.endswith(".") and "\n" not in said
    assert caught.value.__suppress_context__ or caught.value.__context__ is None, "a traceback would show the context"
    return said


def read(address: str) -> bytes:
    return bytes(remote_source(address, stall=STALL).view())


def test_no_ranges_a_stall_and_a_cut_are_told_apart_in_time() -> None:
    said = []
    for behaviour in ({"ranges": False}, {"stall_after": 50_000}, {"cut_after": 100_000}):
        with served(files={"model.pth": BYTES}, **behaviour) as site:
            started = time.monotonic()
            text = refusal(read, f"{site.url}/model.pth").replace(site.url.removeprefix("http://"), "HOST")
            said.append(re.sub(r"near [0-9.]+ (bytes|KiB)", "near N KiB", text))
            assert time.monotonic() - started < 5 * STALL
    assert said == [
        "HOST sends model.pth only as a whole (2.9 MiB): let all of it be fetched, or download it another way, and open the file.",
        "HOST sent nothing of model.pth for 0.4 seconds: check the network, try again later, or download it another way, and open the file.",
        "HOST cut the connection near N KiB of 2.9 MiB of model.pth, twice: try again later, or download it another way, and open the file.",
    ]


def test_the_same_three_later_in_the_file() -> None:
    for behaviour, says in (
        ({"ranges": False}, "only as a whole"),
        ({"stall_after": 9_000}, "sent nothing"),
        ({"cut_after": 300_000}, "of 2.9 MiB of model.pth, twice"),
        ({"status": 503}, "a fault of its own (503)"),
        ({"status": 403}, "may not be read (403)"),
        ({"etag": '"two"'}, "was changed on its server"),
        ({"files": {"model.pth": BYTES + b"more"}, "etag": None}, "was changed on its server"),
        ({"files": {"model.pth": BYTES[:100]}}, "was changed on its server"),
    ):
        with served(files={"model.pth": BYTES}) as site:
            source = remote_source(f"{site.url}/model.pth", stall=STALL)
            for name, value in behaviour.items():
                setattr(site, name, value)
            assert says in refusal(source.view)
            assert bytes(source.view(0, BLOCK)) == BYTES[:BLOCK], "what had come is still here"


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "is only for those who say who they are (401): give an address with a token"),
        (403, "may not be read (403): the link may have expired"),
        (404, "There is no http"),
        (410, "is gone from its server (410)"),
        (418, "does not give it out (418): check the address"),
        (429, "too many questions (429): wait"),
        (500, "a fault of its own (500): try again later"),
    ],
)
def test_each_status_has_its_sentence(status: int, says: str) -> None:
    with served(files={}, status=status) as site:
        for fetch_all in (False, True):
            assert says in refusal(remote_source, f"{site.url}/model.pth", fetch_all=fetch_all)


def test_no_ranges_carries_the_size_where_it_is_said() -> None:
    for length, size, says in ((True, len(BYTES), "(2.9 MiB)"), (False, None, "does not say how long it is")):
        with served(files={"model.pth": BYTES}, ranges=False, length=length) as site:
            with pytest.raises(NoRanges, match="only as a whole") as caught:
                remote_source(f"{site.url}/model.pth")
            assert caught.value.size == size
            assert says in str(caught.value)


def test_ranges_of_a_file_without_length_are_of_no_use() -> None:
    with served(files={"model.pth": BYTES}, length=False) as site, pytest.raises(NoRanges, match="does not say"):
        remote_source(f"{site.url}/model.pth")


def test_an_empty_file_is_called_empty() -> None:
    for ranges in (True, False):
        with served(files={"model.pth": b""}, ranges=ranges) as site:
            assert "is an empty file" in refusal(read, f"{site.url}/model.pth")


def test_a_redirect_in_circles_is_ended() -> None:
    with served(files={}, redirect={"a": "/b", "b": "/a"}) as site:
        assert "redirected in circles" in refusal(read, f"{site.url}/a")


def test_an_unknown_host_and_a_refused_connection() -> None:
    assert "There is no host no-such-host.invalid" in refusal(remote_source, "https://no-such-host.invalid/a.pth")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert refusal(read, f"http://127.0.0.1:{port}/a.pth").startswith(f"127.0.0.1:{port} refuses connections")


def test_a_proxy_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://user:secret@127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "")
        assert refusal(read, "http://example.com/a.pth").startswith("The proxy on the way to example.com does not")


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port of 127.0.0.1 at which every connection is answered by `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, suppress(OSError):
                        answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_port_that_speaks_something_else_is_told() -> None:
    def ssh(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

    with answering(ssh) as port:
        assert "does not answer as a web server does" in refusal(read, f"http://127.0.0.1:{port}/a.pth")
    with answering(lambda connection: connection.sendall(b"")) as port:
        assert "cut the connection near 0 bytes" in refusal(read, f"http://127.0.0.1:{port}/a.pth")


def claiming(size: int) -> Callable[[socket.socket], None]:
    """An answer of 128 KiB that is said to be the beginning of `size` bytes; the next is cut."""

    def answer(connection: socket.socket) -> None:
        if b"bytes=0-" in connection.recv(1000):
            head = f"HTTP/1.1 206 Part\r\nContent-Range: bytes 0-{BLOCK - 1}/{size}\r\nContent-Length: {BLOCK}\r\n\r\n"
            connection.sendall(head.encode() + bytes(BLOCK))

    return answer


def test_a_size_that_no_checkpoint_has_is_refused_and_a_large_one_takes_no_room() -> None:
    with answering(claiming(10**17)) as port:
        assert "1.0 TiB at most are fetched" in refusal(read, f"http://127.0.0.1:{port}/a.pth")
    with answering(claiming(1 << 39)) as port:
        before = shutil.disk_usage(tempfile.gettempdir()).free
        source = remote_source(f"http://127.0.0.1:{port}/a.pth", stall=STALL)
        assert (source.size, bytes(source.view(0, 4))) == (1 << 39, bytes(4))
        assert "cut the connection near 512.0 GiB of 512.0 GiB" in refusal(source.view, -1)
        assert before - shutil.disk_usage(tempfile.gettempdir()).free < 1 << 30


def test_a_server_that_drips_its_headers_is_given_up() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: y\r\n")
            time.sleep(STALL / 4)

    started = time.monotonic()
    with answering(drip) as port:
        assert "sent nothing" in refusal(read, f"http://127.0.0.1:{port}/a.pth")
    assert time.monotonic() - started < 8 * STALL


def test_a_secret_in_an_address_is_sent_and_never_shown() -> None:
    with served(files={"model.pth": BYTES}, password="Basic dXNlcjpwYTU1") as site:
        secret = site.url.replace("//", "//user:pa55@") + "/model.pth?X-Amz-Signature=51gned&token=t0ken#fragm3nt"
        source = remote_source(secret, stall=STALL)
        assert source.name == "model.pth"
        assert bytes(source.view()) == BYTES
        for behaviour in (
            {"password": "Basic another"},
            {"status": 403},
            {"status": 404},
            {"status": 500},
            {"ranges": False},
            {"stall_after": 10},
            {"cut_after": 10},
            {"files": {"model.pth": b""}},
            {"redirect": {"model.pth": "/model.pth?token=t0ken"}},
            {"redirect": {"model.pth": "ftp://user:pa55@else/where"}},
            {"redirect": {"model.pth": "http://user:pa55@127.0.0.1:1/?token=t0ken"}},
        ):
            with served(**{"files": {"model.pth": BYTES}, **behaviour}) as bad:
                address = secret.replace(site.url.removeprefix("http://"), bad.url.removeprefix("http://"))
                said = refusal(remote_source, address, stall=STALL)
                assert not [word for word in ("pa55", "51gned", "t0ken", "fragm3nt", "user") if word in said], said
