"""load(): from an Alignment to a module on a device, and a report that names every tensor.

The module is built on the meta device and takes the file's bytes (`assign=True`), so that no tensor is held twice:
on the CPU a float32 parameter is a view of the mapped file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.architectures.architecture import Architecture
from ckpt_explorer.architectures.meta import on_meta
from ckpt_explorer.errors import ArchitectureError, LoadError
from ckpt_explorer.key_pair import Status, is_counter, named
from ckpt_explorer.loose_tensors import loose_attributes
from ckpt_explorer.text import plural, visible

if TYPE_CHECKING:
    import torch
    from torch import nn

DTYPES = ("float32", "float16", "bfloat16", "float64")
"""What a network may be loaded as; float32 is what it was built with."""

Progress = Callable[[int, int], None]
"""Called with tensors done and tensors in all, also while bytes are waited for; may raise to abandon the work."""


@dataclass(frozen=True)
class LoadReport:
    """What became of every tensor, by name, in PyTorch's sense: missing is what the model wants and the file lacks.

    `matched` and `adapted` map model keys to the file's keys; `random` lists the model's keys that kept the values
    they were built with. Counters of batches are filled with 0 where the file has none, and are no part of it.
    """

    matched: dict[str, str]
    adapted: dict[str, str]
    shape_mismatch: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    ignored: tuple[str, ...]
    random: tuple[str, ...]
    strict: bool

    def as_json(self) -> dict[str, Any]:
        """The report as JSON lists of names."""
        return {
            "strict": self.strict,
            "matched": list(self.matched),
            "adapted": list(self.adapted),
            "shape_mismatch": list(self.shape_mismatch),
            "missing": list(self.missing),
            "unexpected": list(self.unexpected),
            "ignored": list(self.ignored),
            "random": list(self.random),
        }

    def __str__(self) -> str:
        words = f"{len(self.matched)} matched, {len(self.adapted)} adapted, {len(self.shape_mismatch)} shape mismatch"
        return f"{words}, {len(self.missing)} missing, {len(self.unexpected)} unexpected, {len(self.ignored)} ignored"


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A module in `eval()` on a device, with the alignment it was loaded through and the report."""

    module: nn.Module
    alignment: Alignment
    report: LoadReport
    device: str
    dtype: str

    @property
    def architecture(self) -> Architecture:
        """The network that was loaded."""
        return self.alignment.architecture


def available_devices() -> tuple[str, ...]:
    """The devices this machine has, best last resort first: `cpu`, then `cuda` (with each index) and `mps`."""
    import torch

    devices = ["cpu"]
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        devices += ["cuda"] if count == 1 else [f"cuda:{index}" for index in range(count)]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return tuple(devices)


def report_of(alignment: Alignment, strict: bool) -> LoadReport:
    """The report that loading `alignment` gives, before a tensor is read."""

    def model_keys(status: Status) -> tuple[str, ...]:
        return tuple(pair.model for pair in alignment.rows(status) if pair.model)

    def file_keys(status: Status) -> tuple[str, ...]:
        return tuple(pair.checkpoint for pair in alignment.rows(status) if pair.checkpoint)

    def sources(status: Status) -> dict[str, str]:
        rows = reversed(alignment.rows(status))  # of a tensor made of several sources, the first stands for it
        found = {pair.model: pair.checkpoint for pair in rows if pair.model and pair.checkpoint}
        return dict(reversed(found.items()))

    return LoadReport(
        matched=sources(Status.MATCHED),
        adapted=sources(Status.ADAPTED),
        shape_mismatch=tuple(dict.fromkeys(model_keys(Status.SHAPE_MISMATCH))),
        missing=tuple(key for key in model_keys(Status.MISSING) if not is_counter(key) and key not in alignment.fills),
        unexpected=file_keys(Status.UNEXPECTED),
        ignored=file_keys(Status.IGNORED),
        random=alignment.unfilled,
        strict=strict,
    )


def load(
    alignment: Alignment,
    *,
    device: str = "cpu",
    dtype: str | None = None,
    strict: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> LoadedModel:
    """Build the network and fill it from the file. The module is in `eval()` mode.

    With `strict`, anything missing, unexpected or of another shape is refused, as in `load_state_dict(strict=True)`
    (keys that a rule drops are not unexpected). Without it, what fits is loaded, also past shape mismatches, which
    PyTorch never forgives; the rest keeps the random values it was built with under `seed`, and the report names it.
    `dtype` is one of DTYPES for all floating tensors; None leaves the network's own.

    Raises:
        LoadError: strict and it does not fit, nothing fits at all, or this machine lacks the device.
        ArchitectureError: the target is a reference and no network, or it can't be built.
        CorruptCheckpoint: a tensor's bytes do not have the checksum that the file keeps.
    """
    import torch

    report = report_of(alignment, strict)
    build = alignment.architecture.builder()
    _check_device(device)
    if dtype is not None and dtype not in DTYPES:
        raise LoadError(f"{visible(dtype)!r} is no dtype to load as: choose from {', '.join(DTYPES)}.")
    if strict:
        _check_strict(report, alignment)
    if not report.matched and not report.adapted:
        raise LoadError(
            f"Not one tensor of the file fits {visible(alignment.architecture.name)}: change the rules or the network."
        )
    module = _skeleton(build)
    as_dtype = None if dtype is None else getattr(torch, dtype)
    tensors = _tensors_for(module, alignment, report, torch.device(device), as_dtype, progress)
    tensors.update(_constants(module, alignment, torch.device(device), as_dtype))
    tensors.update(_unfilled(module, build, set(tensors), seed, torch.device(device), as_dtype))
    module.load_state_dict(tensors, strict=False, assign=True)
    _settle(module, build, seed, torch.device(device), as_dtype)
    module.requires_grad_(False)
    module.eval()
    return LoadedModel(module, alignment, report, device, dtype or "float32")


def _check_device(device: str) -> None:
    there = available_devices()
    if device not in there and device.removesuffix(":0") not in there:
        raise LoadError(f"This machine has no device {visible(device)!r}: it has {', '.join(there)}.")


def _check_strict(report: LoadReport, alignment: Alignment) -> None:
    """Refuse as PyTorch's strict does, with all that is wrong in one sentence."""
    wrong = [
        (len(report.missing), "missing", report.missing),
        (len(report.shape_mismatch), "of another shape", report.shape_mismatch),
        (len(report.unexpected), "unexpected", report.unexpected),
    ]
    parts = [f"{plural(count, 'key')} {what} ({named(keys)})" for count, what, keys in wrong if count]
    if parts:
        raise LoadError(
            f"A strict load into {visible(alignment.architecture.name)} is refused: {', '.join(parts)}; change the rules, drop what is not needed, or load partially."
        )


def _skeleton(build: Callable[[], nn.Module]) -> nn.Module:
    """The module on the meta device: shapes without memory. A class that can't be built there is built as it is."""
    try:
        with on_meta():
            return build()
    except ArchitectureError:
        return build()


def _tensors_for(
    module: nn.Module,
    alignment: Alignment,
    report: LoadReport,
    device: torch.device,
    dtype: torch.dtype | None,
    progress: Progress | None,
) -> dict[str, torch.Tensor]:
    """The file's tensors by model key, cast and moved one by one; a view of the file where neither is needed."""
    wanted = module.state_dict()
    sources = {**report.matched, **report.adapted}
    tensors: dict[str, torch.Tensor] = {}

    def told() -> None:
        if progress:
            progress(len(tensors), len(sources))

    for key, tensor in alignment.tensors(sources, told):
        target = wanted[key].dtype
        if dtype is not None and target.is_floating_point:
            target = dtype
        tensors[key] = tensor.to(device=device, dtype=target)
        told()
    return tensors


def _constants(
    module: nn.Module, alignment: Alignment, device: torch.device, dtype: torch.dtype | None
) -> dict[str, torch.Tensor]:
    """The constants that fill rules put where the file has nothing."""
    import torch

    wanted = module.state_dict()
    return {
        key: _placed(torch.full(wanted[key].shape, value, dtype=wanted[key].dtype), device, dtype)
        for key, value in alignment.fills.items()
        if key in wanted
    }


def _unfilled(
    module: nn.Module,
    build: Callable[[], nn.Module],
    filled: set[str],
    seed: int,
    device: torch.device,
    dtype: torch.dtype | None,
) -> dict[str, torch.Tensor]:
    """Values for the keys that the file does not fill: from a network built under `seed`, counters 0."""
    empty = [key for key in module.state_dict() if key not in filled]
    if not empty:
        return {}
    import torch

    found = {key: torch.zeros((), dtype=torch.long, device=device) for key in empty if is_counter(key)}
    if len(found) < len(empty):
        fresh = initialised(build, seed).state_dict()
        found.update({key: _placed(fresh[key], device, dtype) for key in empty if key not in found})
    return found


def initialised(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """The network with its own random initialisation under `seed`; the caller's random state is left alone."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def _placed(tensor: torch.Tensor, device: torch.device, dtype: torch.dtype | None) -> torch.Tensor:
    target = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to(device=device, dtype=target)


def _settle(
    module: nn.Module, build: Callable[[], nn.Module], seed: int, device: torch.device, dtype: torch.dtype | None
) -> None:
    """Give a value to what no state dict holds: buffers that are not saved, and tensors kept as plain attributes."""
    fresh: dict[str, nn.Module] | None = None
    for path, part in module.named_modules():
        loose = [name for name, _ in loose_attributes(part)]
        hidden = [
            name
            for name, value in part._buffers.items()
            if value is not None and (value.is_meta or name in part._non_persistent_buffers_set)
        ]
        if not loose and not hidden:
            continue
        if fresh is None:
            fresh = dict(initialised(build, seed).named_modules())
        for name in (*loose, *hidden):
            setattr(part, name, _placed_inside(getattr(fresh[path], name), device, dtype))


def _placed_inside(value: Any, device: torch.device, dtype: torch.dtype | None) -> Any:
    """`value` with every tensor in it on the device and in the dtype."""
    import torch

    if isinstance(value, torch.Tensor):
        return _placed(value, device, dtype)
    if isinstance(value, dict):
        return {key: _placed_inside(item, device, dtype) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_placed_inside(item, device, dtype) for item in value)
    return value
