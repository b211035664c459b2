"""Overlay: a heat map laid over the picture that it is of, in the picture's own coordinates.

The network saw a part of the picture, scaled: the way back is the scaling undone, and what lies outside of that part
gets no colour, for the network did not see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt_explorer.inference.flat_colour import as_gray_or_rgb
from ckpt_explorer.inference.preprocessing import Preprocessing

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

MAX_SIDE = 1024
"""Pixels: a larger picture is shown smaller."""

STRONGEST = 0.65
"""How much of the strongest place's colour is the map's."""

_COLOURS = ((48, 18, 59), (65, 125, 239), (30, 201, 202), (112, 252, 96), (219, 223, 56), (252, 136, 37), (190, 26, 8))
"""From nothing to most: seven of Google's Turbo colour map (Mikhailov 2019), which keeps its order of lightness apart."""


def seen_box(width: int, height: int, preprocessing: Preprocessing) -> tuple[float, float, float, float]:
    """The part of a picture of these pixels that the network saw, as left, top, right, bottom in its own pixels.

    Source: `images.as_input`: the shorter side is scaled to `resize`, and the centre `size` x `size` is cut.
    """
    short, long = sorted((width, height))
    wanted = preprocessing.resize
    longer = int(wanted * long / short)
    scaled = (wanted, longer) if width <= height else (longer, wanted)
    left, top = (round((side - preprocessing.size) / 2.0) for side in scaled)
    across, down = width / scaled[0], height / scaled[1]
    return (
        left * across,
        top * down,
        (left + preprocessing.size) * across,
        (top + preprocessing.size) * down,
    )


def in_picture(
    strength: np.ndarray[Any, Any], width: int, height: int, preprocessing: Preprocessing
) -> np.ndarray[Any, Any]:
    """`strength` (h, w) over what the network saw, as (height, width) over a picture of these pixels; NaN elsewhere."""
    import numpy as np
    import PIL.Image

    left, top, right, bottom = seen_box(width, height, preprocessing)
    x0, y0, x1, y1 = round(left), round(top), max(round(right), round(left) + 1), max(round(bottom), round(top) + 1)
    x1, y1 = min(x1, width), min(y1, height)
    small = PIL.Image.fromarray(np.ascontiguousarray(strength, dtype=np.float32))
    large = np.full((height, width), np.nan, dtype=np.float32)
    large[y0:y1, x0:x1] = np.asarray(small.resize((x1 - x0, y1 - y0), PIL.Image.Resampling.BILINEAR))
    return large


def overlaid(image: Image, strength: np.ndarray[Any, Any], preprocessing: Preprocessing) -> Image:
    """`image` in RGB with the map's colours over it, its longer side at most 1,024 px."""
    import numpy as np
    import PIL.Image

    picture = as_gray_or_rgb(image).convert("RGB")
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    heat = in_picture(strength, picture.width, picture.height, preprocessing)
    known = np.nan_to_num(np.clip(heat, 0, 1))
    table = np.array(_COLOURS, dtype=np.float32)
    place = known * (len(table) - 1)
    below = np.minimum(place.astype(np.int64), len(table) - 2)
    part = (place - below)[..., None]
    colour = table[below] * (1 - part) + table[below + 1] * part
    share = (STRONGEST * np.sqrt(known))[..., None]
    pixels = np.asarray(picture, dtype=np.float32) * (1 - share) + colour * share
    pixels[np.isnan(heat)] *= 0.55
    return PIL.Image.fromarray(np.rint(pixels).astype(np.uint8))
