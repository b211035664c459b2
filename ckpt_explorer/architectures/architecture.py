"""Architecture: a network as a tree of keys with shapes, and the way to build it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ckpt_explorer.errors import ArchitectureError

if TYPE_CHECKING:
    from torch import nn

ArchitectureKind = Literal["named", "custom", "class", "reference"]


class ModelTensor(NamedTuple):
    """A parameter or buffer that the model has: what a checkpoint must bring for it."""

    shape: tuple[int, ...]
    dtype: str
    is_parameter: bool


@dataclass(frozen=True, eq=False)
class Architecture:
    """A network to line a checkpoint up against.

    `tree` maps every key of the model's state dict to what it must hold, in the model's order. `build` makes the
    module with random weights on torch's default device; None for a reference, which has keys only.
    `input_size` is the usual side of its square input in pixels, `options` what its keys do not show.
    """

    name: str
    kind: ArchitectureKind
    tree: Mapping[str, ModelTensor]
    build: Callable[[], nn.Module] | None
    num_classes: int | None
    in_channels: int | None
    input_size: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Name, classes, input channels and options, as the command line gives them."""
        return {
            "name": self.name,
            "num_classes": self.num_classes,
            "in_channels": self.in_channels,
            "options": dict(self.options),
        }

    def builder(self) -> Callable[[], nn.Module]:
        """The function that builds the module.

        Raises:
            ArchitectureError: this is a reference: there are keys, and no network.
        """
        if self.build is None:
            raise ArchitectureError(
                f"{self.name} is the key tree of a file and no network: align and convert with it, or choose a network to predict."
            )
        return self.build

    @property
    def head(self) -> tuple[str, ...]:
        """The keys of the last layer: the child of the model that holds its last parameter.

        Where that child holds most of the network (a wrapped model, one Sequential), the last leaf module instead.
        """
        parameters = [key for key, tensor in self.tree.items() if tensor.is_parameter]
        if not parameters:
            return ()
        last = parameters[-1]
        child = last.split(".")[0] + "."
        inside = [key for key in parameters if key.startswith(child)]
        if len(inside) * 2 > len(parameters):
            child = last.rsplit(".", 1)[0] + "." if "." in last else last
        return tuple(key for key in self.tree if key.startswith(child))


def tree_of(module: nn.Module) -> dict[str, ModelTensor]:
    """The key tree of a module, in the order of its `state_dict()`; extra state that is no tensor is left out."""
    import torch

    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    return {
        key: ModelTensor(tuple(value.shape), str(value.dtype).removeprefix("torch."), key in parameters)
        for key, value in module.state_dict().items()
        if isinstance(value, torch.Tensor)
    }
