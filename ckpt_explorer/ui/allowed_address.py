"""Does an address lie under one that is allowed? Compared by scheme, host, port and whole segments of the path.

Whoever types an address makes this machine ask for it. So what could be read in two ways is no match: a user name in
front of the host, a backslash, a segment that leads upwards, and all of these written with percent signs.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_PLAIN = re.compile(r"[!-\[\]-~]+")
"""Printable ASCII without spaces and backslashes."""

_PORTS = {"http": 80, "https": 443}


class _Place(NamedTuple):
    scheme: str
    host: str
    port: int | None
    segments: tuple[str, ...]


def lies_under(address: str, allowed: str) -> bool:
    """Whether `address` is `allowed` or lies below it."""
    wanted, top = _place(address), _place(allowed)
    if wanted is None or top is None or wanted[:3] != top[:3]:
        return False
    segments = top.segments[:-1] if top.segments[-1:] == ("",) else top.segments
    return wanted.segments[: len(segments)] == segments


def _place(address: str) -> _Place | None:
    """Where an address leads; None for one that could be read in two ways."""
    if not _PLAIN.fullmatch(address):
        return None
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not parts.scheme or not host or "@" in parts.netloc or "%" in parts.netloc:
        return None
    if any(_leads_elsewhere(segment) for segment in parts.path.split("/")):
        return None
    scheme = parts.scheme.lower()
    return _Place(scheme, host.lower(), port or _PORTS.get(scheme), tuple(parts.path.split("/")[1:]))


def _leads_elsewhere(segment: str) -> bool:
    """Whether a segment of the path is `.` or `..`, or becomes one or several when it is decoded, however often."""
    for _ in range(5):
        decoded = unquote(segment)
        if decoded == segment:
            return segment in (".", "..") or "/" in segment or "\\" in segment
        segment = decoded
    return True
