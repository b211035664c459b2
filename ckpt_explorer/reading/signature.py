"""What is this file? Told by its bytes, never by its name; in the order of the catalogue of what people really hold."""

from __future__ import annotations

import json
import re
import struct
from typing import Literal

from ckpt_explorer.errors import Diagnosis, NotACheckpoint
from ckpt_explorer.reading.foreign import foreign_format, is_tensorflow
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.sources.unpacked import COMPRESSIONS
from ckpt_explorer.text import bytes_as_text, visible

Format = Literal[
    "zip", "torch legacy", "safetensors", "pickle", "maybe a pickle", "npy", "tar", "gzip", "bzip2", "xz"
]  # fmt: skip

LEGACY_MAGIC = bytes.fromhex("8a0a6cfc9c46f9206aa85019")
"""LONG1 of 0x1950a86a20f9469cfc6c, the first object of a legacy file. Source: `torch/serialization.py` MAGIC_NUMBER."""

_LEGACY = re.compile(rb"\A\x80[\0-\x05](\x95.{8})?" + re.escape(LEGACY_MAGIC), re.DOTALL)
"""A legacy file's first bytes: the protocol, from protocol 4 on a frame, and the magic number."""

LEGACY_MAGIC_AS_TEXT = re.compile(rb"\A(\x80[\0\1])?L119547037146038801333356L?\n\.")
"""The same as protocols 0 and 1 write it."""

STARTS: dict[Format, tuple[int, bytes]] = {
    "npy": (0, b"\x93NUMPY"),
    "tar": (257, b"ustar"),
    "gzip": (0, COMPRESSIONS["gzip"]),
    "bzip2": (0, COMPRESSIONS["bzip2"]),
    "xz": (0, COMPRESSIONS["xz"]),
}
"""Formats that are told by some bytes at one place."""

_BEFORE_JSON = (b"{", b" ", b"\n", b"\r", b"\t")
"""What a safetensors header begins with: an object, or the white space that JSON allows before it."""

START = 40_000
"""How many of a file's first bytes are looked at."""

_LFS = re.compile(
    rb"\Aversion https://git-lfs[^\n]*\n(?:.*\n)*?oid sha256:([0-9a-f]{8})[0-9a-f]*\r?\nsize (\d{1,18})\r?\n?"
)
_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,200})", re.IGNORECASE)
_MARKUP = re.compile(
    rb"<(!--|(!doctype|html|head|body|\?xml|script|meta|title|error|div|p|h1|center|iframe|br|a|pre|table)\b)",
    re.IGNORECASE,
)
_NOTICE = re.compile(
    rb"quota exceeded|can't scan this file for viruses|virus scan|access denied|not found|accessdenied|forbidden|"
    rb"rate limit|too many requests|moved permanently|unauthorized|please log ?in|sign in|\AHTTP/\d",
    re.IGNORECASE,
)


def recognise(source: Source) -> Format:
    """The format of a file that may hold weights, from its first bytes.

    Raises:
        NotACheckpoint: it is something else; the sentence says what, and what to do.
    """
    start = bytes(source.view(0, START))
    other = _empty(source) or _git_lfs_pointer(source, start) or _web_page(source, start)
    if other:
        raise NotACheckpoint(other)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    if _looks_like_safetensors(start, source.size):
        return "safetensors"
    if _LEGACY.match(start) or LEGACY_MAGIC_AS_TEXT.match(start):
        return "torch legacy"
    for kind, (offset, magic) in STARTS.items():
        if start[offset : offset + len(magic)] == magic:
            return kind
    other = known_format(source)
    if other:
        raise NotACheckpoint(other)
    if start[:1] == b"\x80" and len(start) > 2 and start[1] <= 5:
        return "pickle"
    if start[:1] in (b"(", b"]", b"}", b"c") and source.view(source.size - 1)[0] == ord("."):
        return "maybe a pickle"  # of protocol 0 or 1, which has no signature: walking it will tell
    raise NotACheckpoint(unrecognised(source))


def may_hold_weights(start: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that begins with `start` is worth opening: for choosing among many."""
    kinds = (start[offset : offset + len(magic)] == magic for offset, magic in STARTS.values())
    pickled = start[:1] == b"\x80" and len(start) > 2 and start[1] <= 5
    old = start[:2] in (b"(d", b"(l", b"}q", b"cc", b"]q") or LEGACY_MAGIC_AS_TEXT.match(start) is not None
    return start[:4] == b"PK\x03\x04" or pickled or old or any(kinds) or _looks_like_safetensors(start, size)


def known_format(source: Source) -> Diagnosis | None:
    """What a file is that begins as another program's files do, or as a pointer or a page; None for any other."""
    start = bytes(source.view(0, START))
    early = _git_lfs_pointer(source, start) or _web_page(source, start)
    if early:
        return early
    if is_tensorflow(source.name, start, bytes(source.view(max(source.size - 8, 0)))):
        return Diagnosis(
            "F8",
            _says(source, "part of a TensorFlow checkpoint"),
            "read its variables with TensorFlow by the common prefix of its files, transpose the kernels (HWIO to OIHW), and save them with PyTorch.",
        )
    other = foreign_format(start)
    if other is None:
        return None
    what, step = other
    return Diagnosis("F17", _says(source, f"{what}, no PyTorch checkpoint"), f"{step}.")


def unrecognised(source: Source) -> Diagnosis:
    """What to say of a file without a signature that is known here."""
    start = bytes(source.view(0, 4096))
    return _zeros(source) or _text(source, start) or _unknown(source, start)


def _says(source: Source, is_what: str) -> str:
    return f"{visible(source.name)} is {is_what}"


def _empty(source: Source) -> Diagnosis | None:
    if source.size:
        return None
    return Diagnosis(
        "F1",
        _says(source, "empty (0 bytes)"),
        "the save or the download was cut off; use the previous checkpoint or fetch it again.",
    )


def _git_lfs_pointer(source: Source, start: bytes) -> Diagnosis | None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text.startswith((b"version https://git-lfs", b"version https://hawser")):
        return None
    found = _LFS.match(text)
    real = (
        f"; the real file has {bytes_as_text(int(found[2]))} and a sha256 that begins with {found[1].decode()}"
        if found
        else ""
    )
    return Diagnosis(
        "F2",
        _says(source, f"a Git LFS pointer ({bytes_as_text(source.size)}), not the weights"),
        f'run "git lfs install" and "git lfs pull" where it was cloned{real}.',
    )


def _web_page(source: Source, start: bytes) -> Diagnosis | None:
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        start = start[: len(start) // 2 * 2].decode("utf-16", "replace").encode()
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    notice = source.size < 8192 and _is_text(start[:4096]) and not text.startswith(b"{") and _NOTICE.search(start)
    if not _MARKUP.match(text) and not notice:
        return None
    title = _TITLE.search(start)
    named = f' titled "{visible(title[1].decode("utf-8", "replace").strip(), 80)}"' if title else ""
    return Diagnosis(
        "F3",
        _says(source, f"a web page{named}, saved instead of the weights"),
        "open the link in a browser and take the download itself (the raw or resolve link, or gdown for Google Drive).",
    )


def _looks_like_safetensors(start: bytes, size: int) -> bool:
    if size < 10 or start[8:9] not in _BEFORE_JSON:
        return False
    length = int(struct.unpack_from("<Q", start)[0])
    return 2 <= length <= 100_000_000 and start[8:].lstrip()[:1] == b"{"


def _zeros(source: Source) -> Diagnosis | None:
    """F7: nothing but one byte again and again where a file's signature should be."""
    sample = min(source.size, 4096)
    first = bytes(source.view(0, sample))
    if first != first[:1] * sample or sample < 64:
        return None
    what = "zero bytes" if not any(first) else f"the byte 0x{first[0]:02x} again and again"
    return Diagnosis(
        "F7",
        _says(source, f"nothing but {what} at its start ({bytes_as_text(source.size)})"),
        "the download was only reserved on disk; fetch it again.",
    )


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:
            return False
        text = start[: error.start].decode("utf-8")
    return all(char.isprintable() or char in "\t\r\n\f" for char in text)


def _text(source: Source, start: bytes) -> Diagnosis | None:
    if not _is_text(start):
        return None
    try:
        kind = (
            "a JSON file"
            if source.size < 1 << 20 and isinstance(json.loads(bytes(source.view())), dict | list)
            else "a text file"
        )
    except (ValueError, RecursionError):
        kind = "a text file"
    first_line = visible(start.decode("utf-8", "replace").strip().split("\n", 1)[0], 60)
    return Diagnosis(
        "F17",
        _says(source, f'{kind} that begins "{first_line}"'),
        "give the file that torch.save or safetensors wrote.",
    )


def _unknown(source: Source, start: bytes) -> Diagnosis:
    return Diagnosis(
        "F19",
        _says(
            source, f"of no kind that is known here ({bytes_as_text(source.size)}, first bytes {start[:8].hex(' ')})"
        ),
        "give a file that torch.save or safetensors wrote, or ask whoever made it how it was saved.",
    )
