"""Pictures: each is opened once, cut to the network's size, and can then be prepared in any number of ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ckpt_explorer.errors import ImageError, InferenceError
from ckpt_explorer.evidence.batchnorm import pictures_at_once
from ckpt_explorer.inference.images import as_input, open_image
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.inference.preprocessing import Preprocessing
from ckpt_explorer.inference.preprocessing_candidates import numbers, plain_steps

if TYPE_CHECKING:
    import torch


class Pictures:
    """Any number of pictures, of which up to 64, spread evenly over all, are kept as pixels.

    `cut` says size and how it is reached. `unread` has a sentence for each picture that could not be read so far.

    Raises:
        PreprocessingError: at the first reading, when the network takes neither 1 nor 3 channels.
    """

    def __init__(self, images: Sequence[NamedImage], cut: Preprocessing, channels: int) -> None:
        self.images = images
        self._plain = plain_steps(cut, channels)
        self._channels = channels
        self._unread: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.images)

    @property
    def unread(self) -> tuple[str, ...]:
        """Why some could not be read, in the order of the pictures, each sentence once."""
        return tuple(dict.fromkeys(self._unread[number] for number in sorted(self._unread)))

    @cached_property
    def pixels(self) -> torch.Tensor:
        """Those that are kept, as 0..1, red first: (N, channels, size, size).

        Raises:
            InferenceError: none of them can be read.
        """
        import torch

        if not self._kept:
            raise InferenceError(
                next(iter(self.unread), "There is no picture to judge the preprocessing by: give some.")
            )
        return torch.stack(list(self._kept.values()))

    @cached_property
    def _kept(self) -> dict[int, torch.Tensor]:
        count = pictures_at_once(self._channels * self._plain.size**2)
        chosen = spread(count, len(self.images))
        return {number: pixels for number in chosen if (pixels := self._read(number)) is not None}

    def _read(self, number: int) -> torch.Tensor | None:
        image = self.images[number]
        try:
            return as_input(open_image(image.source, image.name), self._plain, self._channels)
        except ImageError as error:
            self._unread[number] = str(error)
            return None

    def batches(self, steps: Preprocessing, size: int) -> Iterator[torch.Tensor]:
        """All that can be read, prepared, in batches (up to `size`, channels, side, side); `steps` has the same cut.

        Raises:
            InferenceError: at the end, when not one could be read.
        """
        import torch

        waiting: list[torch.Tensor] = []
        for number in range(len(self.images)):
            pixels = self._kept.get(number)
            if pixels is None and number not in self._unread:
                pixels = self._read(number)
            if pixels is not None:
                waiting.append(pixels)
            if len(waiting) == size:
                yield numbers(torch.stack(waiting), steps)
                waiting = []
        if waiting:
            yield numbers(torch.stack(waiting), steps)
        elif len(self._unread) == len(self.images):
            raise InferenceError(next(iter(self.unread)))


def spread(count: int, of: int) -> list[int]:
    """So many places from 0 to `of`, or all where there are fewer, evenly apart."""
    count = min(count, of)
    return [place * of // count for place in range(count)]
