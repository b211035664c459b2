"""Reading ahead: pictures are decoded in threads of their own while the network works, in order, a bounded number ahead.

Pillow decodes and scales outside of Python's lock, so threads do it at the same time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from ckpt_explorer.errors import ImageError
from ckpt_explorer.inference.prediction import NamedImage

Read = TypeVar("Read")


@dataclass(frozen=True, eq=False)
class ReadImage(Generic[Read]):
    """A picture that was read, or why it was not, and the milliseconds that its thread spent on it."""

    image: NamedImage
    value: Read | None
    says: str
    milliseconds: float


def read_ahead(
    images: Sequence[NamedImage], read: Callable[[NamedImage], Read], readers: int, ahead: int
) -> Iterator[ReadImage[Read]]:
    """Each of `images` through `read`, in their order; up to `ahead` are begun before they are asked for.

    Whoever stops asking ends it: what is being read is finished, the rest is never begun. An ImageError of `read` is
    told in the result; anything else that it raises is raised here.
    """

    def one(image: NamedImage) -> ReadImage[Read]:
        started = time.perf_counter()
        try:
            value, says = read(image), ""
        except ImageError as error:
            value, says = None, str(error)
        return ReadImage(image, value, says, (time.perf_counter() - started) * 1000)

    pool = ThreadPoolExecutor(readers, thread_name_prefix="picture")
    try:
        waiting: deque[Future[ReadImage[Read]]] = deque()
        for image in images:
            waiting.append(pool.submit(one, image))
            if len(waiting) > max(ahead, readers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
