"""Heat map: where the network looked when it answered with a class.

The class activation map is exact where the last features are averaged over their places and go through one linear
layer, as in every ResNet: the class's logit is then the mean of the map plus the bias (Zhou et al. 2016, Learning Deep
Features for Discriminative Localization). Grad-CAM is its generalisation to any stage: each channel weighs the mean of
its gradient (Selvaraju et al. 2017), and what speaks against the class is cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ckpt_explorer.errors import InferenceError
from ckpt_explorer.inference.class_scores import class_scores
from ckpt_explorer.inference.forward import place_of
from ckpt_explorer.text import listed, visible

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

STEM = "stem"
"""What everything before the first stage is called, whose last map it is."""


@dataclass(frozen=True, eq=False)
class HeatMap:
    """`values` (h, w) in float32, as they are by definition: of a CAM negative ones speak against the class."""

    values: np.ndarray[Any, Any]
    stage: str
    method: Literal["CAM", "Grad-CAM"]
    class_index: int
    logit: float

    @property
    def strength(self) -> np.ndarray[Any, Any]:
        """What speaks for the class, scaled so that the strongest place is 1; all 0 where nothing does."""
        import numpy as np

        kept: np.ndarray[Any, Any] = np.maximum(self.values, 0)
        top = float(kept.max())
        return kept / top if top > 0 else kept

    @property
    def says(self) -> str:
        """One line."""
        height, width = self.values.shape
        exact = (
            "exact: its mean plus the bias is the logit" if self.method == "CAM" else "by gradients, an approximation"
        )
        return f"{self.method} at {self.stage}, {height} × {width} places, {exact}"


def stages_of(module: nn.Module, x: torch.Tensor) -> dict[str, nn.Module]:
    """The convolutional stages of `module`, first to last, by name: each one's output is a map (N, C, h, w).

    They are the children that hold convolutions within them; what comes before is `stem`. A network without such
    children (one wrapped, or convolutions in a row) is entered, or has a stage for each convolution. `x` (1, C, H, W)
    is sent through once to see what the outputs are.

    Raises:
        InferenceError: no part of the network gives back a map with more than one place.
    """
    import torch

    inside: nn.Module = module
    while len(list(inside.children())) == 1:
        inside = next(iter(inside.children()))
    prefix = next((name for name, part in module.named_modules() if part is inside), "")
    ran: list[tuple[str, nn.Module]] = []

    def note(name: str, part: nn.Module) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and output.dim() == 4 and output.shape[2] * output.shape[3] > 1:
                ran.append((name, part))

        return part.register_forward_hook(hook)

    hooks = [note(f"{prefix}.{name}".lstrip("."), part) for name, part in inside.named_children()]
    try:
        with torch.inference_mode():
            module(x)
    finally:
        for hook in hooks:
            hook.remove()
    large = [(name, part) for name, part in ran if list(part.children()) and _convs(part)]
    if not large:
        large = [(name, part) for name, part in ran if _convs(part)]
    if not large:
        raise InferenceError(
            "No part of this network gives back a map of the picture, so there is no place to point at."
        )
    first = next(position for position, (name, _) in enumerate(ran) if name == large[0][0])
    stem = {STEM: ran[first - 1][1]} if first else {}
    return {**stem, **dict(large)}


def _convs(part: nn.Module) -> bool:
    from torch import nn

    return any(isinstance(module, nn.Conv2d) for module in part.modules())


def heat_map(
    module: nn.Module,
    x: torch.Tensor,
    class_index: int | None = None,
    stage: str | None = None,
    head: str | None = None,
) -> HeatMap:
    """Where `module`, in eval mode, sees the class in `x` (1, C, H, W), as its preprocessing made it.

    Without `class_index` it is the class that is answered. Without `stage` it is the last one, where the exact map is
    given if `head` is the path of a linear layer that gets the mean of that stage's output; else Grad-CAM. No gradient
    is kept, and no parameter is changed.

    Raises:
        InferenceError: no stage of this name, or none at all; no such class; or a network without class scores.
    """
    import torch

    place = place_of(module)
    x = x.to(place.device, place.dtype)
    stages = stages_of(module, x)
    last = list(stages)[-1]
    name = stage or last
    if name not in stages:
        raise InferenceError(f"The network has no stage {visible(name, 60)!r}: choose {listed(stages, 12)}.")
    with torch.inference_mode(False), torch.enable_grad(), _output_of(stages[name]) as seen:
        head_inputs: list[torch.Tensor] = []
        hook = _head(module, head, head_inputs)
        try:
            scores = class_scores(module(x.clone()), 1)
        finally:
            if hook is not None:
                hook.remove()
        logits = scores.logits[0]
        index = int(logits.detach().float().argmax()) if class_index is None else class_index
        if not 0 <= index < len(logits):
            raise InferenceError(f"The network has no class {index}: it has {len(logits):,}, counted from 0.")
        (features,) = seen[-1:]
        logit = float(logits[index].detach())
        weight = _exact_weight(module, head, head_inputs, features) if name == last else None
        if weight is not None:
            values = torch.einsum("c,chw->hw", weight[index].double(), features[0].detach().double())
            return HeatMap(values.float().cpu().numpy(), name, "CAM", index, logit)
        (gradient,) = torch.autograd.grad(logits[index], features)
    alpha = gradient[0].float().mean((1, 2))
    values = torch.relu(torch.einsum("c,chw->hw", alpha, features[0].detach().float()))
    return HeatMap(values.cpu().numpy(), name, "Grad-CAM", index, logit)


@contextmanager
def _output_of(part: nn.Module) -> Iterator[list[torch.Tensor]]:
    """The output of `part` as the leaf of a graph, which begins there: nothing before it keeps anything."""
    seen: list[torch.Tensor] = []

    def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        leaf = output.detach().requires_grad_(True)
        seen.append(leaf)
        return leaf.clone()  # what follows may write into it, which a leaf does not allow

    handle = part.register_forward_hook(hook)
    try:
        yield seen
    finally:
        handle.remove()


def _head(module: nn.Module, head: str | None, kept: list[torch.Tensor]) -> Any:
    import torch

    if head is None:
        return None

    def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs and isinstance(inputs[0], torch.Tensor):
            kept.append(inputs[0].detach())

    return module.get_submodule(head).register_forward_pre_hook(hook)


def _exact_weight(
    module: nn.Module, head: str | None, head_inputs: list[torch.Tensor], features: torch.Tensor
) -> torch.Tensor | None:
    """The head's weight (K, C), where the logits are exactly that times the mean of `features`, plus a bias; else None."""
    import torch
    from torch import nn

    layer = module.get_submodule(head) if head is not None else None
    if not isinstance(layer, nn.Linear) or not head_inputs or layer.in_features != features.shape[1]:
        return None
    mean = features.detach().double().mean((2, 3))
    close = 1e-4 if features.dtype in (torch.float32, torch.float64) else 2e-2
    same = torch.allclose(head_inputs[-1].double(), mean, rtol=close, atol=close * float(mean.abs().max()))
    return layer.weight.detach() if same else None
