"""Flat colour: whatever Pillow calls a picture's mode, as 8-bit gray or RGB without transparency."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ckpt_explorer.errors import ImageError

if TYPE_CHECKING:
    from PIL.Image import Image

FULL_SCALES = {"I": (255, 65535, 2**31 - 1), "F": (1, 255, 65535)}
"""White, by mode: 32-bit integers and floats do not say what theirs is, so it is the first of these that none exceeds.

Values below 0 or above the last are stretched from darkest to lightest instead.
"""

_BAND_ROWS = 256


def as_gray_or_rgb(image: Image, shown: str = "The picture") -> Image:
    """`image` in mode L or RGB: transparency on white, 16 bits and more scaled to 0..255 and never clipped.

    CMYK becomes RGB without a colour profile; inverted CMYK, as Adobe's JPEGs have it, is turned by Pillow's reader.

    Raises:
        ImageError: pixels that are NaN or infinite, or a colour space that Pillow can't turn into RGB; `shown` is the
            subject of the sentence.
    """
    try:
        return _BY_MODE.get(image.mode, _colour)(image)
    except _UnreadableError as error:
        raise ImageError(f"{shown} {error}") from error


class _UnreadableError(Exception):
    """The rest of the sentence that begins with the picture's name."""


def _as_it_is(image: Image) -> Image:
    return _gray_on_white(image) if "transparency" in image.info else image


def _rgb_as_it_is(image: Image) -> Image:
    return _on_white(image.convert("RGBA")) if "transparency" in image.info else image


def _colour(image: Image) -> Image:
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    try:
        return image.convert("RGB")
    except ValueError as error:
        raise _UnreadableError(
            f"has colours in {image.mode}, which can't be turned into RGB: save it as RGB."
        ) from error


def _gray_on_white(image: Image) -> Image:
    import PIL.Image

    gray = image.convert("LA")
    flat = PIL.Image.new("L", gray.size, 255)
    flat.paste(gray.getchannel("L"), mask=gray.getchannel("A"))
    return flat


def _on_white(image: Image) -> Image:
    import PIL.Image

    flat = PIL.Image.new("RGB", image.size, (255, 255, 255))
    flat.paste(image, mask=image.getchannel("A"))
    return flat


def _gray_16_bit(image: Image) -> Image:
    """0..65535 to 0..255, rounded: the file states its range, so a dark picture stays dark."""
    import numpy as np
    import PIL.Image

    to_8_bit = ((np.arange(65536) + 128) // 257).astype(np.uint8)
    values = np.asarray(image)
    gray = to_8_bit[values]
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        gray[values == transparent] = 255
    return PIL.Image.fromarray(gray)


def _gray_of_unknown_scale(image: Image) -> Image:
    import numpy as np
    import PIL.Image

    values = np.asarray(image)
    ends = [(float(band.min()), float(band.max())) for band in _bands(values)]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    if not np.isfinite([low, high]).all():  # min and max of a band with NaN are NaN
        raise _UnreadableError("has pixels that are NaN or infinite: replace them and save it again.")
    scales = (65535,) if image.format == "PPM" and image.mode == "I" else FULL_SCALES[image.mode]
    white = next((float(scale) for scale in scales if high <= scale), None) if low >= 0 else None
    black, span = (0.0, white) if white is not None else (low, (high - low) or 1.0)
    gray = np.empty(values.shape, np.uint8)
    for band, out in zip(_bands(values), _bands(gray), strict=True):
        out[:] = np.rint((band.astype(np.float64) - black) * 255.0 / span)
    return PIL.Image.fromarray(gray)


def _bands(values: Any) -> Iterator[Any]:
    """Rows by the hundred, as views: arithmetic on a large picture takes memory for one of them."""
    return (values[row : row + _BAND_ROWS] for row in range(0, len(values), _BAND_ROWS))


_BY_MODE: dict[str, Callable[[Image], Image]] = {
    "L": _as_it_is,
    "RGB": _rgb_as_it_is,
    "1": _gray_on_white,
    "LA": _gray_on_white,
    "La": lambda image: _gray_on_white(image.convert("LA")),
    "I;16": _gray_16_bit,
    "I;16B": _gray_16_bit,
    "I;16L": _gray_16_bit,
    "I;16N": _gray_16_bit,
    "I": _gray_of_unknown_scale,
    "F": _gray_of_unknown_scale,
}
"""Modes that need care, one a row; every other goes through RGB (or RGBA, where something is transparent)."""
