"""Addresses: which ones can be opened, which package each needs, and how one is shown without the secrets in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from ckpt_explorer.errors import SourceError
from ckpt_explorer.text import listed, visible

PACKAGES = {
    "http": "aiohttp",
    "https": "aiohttp",
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "hf": "huggingface_hub",
    "az": "adlfs",
    "abfs": "adlfs",
    "oss": "ossfs",
    "oci": "ocifs",
    "webdav": "webdav4",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "smb": "smbprotocol",
    "ftp": "",
}
"""What fsspec needs for each kind of address ("": nothing). All other schemes of fsspec's are refused: they lead to
this machine's files, memory and caches, or into another address.
"""

WEB = ("http", "https")
MAX_LENGTH = 8_000

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*(?:://|::)")
_AS_SENT = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
"""The characters that may stand in a URL as they are. Source: RFC 3986, sections 2.2 and 2.3."""


@dataclass(frozen=True)
class Address:
    """Where a file or a folder lies. `text` is what was given, secrets and all: it is never shown."""

    text: str = field(repr=False)
    scheme: str
    shown: str
    host: str
    name: str

    @property
    def of_the_web(self) -> bool:
        """Whether it is a plain web server, which can neither list nor do more than send a file."""
        return self.scheme in WEB

    @property
    def encoded(self) -> bool:
        """Whether it can be sent as it stands; a signed address breaks when it is quoted anew."""
        return _AS_SENT.fullmatch(self.text) is not None

    def beside(self, file: str) -> Address:
        """The address of a file in the same folder, or below it; user, password and query stay.

        `file` is untrusted: it is quoted, and the caller has made sure that it has no `..` in it.
        """
        if not self.of_the_web:
            return address_of(f"{self.text.rpartition('/')[0]}/{file}")
        parts = urlsplit(self.text)
        return address_of(parts._replace(path=f"{parts.path.rpartition('/')[0]}/{quote(file)}", fragment="").geturl())


def is_address(text: str) -> bool:
    """Whether `text` is written like an address (`https://...`, `s3://...`), rather than like a path.

    True also of one that will be refused (`file://...`, `zip://a::https://b`), so that the refusal is what is shown.
    """
    return _ADDRESS.match(text.lstrip()) is not None


def address_of(text: str) -> Address:
    """The address that `text` is.

    Raises:
        SourceError: not an address, or of a kind that is not opened; the text says so without repeating it.
    """
    text = text.strip()
    found = _ADDRESS.match(text)
    scheme = found[0].removesuffix("://").removesuffix("::").lower() if found else ""
    chained = found is not None and (found[0].endswith("::") or (scheme not in WEB and "::" in text))
    if scheme not in PACKAGES or chained:
        kind = "A chain of addresses" if chained else f"An address that begins with {visible(scheme, 40)}://"
        raise SourceError(
            f"{kind} is not opened: give the file's own, which begins with {listed(f'{row}://' for row in ('https', 's3', 'gs', 'hf'))}."
        )
    try:
        parts = urlsplit(text)
        host = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        host = ""
    if not host or "\\" in text or len(text) > MAX_LENGTH or visible(text, MAX_LENGTH) != text:
        raise SourceError(f"This {scheme}:// address is not valid: check its host and port, and that it is all of it.")
    path = unquote(parts.path) if scheme in WEB else parts.path
    name = path.rstrip("/").rpartition("/")[2] or host
    return Address(text, scheme, visible(f"{scheme}://{host}{parts.path}"), visible(host), name)
