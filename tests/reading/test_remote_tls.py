"""Addresses that begin with https://: who the server is, and that the way to the file stays encrypted."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.checkpoints import ROOT
from tests.reading.range_server import served
from tests.reading.test_remote_failures import answering, read, refusal

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, to make a certificate")

READ = """
import sys
from ckpt_explorer.errors import SourceError
from ckpt_explorer.reading.sources.remote import remote_source
try: print(bytes(remote_source(sys.argv[1], stall=5).view()))
except SourceError as error: print(error)
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is signed by itself, with its key in the same file."""
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    folder = tmp_path_factory.mktemp("tls")
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    subprocess.run(["openssl", *made.split(), *files], check=True, capture_output=True)
    both = folder / "both"
    both.write_bytes((folder / "certificate").read_bytes() + (folder / "key").read_bytes())
    return both


def encrypted(certificate: Path, answer: bytes) -> Callable[[socket.socket], None]:
    """Whoever connects gets `answer` over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(connection: socket.socket) -> None:
        with suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True) as shielded:
            shielded.recv(4000)
            shielded.sendall(answer)

    return serve


def read_trusting(certificate: Path, address: str) -> str:
    """What a new process reads at `address`, or the sentence why it can't, when it vouches for `certificate`."""
    ended = subprocess.run(
        [sys.executable, "-c", READ, address],
        cwd=ROOT,
        env={**os.environ, "SSL_CERT_FILE": str(certificate)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ended.stdout.strip()


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    with answering(encrypted(certificate, b"")) as port:
        said = refusal(read, f"https://127.0.0.1:{port}/a.pth")
        assert f"can't prove that it is 127.0.0.1:{port} (self-signed certificate)" in said
    with answering(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert "no secure connection" in refusal(read, f"https://127.0.0.1:{port}/a.pth")


def test_a_server_that_proves_who_it_is_is_read(certificate: Path) -> None:
    whole = b"HTTP/1.1 206 Part\r\nContent-Range: bytes 0-4/5\r\nContent-Length: 5\r\n\r\nbytes"
    with answering(encrypted(certificate, whole)) as port:
        assert read_trusting(certificate, f"https://127.0.0.1:{port}/a.pth") == "b'bytes'"


def test_a_redirect_out_of_tls_is_not_followed_to_the_file(certificate: Path) -> None:
    with served(files={"a.pth": b"changed on the way"}) as site:
        redirect = f"HTTP/1.1 302 Found\r\nLocation: {site.url}/a.pth\r\nContent-Length: 0\r\n\r\n".encode()
        with answering(encrypted(certificate, redirect)) as port:
            said = read_trusting(certificate, f"https://127.0.0.1:{port}/a.pth")
    assert "leads to an address without TLS" in said
