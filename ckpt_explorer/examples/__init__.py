"""The example that ships with the app: a trained ResNet-20, pictures it has never seen, and three files made of it.

The weights and the pictures are written by `python -m tests.train_example`; `facts.json` says how well they do.
Nothing here imports torch before a file has to be made.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypedDict, cast

from ckpt_explorer.text import natural_order

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = Path(__file__).with_name("digits_resnet20.pth")
IMAGES = Path(__file__).with_name("images")
FACTS = Path(__file__).with_name("facts.json")

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Facts(TypedDict):
    """What was measured and where it comes from; `images` and `predicted` map a file's name to a digit."""

    accuracy: float
    held_out: int
    trained_on: int
    epochs: int
    how: str
    source: str
    licence: str
    images: dict[str, int]
    predicted: dict[str, int]


@dataclass(frozen=True)
class Example:
    """One case to try.

    `architecture` is what to load it into, "" where the app finds it; `preprocess` names a preset; `labels` are the
    names of the classes, by index.
    """

    id: str
    title: str
    says: str
    file_name: str
    architecture: str
    preprocess: str
    labels: tuple[str, ...]


EXAMPLES: tuple[Example, ...] = (
    Example(
        id="fits",
        title="It fits as it is",
        says="A ResNet-20 trained on handwritten digits, wrapped in a dictionary beside its epoch and accuracy: "
        "the app finds the weights and the network, and every key is filled.",
        file_name="digits_resnet20.pth",
        architecture="",
        preprocess="digits",
        labels=DIGITS,
    ),
    Example(
        id="partial",
        title="Only the trunk fits",
        says="The same file into a network of one's own that stops after the second stage and has another head: "
        "the trunk is filled and layer3 is left over, but the classifier stays random, so its class answers mean "
        "nothing until it is trained.",
        file_name="digits_resnet20_into_simplified.pth",
        architecture="ckpt_explorer.examples.simplified_resnet:SimplifiedResNet",
        preprocess="digits",
        labels=DIGITS,
    ),
    Example(
        id="renamed",
        title="Other names for the same weights",
        says="The same weights as another project would have saved them: module. in front of every key, norm1 for bn1, "
        "shortcut for downsample, classifier for fc; a few rules turn the names back, and every key is filled.",
        file_name="digits_resnet20_renamed.pth",
        architecture="",
        preprocess="digits",
        labels=DIGITS,
    ),
)

OTHER_NAMES = MappingProxyType({"bn1": "norm1", "bn2": "norm2", "downsample": "shortcut", "fc": "classifier"})


def example_bytes(example: Example) -> bytes:
    """The checkpoint file of `example`, as one would upload it: a zip file of about 1.1 MB that `torch.save` wrote."""
    return _FILES[example.id]()


def example_images() -> list[Path]:
    """The held-out pictures, 32x32 8-bit gray PNG files, in natural order of their names."""
    return sorted(IMAGES.glob("*.png"), key=lambda path: natural_order(path.name))


@cache
def facts() -> Facts:
    """What was measured when the example was trained; the dictionary is shared, so leave it as it is."""
    return cast(Facts, json.loads(FACTS.read_text(encoding="utf-8")))


def right_answer(file_name: str) -> int:
    """The digit that a picture of `example_images()` shows.

    Raises:
        KeyError: no held-out picture has this name.
    """
    return facts()["images"][file_name]


def other_name(key: str) -> str:
    """`key` as the third example spells it: `module.layer2.0.shortcut.1.weight` for `layer2.0.downsample.1.weight`."""
    return ".".join(["module", *(OTHER_NAMES.get(segment, segment) for segment in key.split("."))])


def _as_trained() -> bytes:
    return WEIGHTS.read_bytes()


def _renamed() -> bytes:
    return _saved(
        {"model": {other_name(key): tensor for key, tensor in _shipped_tensors()}, "epoch": facts()["epochs"]}
    )


_FILES: dict[str, Callable[[], bytes]] = {"fits": _as_trained, "partial": _as_trained, "renamed": _renamed}


def _shipped_tensors() -> Iterable[tuple[str, Tensor]]:
    from ckpt_explorer.reading import open_checkpoint

    state_dict = open_checkpoint(WEIGHTS).state_dict
    return ((key, state_dict.tensor(key)) for key in state_dict)


def _saved(content: dict[str, Any]) -> bytes:
    import torch

    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()
