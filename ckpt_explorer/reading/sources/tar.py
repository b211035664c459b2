"""A tar archive as a folder: its members are parts of the file, opened where they lie.

Python's `tarfile` is not used: it builds links and devices, trusts the sizes that it is given, and has run in circles on
a negative one (CVE-2025-8194). Here every header moves the reader forward, and every claim is checked against the file.

Source: POSIX.1-2017 `pax`, "ustar Interchange Format" and "pax Extended Header"; GNU tar's manual, "Basic Tar Format".
"""

from __future__ import annotations

import re
import struct
from functools import partial
from pathlib import PurePosixPath
from typing import NamedTuple

from ckpt_explorer.reading.refusals import cut_short, damaged
from ckpt_explorer.reading.sources.folder import MAX_FILES, Folder
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.text import bytes_as_text, visible

BLOCK = 512
MAX_HEADERS = 3 * MAX_FILES
"""A member may have a long name and an extended header in front of its own."""
MAX_EXTENSION = 1 << 20

_HEADER = struct.Struct("100s24x12s12x8sc100s8s80x155s12x")
"""Name, size, checksum, kind, link, magic with version, prefix."""
_OCTAL = re.compile(rb"[ \0]*([0-7]*)[ \0]*")
_PAX_RECORD = re.compile(rb"(\d{1,7}) ([^=\n]+)=")

_FILES = b"0", b"\0", b"7"
_LONG_NAME, _LONG_LINK, _PAX, _PAX_FOR_ALL, _SPARSE = b"L", b"K", b"x", b"g", b"S"
_ABOUT_THE_NEXT = _LONG_NAME, _LONG_LINK, _PAX, _PAX_FOR_ALL
_WITHOUT_CONTENT = b"1", b"2", b"3", b"4", b"5", b"6"
"""Links, devices, folders and pipes: whatever size they claim, nothing follows them."""
_MEANINGFUL = "path", "size"


class _Member(NamedTuple):
    """What one header says."""

    name: str
    kind: bytes
    size: int


def tar_folder(source: Source) -> Folder:
    """The regular files of a tar archive by their harmless relative path, each a part of `source`.

    Links, devices, sparse files, and the companions that macOS adds (`._name`) are left out.

    Raises:
        CorruptCheckpoint: it breaks off, a checksum or a size is wrong, or two members have one name.
    """
    files: dict[str, tuple[int, int]] = {}
    position, ahead = 0, dict[str, str]()
    for _ in range(MAX_HEADERS):
        block = source.view(position, position + BLOCK)
        if not len(block) or not any(block):
            break
        member = _member(source, block, position)
        position += BLOCK
        if member.kind == _SPARSE:
            position = _behind_sparse_maps(source, block, position)
        about_next = member.kind in _ABOUT_THE_NEXT
        size = _pax_size(source, ahead["size"]) if "size" in ahead and not about_next else member.size
        end = position + (0 if member.kind in _WITHOUT_CONTENT else size)
        if end > source.size:
            raise cut_short(
                source,
                f"{visible(member.name)!r} in it should have {bytes_as_text(size)}, and {bytes_as_text(max(source.size - position, 0))} are there",
            )
        if about_next:
            ahead |= _extension(source, member.kind, position, end)
        else:
            name = _harmless(ahead.get("path", member.name))
            whole = member.kind in _FILES and not any(key.startswith("GNU.sparse.") for key in ahead)
            if whole and name and not name.rpartition("/")[2].startswith("._"):
                if name in files:
                    raise damaged(source, f"two of its members have the name {visible(name)!r}")
                files[name] = (position, end)
            ahead = {}
        if len(files) > MAX_FILES:
            raise damaged(source, f"it has more than {MAX_FILES:,} members")
        position = end + -end % BLOCK
    else:
        raise damaged(source, f"it has more than {MAX_HEADERS:,} headers")
    parts = {name: partial(source.part, start, end, name) for name, (start, end) in files.items()}
    return Folder(source.name, parts, "tar archive")


def _member(source: Source, block: memoryview, position: int) -> _Member:
    if len(block) < BLOCK:
        raise cut_short(source, "a header of the tar archive breaks off")
    raw = bytes(block)
    name, size, checksum, kind, _, magic, prefix = _HEADER.unpack(raw)
    said = _OCTAL.fullmatch(checksum)
    total = sum(raw) - sum(checksum) + 8 * ord(" ")
    signed = total - 256 * sum(byte > 127 for byte in raw[:148] + raw[156:])  # as some old writers added them up
    if said is None or int(said[1] or b"0", 8) not in (total, signed):
        raise damaged(source, f"the header at byte {position:,} of the tar archive does not have its checksum")
    path = _text(name)
    if magic[:6] == b"ustar\0" and prefix[0]:
        path = f"{_text(prefix)}/{path}"
    if kind == b"\0" and path.endswith("/"):
        kind = b"5"  # before 1988, a folder was a file whose name ends so
    return _Member(path, kind, _size(source, size))


def _size(source: Source, field: bytes) -> int:
    """Octal digits; or, above 8 GiB, a number of base 256 whose first bit is set."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    said = _OCTAL.fullmatch(field)
    if said is None:
        raise damaged(source, "a member of the tar archive has a size that is no number, or a negative one")
    return int(said[1] or b"0", 8)


def _pax_size(source: Source, digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise damaged(source, "a member of the tar archive has a size that is no number, or a negative one")
    return int(digits)


def _extension(source: Source, kind: bytes, start: int, end: int) -> dict[str, str]:
    """What an extra header says of the member behind it: its long name, or pax records."""
    if end - start > MAX_EXTENSION:
        raise damaged(source, f"a header of the tar archive has {bytes_as_text(end - start)}")
    raw = bytes(source.view(start, end))
    if kind in (_LONG_NAME, _LONG_LINK):
        return {"path": _text(raw)} if kind == _LONG_NAME else {}
    records = _pax_records(source, raw)
    if kind == _PAX_FOR_ALL:
        if any(key in _MEANINGFUL or key.startswith("GNU.sparse.") for key in records):
            raise damaged(source, "the tar archive gives one name or size to all its members")
        return {}
    return records


def _pax_records(source: Source, raw: bytes) -> dict[str, str]:
    """`LENGTH KEY=VALUE` and a line feed, one behind the other; LENGTH counts all of it."""
    records: dict[str, str] = {}
    position = 0
    while position < len(raw) and raw[position]:
        found = _PAX_RECORD.match(raw, position)
        end = position + int(found[1]) if found else 0
        if found is None or not found.end() < end <= len(raw) or raw[end - 1] != ord("\n"):
            raise damaged(source, "an extended header of the tar archive can't be read")
        records[found[2].decode("utf-8", "replace")] = raw[found.end() : end - 1].decode("utf-8", "replace")
        position = end
    return records


def _behind_sparse_maps(source: Source, block: memoryview, position: int) -> int:
    """Where the content of a sparse member of GNU's begins: behind further blocks that say where its holes are."""
    more = block[482]
    while more and position + BLOCK <= source.size:
        more = source.view(position + 504, position + 505)[0]
        position += BLOCK
    return position


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _harmless(name: str) -> str:
    """The path without what would lead out of the archive: a name to show and to look up, never to write to."""
    return "/".join(part for part in PurePosixPath(name).parts if part not in ("/", "//", "..", "."))
