"""Two seeds: what the file did not bring is given two values, and the output tells which of it takes part.

The network is built twice with different random weights, and filled from the same file. A tensor that differs between
the two, or that no file filled, reaches the output when the output changes with it. So does what lies outside the state
dict: buffers that are not saved, and tensors that a class of one's own keeps as plain attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_explorer.evidence.shared_copy import shared_copy
from ckpt_explorer.inference.class_scores import main_tensor
from ckpt_explorer.inference.forward import place_of, timed_forward
from ckpt_explorer.key_pair import is_counter, named
from ckpt_explorer.loading import LoadedModel, initialised
from ckpt_explorer.loose_tensors import loose_attributes, tensors_inside

if TYPE_CHECKING:
    import torch
    from torch import nn

BLIND = "It can't see a tensor that came from the file and is wrong, or one whose effect this one input does not show."

SECOND_SEED = 1
TOLERANCE = 1e-5
"""Of the output's largest number: what another order of additions may change in float32."""

MANY = 24
"""From so many tensors on, one pass of derivatives finds most of those that take part."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TwoSeeds:
    """Whether the answer hangs on anything but the file, and the names of what takes part without being from it.

    `tried` counts the tensors that were changed. `forward_is_random` means that the same network and input gave two
    answers, where no tensor can be told from chance.
    """

    same: bool
    random: tuple[str, ...]
    tried: int = 0
    forward_is_random: bool = False

    def as_json(self) -> dict[str, Any]:
        """`{"same", "random"}`."""
        return {"same": self.same, "random": list(self.random)}

    @property
    def says(self) -> str:
        """The finding, in one sentence."""
        if self.forward_is_random:
            return "The same input gave two answers: the network's own forward is random."
        if self.same and not self.tried:
            return "Nothing in the network is random: another seed changes no tensor."
        if self.same:
            return f"Of {self.tried:,} tensors that are not from the file, none reaches the output."
        return f"Not from the file, and part of every answer: {named(list(self.random))}."


def two_seeds(loaded: LoadedModel, x: torch.Tensor, progress: Progress | None = None) -> TwoSeeds:
    """Change whatever is not from the file, one tensor at a time, and see whether the output for `x` changes.

    `x` is (N, C, H, W), already prepared; one picture is enough, or noise.

    Raises:
        InferenceError: the network failed on `x`, or gave back no tensor.
        ArchitectureError: it can't be built a second time.
    """
    import torch

    place = place_of(loaded.module)
    x = x.to(place.device, place.dtype)
    module = shared_copy(loaded.module)
    first, again = _output(module, x), _output(module, x)
    if not _alike(first, again, 0.0):
        return TwoSeeds(False, (), forward_is_random=True)
    not_filled, loose = _not_filled(loaded), dict(_attributes(loaded.module))
    if not not_filled and not any(map(tensors_inside, loose.values())):
        return TwoSeeds(True, ())  # and a second network need not be built
    others = _not_from_the_file(loaded, not_filled, loose, initialised(loaded.architecture.builder(), SECOND_SEED))
    if not others:
        return TwoSeeds(True, ())
    if not bool(torch.isfinite(first).any()):
        return TwoSeeds(False, tuple(others), len(others))  # NaN hides every change: all that could take part is named
    felt = _by_gradient(module, others, x) if len(others) > MANY else frozenset()
    random = []
    for done, (name, value) in enumerate(others.items(), 1):
        if name in felt:
            random.append(name)
            continue
        with _put(module, name, value):
            if not _alike(first, _output(module, x), TOLERANCE):
                random.append(name)
        if progress:
            progress(done, len(others))
    return TwoSeeds(not random, tuple(random), len(others))


def _output(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    from ckpt_explorer.errors import InferenceError

    output = main_tensor(timed_forward(module, x)[0])
    if output is None:
        raise InferenceError("The network gives back no tensor, so two answers can't be compared: return its logits.")
    return output.detach().float().cpu()


def _alike(one: torch.Tensor, other: torch.Tensor, tolerance: float) -> bool:
    """Whether two outputs are the same up to `tolerance` of the largest number; NaN equals NaN."""
    import torch

    if one.shape != other.shape:
        return False
    finite = one[torch.isfinite(one)]
    largest = float(finite.abs().max()) if finite.numel() else 0.0
    return torch.allclose(one, other, rtol=0.0, atol=tolerance * largest, equal_nan=True)


def _by_gradient(module: nn.Module, others: Mapping[str, Any], x: torch.Tensor) -> frozenset[str]:
    """The parameters that the output certainly depends on, all in one pass: a derivative is not zero.

    A zero proves nothing (a ReLU may be shut, a statistic has no derivative): those are changed one by one.
    """
    import torch

    here = dict(module.named_parameters())
    leaves = {name: here[name].detach().clone().requires_grad_() for name in others if name in here}
    try:
        with torch.enable_grad():
            output = main_tensor(torch.func.functional_call(module, dict(leaves), (x.clone(),)))
            if output is None or not output.requires_grad:
                return frozenset()
            weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(0))
            total = (output * weights.to(output.device, output.dtype)).sum()
            gradients = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    except RuntimeError:  # a forward that can't be differentiated: then one by one
        return frozenset()
    return frozenset(
        name
        for name, gradient in zip(leaves, gradients, strict=True)
        if gradient is not None and bool((gradient != 0).any())
    )


def _not_filled(loaded: LoadedModel) -> dict[str, torch.Tensor]:
    """The parameters and buffers that the file did not fill, by dotted name, in the module's order."""
    here = {**dict(loaded.module.named_parameters()), **dict(loaded.module.named_buffers())}
    unfilled, tree = set(loaded.report.random), loaded.architecture.tree
    return {
        name: value for name, value in here.items() if name in unfilled or (name not in tree and not is_counter(name))
    }


def _not_from_the_file(
    loaded: LoadedModel, not_filled: Mapping[str, torch.Tensor], loose: Mapping[str, Any], other: nn.Module
) -> dict[str, Any]:
    """Another value for each tensor that the file does not fix, by dotted name, in the module's order."""
    places = {**dict(other.named_parameters()), **dict(other.named_buffers())}
    unfilled = set(loaded.report.random)
    found: dict[str, Any] = {}
    for name, value in not_filled.items():
        if name in unfilled:
            found[name] = _changed(value, places.get(name))
        elif _differ(value, places.get(name)):
            found[name] = places[name].detach().to(value.device, value.dtype)
    second = dict(_attributes(other))
    for name, value in loose.items():
        inside, theirs = tensors_inside(value), tensors_inside(second.get(name))
        if any(_differ(one, two) for one, two in zip(inside, theirs, strict=False)):
            found[name] = _placed_like(value, second[name])
    return found


def _attributes(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """What modules keep as plain attributes and holds tensors, by dotted name."""
    for path, part in module.named_modules():
        for name, value in loose_attributes(part):
            yield f"{path}.{name}" if path else name, value


def _placed_like(kept: Any, value: Any) -> Any:
    """`value`, of the same form as `kept`, with its tensors on the device and of the type of those there."""
    import torch

    if isinstance(value, torch.Tensor) and isinstance(kept, torch.Tensor):
        return value.detach().to(kept.device, kept.dtype)
    if isinstance(value, dict) and isinstance(kept, dict):
        return {key: _placed_like(kept.get(key), item) for key, item in value.items()}
    if type(value) in (list, tuple) and isinstance(kept, list | tuple):
        return type(value)(_placed_like(one, two) for one, two in zip(kept, value, strict=False))
    return value


def _differ(value: torch.Tensor, other: torch.Tensor | None) -> bool:
    import torch

    if other is None or other.shape != value.shape or other.is_meta:
        return False
    return not torch.equal(value.detach().cpu(), other.detach().to("cpu", value.dtype))


def _changed(value: torch.Tensor, other: torch.Tensor | None) -> torch.Tensor:
    """The other seed's value; where that is the same (zeros, ones), a larger one that no variance would refuse."""
    if other is not None and _differ(value, other):
        return other.detach().to(value.device, value.dtype)
    return value * 1.5 + 0.25 if value.is_floating_point() else value + 1


class _put:  # noqa: N801  used as a with block
    """Inside the block, the tensor under a dotted name of `module` is another one."""

    def __init__(self, module: nn.Module, name: str, value: torch.Tensor) -> None:
        path, _, self.name = name.rpartition(".")
        self.part = module.get_submodule(path)
        self.value = value

    def __enter__(self) -> None:
        self.kept = self._set(self.value)

    def __exit__(self, *_: object) -> None:
        self._set(self.kept)

    def _set(self, value: Any) -> Any:
        from torch import nn

        stores: tuple[Mapping[str, Any], ...] = (self.part._parameters, self.part._buffers, vars(self.part))
        store: Any = next(store for store in stores if self.name in store)
        kept = store[self.name]
        as_kept = isinstance(kept, nn.Parameter) and not isinstance(value, nn.Parameter)
        store[self.name] = nn.Parameter(value, requires_grad=False) if as_kept else value
        return kept
