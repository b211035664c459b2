"""Label sets: the class names of the data sets that ResNets are mostly trained on, in the order of training."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""Krizhevsky 2009; `label_names` of batches.meta in cifar-10-python."""

# fmt: off
CIFAR100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
    "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard",
    "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum",
    "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
    "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
)
# fmt: on
"""`fine_label_names` of meta in cifar-100-python: the hundred fine labels, in alphabetical order."""

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""The built-in example's classes: `ckpt_explorer/examples/facts.json`."""


@cache
def _imagenet() -> tuple[str, ...]:
    from torchvision.models import ResNet50_Weights

    return tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])


LABEL_SETS: dict[str, Callable[[], tuple[str, ...]]] = {
    "imagenet": _imagenet,
    "cifar10": lambda: CIFAR10,
    "cifar100": lambda: CIFAR100,
    "digits": lambda: DIGITS,
}
"""Each set by its name; ImageNet's 1,000 are torchvision's own, which is imported when they are asked for."""

SAFE_BY_COUNT = {1000: "imagenet"}
"""Numbers of classes that nearly always mean one set."""
