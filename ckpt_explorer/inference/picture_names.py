"""Which files of a folder or an archive are pictures: by their ending, or else by their first bytes."""

from __future__ import annotations

ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".bmp", ".dib", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".apng", ".heic", ".heif", ".svg"),
)
"""What pictures are called. HEIC and SVG are not opened, and whoever gave one is to be told so."""

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")

_CLUTTER = ("__MACOSX", "Thumbs.db", "desktop.ini")
"""What systems leave in folders, beside everything that begins with a dot."""

_STARTS = (
    *(b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    *(b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf", b"PF"),
)


def looks_like_a_picture(path: str) -> bool:
    """Whether the file's name ends as a picture's does."""
    return path.lower().endswith(ENDINGS)


def begins_like_a_picture(head: bytes) -> bool:
    """Whether a file's first bytes are those of a format that is opened."""
    return (
        head.startswith(_STARTS)
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"))
    )


def is_clutter(path: str) -> bool:
    """Whether some part of a path, with `/` between its parts, is hidden or a system's own."""
    return any((part.startswith(".") and part not in (".", "..")) or part in _CLUTTER for part in path.split("/"))
