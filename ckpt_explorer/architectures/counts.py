"""The same network with another number of classes or input channels."""

from __future__ import annotations

from ckpt_explorer.architectures.architecture import Architecture
from ckpt_explorer.architectures.own import own_class
from ckpt_explorer.architectures.residual import architecture
from ckpt_explorer.errors import ArchitectureError


def with_counts(network: Architecture, num_classes: int | None = None, in_channels: int | None = None) -> Architecture:
    """`network` built with these counts; None keeps the one that it has.

    Raises:
        ArchitectureError: it is a reference, or its class takes no such count.
    """
    if network.kind == "reference":
        raise ArchitectureError(f"{network.name} is the key tree of a file: its counts are what they are.")
    if network.kind == "class":
        return own_class(
            network.name,
            num_classes=num_classes if num_classes is not None else network.options.get("num_classes"),
            in_channels=in_channels if in_channels is not None else network.options.get("in_channels"),
        )
    return architecture(
        network.name,
        num_classes=network.num_classes if num_classes is None else num_classes,
        in_channels=network.in_channels if in_channels is None else in_channels,
        options=network.options,
    )
