"""A corpus of pictures, written here: every mode that Pillow can save, and files that are no picture or a bad one."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image


def written(image: Image.Image, kind: str, **options: Any) -> bytes:
    """`image` as a file of this kind."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(width: int = 40, height: int = 30, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """A picture of random pixels."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def turned(orientation: int) -> bytes:
    """A JPEG that says it is to be turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return written(noise(), "JPEG", exif=exif)


def animated(kind: str) -> bytes:
    """Three frames."""
    return written(noise(), kind, save_all=True, append_images=[noise(seed=1), noise(seed=2)])


def png_of_claims(width: int, height: int) -> bytes:
    """A PNG of a hundred bytes that claims these sides: a decompression bomb."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 4096)) + chunk(b"IEND", b"")
    )


def good_pictures() -> dict[str, bytes]:
    """Files that are to be answered, by name."""
    gray16 = Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50)
    return {
        **{f"png-{mode}.png": written(noise(mode=mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")},
        **{f"tiff-{mode}.tiff": written(noise(mode=mode), "TIFF") for mode in ("CMYK", "YCbCr", "LAB", "I", "F")},
        **{f"jpeg-{mode}.jpg": written(noise(mode=mode), "JPEG") for mode in ("L", "RGB", "CMYK")},
        **{f"turned-{orientation}.jpg": turned(orientation) for orientation in range(1, 9)},
        **{f"animated.{kind.lower()}": animated(kind) for kind in ("GIF", "PNG", "WEBP")},
        "sixteen-bits.png": written(gray16, "PNG"),
        "one-pixel.png": written(noise(1, 1), "PNG"),
        "long.png": written(noise(20_000, 1, "L"), "PNG"),
        "wide.png": written(noise(20_000, 3, "L"), "PNG"),
        "photo.webp": written(noise(), "WEBP"),
        "photo.avif": written(noise(), "AVIF"),
        "photo.bmp": written(noise(), "BMP"),
        "photo.ppm": written(noise(), "PPM"),
        "no-ending": written(noise(), "PNG"),
        "called-jpg.jpg": written(noise(), "PNG"),
        "named \u202egnp.exe.png": written(noise(), "PNG"),
    }


BAD_PICTURES: Mapping[str, tuple[bytes, str]] = {
    "cut.jpg": (written(noise(200, 200), "JPEG")[:900], "cut short or damaged"),
    "cut.png": (written(noise(200, 200), "PNG")[:900], "cut short or damaged"),
    "only-a-head.png": (b"\x89PNG\r\n\x1a\n", "damaged"),
    "empty.png": (b"", "is empty (0 bytes)"),
    "bomb.png": (png_of_claims(60_000, 60_000), "claims more than 100,000,000 pixels"),
    "drawing.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing"),
    "drawing-with-head.png": (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing"),
    "page.png": (b"<!DOCTYPE html><html><body>404</body></html>", "is a web page"),
    "pointer.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "is a Git LFS pointer"),
    "text.png": (b"not a picture\n", "is a text file"),
    "noise.png": (bytes(range(255, 0, -1)) * 8, "no picture of a known format"),
    "script.eps.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "is a PostScript file"),
}
"""Files that can't be answered, and a part of the sentence that says why."""


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive of these members, under exactly these names."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return file.getvalue()


def overlapping(copies: int) -> bytes:
    """A zip whose directory names one large member many times: small on the disk, endless to unpack."""
    one = zipped({"a.png": b"\0" * 2_000_000}, zipfile.ZIP_DEFLATED)
    end = one.rfind(b"PK\x05\x06")
    start = struct.unpack_from("<I", one, end + 16)[0]
    row = one[start:end]
    rows = b"".join(row.replace(b"a.png", f"{number:05d}".encode()[-5:]) for number in range(copies))
    closing = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, copies, copies, len(rows), start, 0)
    return one[:start] + rows + closing
