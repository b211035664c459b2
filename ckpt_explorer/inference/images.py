"""Images: any picture file, as it looks on a screen, as a network's input.

Files come from anywhere: only formats that Pillow decodes by itself are opened (EPS would start Ghostscript), and
both file size and claimed pixels are checked before anything is decoded.
"""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from ckpt_explorer.errors import ImageError, PreprocessingError
from ckpt_explorer.inference.flat_colour import as_gray_or_rgb
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.text import bytes_as_text, visible

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

MAX_FILE_BYTES = 256 * 2**20
MAX_PIXELS = 100_000_000
FORMATS = {
    "JPEG": "JPEG",
    "PNG": "PNG",
    "WEBP": "WebP",
    "AVIF": "AVIF",
    "BMP": "BMP",
    "GIF": "GIF",
    "TIFF": "TIFF",
    "PPM": "PPM",
}
"""Pillow's name of each format that is opened, and how a person writes it."""

SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"%PDF", "a PDF document", "export the page as PNG"),
    (0, b"%!PS", "a PostScript file", "export it as PNG"),
    (0, b"PK\x03\x04", "a ZIP archive", "unpack it and choose the pictures in it"),
    (0, b"version https://git-lfs", "a Git LFS pointer", 'run "git lfs pull" where it was cloned'),
    (0, b"<svg", "an SVG drawing", "export it as PNG"),
    (0, b"<!DOCTYPE", "a web page", "download the picture itself"),
    (0, b"<html", "a web page", "download the picture itself"),
    (4, b"ftypheic", "a HEIC photo", "save it as JPEG"),
    (4, b"ftypmif1", "a HEIF photo", "save it as JPEG"),
    (4, b"ftyp", "a video", "save one of its frames as PNG"),
    (0, b"\xff\xd8\xff", "a JPEG that is damaged", "copy or download it again"),
    (0, b"\x89PNG", "a PNG that is damaged", "copy or download it again"),
    (0, b"GIF8", "a GIF that is damaged", "copy or download it again"),
)
"""What a file that is no picture begins with, at which byte; what it is; what to do. The first that fits counts."""

_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""EXIF orientation to Pillow's transposition: Exif 2.3, tag 0x0112; `PIL.ImageOps.exif_transpose`."""


class ReadWhenNeeded(Protocol):
    """A picture's bytes that lie elsewhere, in an archive for example, and are fetched when its turn comes."""

    def read(self) -> bytes:
        """All its bytes. Raises ImageError where there are none to be had."""
        ...


ImageSource = Path | bytes | ReadWhenNeeded


def open_image(source: ImageSource, name: str) -> Image:
    """The picture in `source`, decoded and upright, in mode RGB, or L where it is gray.

    Of an animation the first frame; transparency lies on white; EXIF orientation is applied, and taken as upright
    where the EXIF block can't be read, as viewers do. Deeper than 8 bits a channel is scaled to 0..255, see
    `flat_colour`. Colour profiles are not applied: training pipelines (torchvision, OpenCV) do not either.
    Files up to 256 MiB and pictures up to 100 million pixels are opened.

    Raises:
        ImageError: no file, no picture, too large, or cut short; one sentence that names `name`.
    """
    shown = visible(name, 120)
    if not isinstance(source, bytes | Path):
        source = source.read()
    if isinstance(source, bytes):
        _check_file_size(len(source), shown)
        return _decoded(io.BytesIO(source), shown)
    try:
        facts = source.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise ImageError(f"{shown} is a folder or a device, not a picture: choose a file.")
        _check_file_size(facts.st_size, shown)
        with source.open("rb") as file:
            return _decoded(file, shown)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ImageError(
            f"{shown} can't be opened ({visible(why, 80)}): check the name and the permissions."
        ) from error


def as_input(image: Image, preprocessing: Preprocessing, channels: int) -> torch.Tensor:
    """`image` as a network sees it: float32 (channels, size, size), on the CPU.

    Gray, for 1 channel, is luma (ITU-R BT.601, Pillow's `convert("L")`). The numbers are torchvision's
    `Resize(resize)`, `CenterCrop(size)`, `ToTensor()`, `Normalize(mean, std)` to the bit; a picture whose shorter
    side is already `resize` is not resampled.

    Raises:
        ImageError: the picture is so long and narrow that scaled it would have over 100 million pixels.
        PreprocessingError: the network wants neither 1 nor 3 channels, or the mean is for another number of them.
    """
    import numpy as np
    import torch

    check_channels(preprocessing, channels)
    flat = as_gray_or_rgb(image).convert("L" if channels == 1 else "RGB")
    size = preprocessing.size
    pixels = np.asarray(_centre(_resized(flat, preprocessing), size)).reshape(size, size, channels)
    # numpy and not torch: readers are threads, and each would get worker threads of its own from torch
    x = np.ascontiguousarray(pixels.transpose(2, 0, 1)[:: -1 if preprocessing.bgr else 1]).astype(np.float32)
    x /= np.float32(1 / preprocessing.scale)
    x -= np.array(preprocessing.mean, dtype=np.float32).reshape(-1, 1, 1)
    x /= np.array(preprocessing.std, dtype=np.float32).reshape(-1, 1, 1)
    return torch.from_numpy(x)


def check_channels(preprocessing: Preprocessing, channels: int) -> None:
    """Refuse, before any picture is read, what can't work for any.

    Raises:
        PreprocessingError: as `as_input`.
    """
    if channels not in (1, 3):
        raise PreprocessingError(
            f"The network takes {channels} input channels, and pictures have 1 (gray) or 3 (RGB): "
            f"it needs inputs of its own kind, from your own code."
        )
    if {len(preprocessing.mean), len(preprocessing.std)} - {1, channels}:
        raise PreprocessingError(
            f"The preprocessing has {len(preprocessing.mean)} means and {len(preprocessing.std)} deviations, and the "
            f"network {channels} input channels: make it with channels={channels}."
        )


def _check_file_size(size: int, shown: str) -> None:
    if size == 0:
        raise ImageError(f"{shown} is empty (0 bytes), not a picture: copy or download it again.")
    if size > MAX_FILE_BYTES:
        raise ImageError(
            f"{shown} has {bytes_as_text(size)}, and pictures up to {bytes_as_text(MAX_FILE_BYTES)} are opened: "
            f"save it smaller."
        )


def _decoded(file: IO[bytes], shown: str) -> Image:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file, formats=list(FORMATS)) as image:
            _check_pixels(image.width, image.height, shown)
            image.load()
            return _upright(as_gray_or_rgb(image, shown), image)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(_not_a_picture(file, shown)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{shown} claims more than {MAX_PIXELS:,} pixels: save it smaller.") from error
    except Exception as error:  # decoders raise anything on bytes that are wrong: each time it is the file
        why = visible(str(error) or type(error).__name__, 120)
        raise ImageError(f"{shown} is cut short or damaged ({why}): copy or download it again.") from error


def _check_pixels(width: int, height: int, shown: str) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{shown} claims {width:,} × {height:,} pixels, and up to {MAX_PIXELS:,} are opened: save it smaller."
        )


def _upright(flat: Image, image: Image) -> Image:
    """`flat` turned as the EXIF block of `image`, of which it was made, says."""
    from PIL.Image import Transpose

    try:
        orientation = image.getexif().get(0x0112)
    except Exception:  # noqa: BLE001  a broken EXIF block says nothing about the pixels: as stored, see open_image
        orientation = None
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return flat.transpose(Transpose[turn]) if turn else flat


def _not_a_picture(file: IO[bytes], shown: str) -> str:
    file.seek(0)
    start = file.read(512)
    if start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"<?xml", b"<!--")) and b"<svg" in start:
        start = start[start.index(b"<svg") :]
    for offset, signature, what, advice in SIGNATURES:
        if start[offset:].lstrip(b"\xef\xbb\xbf \r\n\t")[: len(signature)].lower() == signature.lower():
            return f"{shown} is {what}: {advice}."
    what = "a text file" if _is_text(start) else "no picture of a known format"
    *most, last = FORMATS.values()
    return f"{shown} is {what}: choose a {', '.join(most)} or {last} file."


def _is_text(start: bytes) -> bool:
    return not any(byte < 9 or 13 < byte < 32 for byte in start)


def _resized(image: Image, preprocessing: Preprocessing) -> Image:
    """The shorter side is `resize`, the longer one rounded down: `torchvision.transforms.functional`,
    `_compute_resized_output_size`."""
    from PIL.Image import Resampling

    short, long = sorted(image.size)
    wanted = preprocessing.resize
    longer = int(wanted * long / short)
    if wanted * longer > MAX_PIXELS:
        raise ImageError(
            f"The picture has {image.width:,} × {image.height:,} pixels, too long and narrow to have its shorter side scaled to "
            f"{wanted} px: cut the part that matters from it."
        )
    size = (wanted, longer) if image.width <= image.height else (longer, wanted)
    return image if size == image.size else image.resize(size, Resampling[preprocessing.interpolation.upper()])


def _centre(image: Image, size: int) -> Image:
    """The centre `size` x `size`, rounded as `torchvision.transforms.functional.center_crop` does: half to even."""
    left, top = round((image.width - size) / 2.0), round((image.height - size) / 2.0)
    return image.crop((left, top, left + size, top + size))
