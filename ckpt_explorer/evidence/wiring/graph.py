"""The network as a small graph: which tensor of which layer goes where, traced from the module and never guessed.

The module is traced by `torch.fx` with a symbol in place of an image: no tensor is computed, and none is read. What
is not understood (a gate, an attention, a reshape) is a step of kind `unknown`, and says nothing of what comes out of
it; behind the next BatchNorm everything is known again.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import fx, nn

Kind = Literal["image", "conv", "norm", "relu", "add", "same", "maximum", "pad", "unknown"]


@dataclass(frozen=True)
class Step:
    """One operation: what it is, the positions of the steps that it takes its inputs from, and its module's path.

    `groups` and `dilation` are a conv's, `padding` says how many channels of zeros stand before and behind in a `pad`.
    `shrinks` is the stride of this step, `reduction` the product of all strides from the image to behind it.
    """

    kind: Kind
    inputs: tuple[int, ...]
    module: str = ""
    groups: int = 1
    dilation: int = 1
    padding: tuple[int, int] = (0, 0)
    shrinks: int = 1
    reduction: int = 1


Graph = tuple[Step, ...]

_tracing = threading.Lock()
"""Tracing puts its own call in the place of every module's, in all threads, and takes it back by hand: one at a time."""


def graph_of(module: nn.Module) -> Graph | None:
    """The steps of a network in the order in which they are computed, or None where it can't be traced.

    A network whose path depends on its input, or that takes more than one, can't be.
    """
    from torch import fx

    thread = threading.get_ident()

    class Tracer(fx.Tracer):
        """Keeps whole what looks like a BatchNorm, also where it is not torch's own class."""

        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return _is_norm(m) or super().is_leaf_module(m, module_qualified_name)

        def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
            """The network of another thread, which answers pictures meanwhile, is let through untraced."""
            if threading.get_ident() != thread:
                return forward(*args, **kwargs)
            return super().call_module(m, forward, args, kwargs)

    try:
        with _tracing:
            nodes = list(Tracer().trace(module).nodes)
    except Exception:  # noqa: BLE001  whatever somebody's forward() raises when it is given a symbol
        return None
    if sum(node.op == "placeholder" for node in nodes) != 1:
        return None
    position = {node: at for at, node in enumerate(nodes)}
    steps: list[Step] = []
    for node in nodes:
        if node.op != "output":
            step = _step(node, module, position)
            before = max((steps[source].reduction for source in step.inputs), default=1)
            steps.append(replace(step, reduction=before * step.shrinks))
    return tuple(steps)


def _is_norm(module: nn.Module) -> bool:
    """Whether a module keeps running statistics a channel, and a scale and a shift, as BatchNorm does."""
    here = {**module._parameters, **module._buffers}
    return all(here.get(name) is not None for name in ("weight", "bias", "running_mean", "running_var"))


def _step(node: fx.Node, module: nn.Module, position: dict[fx.Node, int]) -> Step:
    inputs = tuple(position[source] for source in node.all_input_nodes)
    if node.op == "placeholder":
        return Step("image", ())
    if node.op == "call_module":
        assert isinstance(node.target, str)
        return _of_module(module.get_submodule(node.target), node.target, inputs)
    if node.op in ("call_function", "call_method"):
        return _of_call(node, inputs)
    return Step("unknown", inputs)


def _of_module(part: nn.Module, path: str, inputs: tuple[int, ...]) -> Step:
    from torch import nn

    if len(inputs) != 1:
        return Step("unknown", inputs, path)
    if isinstance(part, nn.Conv2d):
        return Step("conv", inputs, path, part.groups, part.dilation[0], shrinks=part.stride[0])
    if _is_norm(part):
        return Step("norm", inputs, path)
    if isinstance(part, nn.ReLU):
        return Step("relu", inputs, path)
    if isinstance(part, nn.MaxPool2d | nn.AvgPool2d):
        kind: Kind = "maximum" if isinstance(part, nn.MaxPool2d) else "same"
        return Step(kind, inputs, path, shrinks=_side(part.stride))
    passing = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.ZeroPad2d)
    return Step("same" if isinstance(part, passing) else "unknown", inputs, path)


def _of_call(node: fx.Node, inputs: tuple[int, ...]) -> Step:
    kind = _kinds().get(node.target, "unknown")
    arguments: Sequence[Any] = node.args
    if kind == "add" and len(inputs) != 2:
        kind = "unknown"
    if kind == "pad":
        padding = arguments[1] if len(arguments) > 1 else node.kwargs.get("pad")
        return _padded(padding, inputs)
    if node.target is operator.getitem:
        return _sliced(arguments[1], inputs)
    if node.target in _pools():
        stride = node.kwargs.get("stride", arguments[2] if len(arguments) > 2 else None)
        size = node.kwargs.get("kernel_size", arguments[1] if len(arguments) > 1 else 1)
        return Step(_pools()[node.target], inputs, shrinks=_side(stride or size))
    return Step(kind, inputs)


def _pools() -> dict[Callable[..., Any] | str, Kind]:
    from torch.nn import functional

    return {functional.max_pool2d: "maximum", functional.avg_pool2d: "same"}


def _side(value: Any) -> int:
    first = value[0] if isinstance(value, list | tuple) and value else value
    return first if isinstance(first, int) and first > 0 else 1


def _kinds() -> dict[Callable[..., Any] | str, Kind]:
    import torch
    from torch.nn import functional

    return {
        operator.add: "add",
        operator.iadd: "add",
        torch.add: "add",
        "add": "add",
        "add_": "add",
        functional.relu: "relu",
        functional.relu_: "relu",
        torch.relu: "relu",
        torch.relu_: "relu",
        "relu": "relu",
        "relu_": "relu",
        functional.pad: "pad",
        functional.dropout: "same",
        "contiguous": "same",
        "clone": "same",
    }


def _padded(padding: Any, inputs: tuple[int, ...]) -> Step:
    """Zeros around the picture leave channels as they are; those of He et al.'s option A stand beside them."""
    if not isinstance(padding, list | tuple) or not all(isinstance(count, int) and count >= 0 for count in padding):
        return Step("unknown", inputs)
    if len(padding) <= 4:
        return Step("same", inputs)
    return Step("pad", inputs, padding=(padding[4], padding[5])) if not any(padding[6:]) else Step("unknown", inputs)


def _sliced(index: Any, inputs: tuple[int, ...]) -> Step:
    """An index into (N, C, H, W) that takes all channels, as the strided slice of option A does."""
    everything = slice(None)
    if not (isinstance(index, tuple) and len(index) == 4 and index[:2] == (everything, everything)):
        return Step("unknown", inputs)
    rows = index[2]
    step = rows.step if isinstance(rows, slice) and isinstance(rows.step, int) else 1
    return Step("same", inputs, shrinks=max(step, 1))
