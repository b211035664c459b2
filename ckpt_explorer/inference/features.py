"""Features: what the network knows of a picture before its last layer, one row a picture, and which are like it.

They need no class names and no trained head: pictures that the network sees alike lie close together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ckpt_explorer.errors import InferenceError
from ckpt_explorer.text import visible

if TYPE_CHECKING:
    import numpy as np
    import torch

    Array = np.ndarray[Any, Any]

FORMATS = (".npz", ".safetensors")


def head_path(head: Sequence[str]) -> str | None:
    """The path of the module that holds all keys of `head`: `fc` of `fc.weight` and `fc.bias`; None without keys."""
    paths = [key.split(".")[:-1] for key in head]
    if not paths:
        return None
    common = [parts[0] for parts in zip(*paths, strict=False) if len(set(parts)) == 1]
    return ".".join(common) or None


class FeatureTap:
    """While it is entered, it keeps what goes into the module at `head`, pooled to (N, D); with None it keeps nothing.

    A map (N, D, H, W) is averaged over its places, anything else is made flat.
    """

    def __init__(self, module: torch.nn.Module, head: str | None) -> None:
        self.head = None if head is None else module.get_submodule(head)
        self._hook: Any = None
        self._seen: Array | None = None

    def __enter__(self) -> Self:
        if self.head is not None:
            self._hook = self.head.register_forward_pre_hook(self._keep)
        return self

    def __exit__(self, *_: object) -> None:
        if self._hook is not None:
            self._hook.remove()

    def _keep(self, _module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        x = inputs[0].detach().float()
        pooled = x.mean((2, 3)) if x.dim() == 4 else x.flatten(1)
        self._seen = pooled.cpu().numpy()

    def taken(self) -> Array | None:
        """The rows of the last batch, once."""
        seen, self._seen = self._seen, None
        return seen


def nearest(features: Array, index: int, count: int) -> list[tuple[int, float]]:
    """The `count` rows most like row `index`, as their numbers and cosine similarities (-1 to 1), best first."""
    import numpy as np

    lengths = np.linalg.norm(features, axis=1)
    lengths[lengths == 0] = 1
    likeness = (features @ features[index]) / (lengths * lengths[index])
    likeness[index] = -np.inf
    order = np.argsort(-likeness, kind="stable")[: min(count, len(features) - 1)]
    return [(int(row), float(min(likeness[row], 1.0))) for row in order]


def write_features(path: Path, names: Sequence[str], features: Array) -> None:
    """Write features (N, D), float32, with the names of their pictures.

    `.npz` holds the arrays `features` and `images` (texts, so that `numpy.load` needs no pickle); `.safetensors` the
    tensor `features` and, in its metadata, `images` as a JSON list.

    Raises:
        InferenceError: another ending, or the file can't be written.
    """
    import numpy as np

    if path.suffix not in FORMATS:
        raise InferenceError(
            f"{visible(path.name, 80)} has no ending of a format to write: choose {' or '.join(FORMATS)}."
        )
    try:
        if path.suffix == ".npz":
            np.savez(path, features=features, images=np.array(list(names), dtype=np.str_))
        else:
            from safetensors.numpy import save_file

            save_file({"features": np.ascontiguousarray(features)}, path, metadata={"images": json.dumps(list(names))})
    except OSError as error:
        raise InferenceError(f"{visible(str(path), 120)} can't be written: {error.strerror or error}.") from error


def check_format(path: Path) -> None:
    """Refuse, before any work, a file that features can't be written to.

    Raises:
        InferenceError: its ending is that of no format in FORMATS.
    """
    if path.suffix not in FORMATS:
        raise InferenceError(
            f"{visible(path.name, 80)} has no ending of a format to write: choose {' or '.join(FORMATS)}."
        )
