"""Names -> networks: torchvision's ten, CIFAR's, custom ones, your own class, another file's key tree."""

from ckpt_explorer.architectures.architecture import Architecture, ModelTensor
from ckpt_explorer.architectures.counts import with_counts
from ckpt_explorer.architectures.own import own_class, reference_tree
from ckpt_explorer.architectures.residual import NAMES, architecture

__all__ = ["NAMES", "Architecture", "ModelTensor", "architecture", "own_class", "reference_tree", "with_counts"]
