"""Why a file at an address can't be read, each reason in one sentence that shows the address without its secrets.

SourceError
├── NoRanges         the server sends the file only as a whole; carries its size, where it says
└── ConnectionCut    the connection ended before the bytes did; worth one more try
"""

from __future__ import annotations

from ckpt_explorer.errors import SourceError
from ckpt_explorer.reading.sources.address import Address
from ckpt_explorer.text import bytes_as_text, plural, visible

ELSE = "or download it another way, and open the file"


class NoRanges(SourceError):
    """The server does not send parts of the file. `size` in bytes, None where it does not say that either.

    `remote_source(address, fetch_all=True)` is the way to open it.
    """

    def __init__(self, address: Address, size: int | None) -> None:
        how_much = f" ({bytes_as_text(size)})" if size else ", and does not say how long it is"
        super().__init__(
            f"{address.host} sends {visible(address.name)} only as a whole{how_much}: let all of it be fetched, {ELSE}."
        )
        self.size = size


class ConnectionCut(SourceError):
    """The connection ended near byte `at` of the file, before all that was asked for had come.

    Up to a megabyte more may have arrived: aiohttp drops what it still holds when a connection breaks.
    """

    def __init__(self, address: Address, at: int, size: int | None) -> None:
        where = f"near {bytes_as_text(at)}" + (f" of {bytes_as_text(size)}" if size else "")
        super().__init__(
            f"{address.host} cut the connection {where} of {visible(address.name)}, twice: try again later, {ELSE}."
        )


def stalled(address: Address, seconds: float) -> SourceError:
    """Nothing arrived for `seconds`."""
    waited = plural(round(seconds), "second") if seconds >= 1 else f"{seconds:g} seconds"
    return SourceError(
        f"{address.host} sent nothing of {visible(address.name)} for {waited}: check the network, try again later, {ELSE}."
    )


def changed(address: Address) -> SourceError:
    """The server now has another file under the same address than it had at first."""
    return SourceError(f"{address.shown} was changed on its server while it was read: open it again.")


def empty(address: Address) -> SourceError:
    """The server says that the file has no bytes."""
    return SourceError(f"{address.shown} is an empty file: ask whoever put it there to upload it again.")


def too_large(address: Address, size: int, limit: int) -> SourceError:
    """The file is larger than anybody allowed."""
    return SourceError(
        f"{address.shown} has {bytes_as_text(size)} or more, and {bytes_as_text(limit)} at most are fetched: "
        "download it another way, and open the file."
    )


def no_room(address: Address, folder: str, needed: int, free: int) -> SourceError:
    """The disk is too full for what is to be fetched."""
    return SourceError(
        f"{visible(address.name)} needs {bytes_as_text(needed)}, and {visible(folder)} has room for "
        f"{bytes_as_text(free)}: free some, or set TMPDIR to a folder with more."
    )


def package_missing(address: Address, package: str) -> SourceError:
    """fsspec has no way to this kind of address without another package."""
    said = f"pip install {package}" if package else "see the documentation of fsspec"
    return SourceError(
        f"{address.scheme}:// addresses need a package that is not installed here: {said}, or give an https:// address."
    )


def refused_by_status(address: Address, status: int) -> SourceError:
    """The server answered with a status other than 200 and 206. Source: RFC 9110, section 15."""
    says, then = _STATUSES.get(
        status,
        ("The server of {} has a fault of its own ({})", f"try again later, {ELSE}.")
        if status >= 500
        else ("The server of {} does not give it out ({})", f"check the address, {ELSE}."),
    )
    return SourceError(f"{says.format(address.shown, status)}: {then}")


_STATUSES = {
    401: ("{} is only for those who say who they are ({})", "give an address with a token or password in it, or download the file where you are logged in, and open it."),
    403: ("{} may not be read ({})", "the link may have expired, or need a login: get a fresh one, or download the file where you are logged in, and open it."),
    404: ("There is no {} on its server ({})", "check the address."),
    407: ("{} lies behind a proxy that asks for a password ({})", "put it into HTTPS_PROXY where this runs."),
    410: ("{} is gone from its server ({})", "look for where it was published anew."),
    429: ("The server of {} has had too many questions ({})", "wait some minutes, and try again."),
}  # fmt: skip
