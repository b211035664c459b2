"""write_state_dict(): the file's tensors under the model's keys, as `.pth` or `.safetensors`."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.errors import CheckpointExplorerError, LoadError
from ckpt_explorer.loading import DTYPES, Progress
from ckpt_explorer.text import visible

if TYPE_CHECKING:
    import torch

SUFFIXES = (".pth", ".safetensors")


@dataclass(frozen=True)
class Written:
    """What was written: the path, the number of tensors, and the bytes of the file."""

    path: str
    tensors: int
    size: int

    def as_json(self) -> dict[str, Any]:
        """As the command line gives it."""
        return {"path": self.path, "tensors": self.tensors, "size": self.size}


def converted_state_dict(
    alignment: Alignment, dtype: str | None = None, progress: Progress | None = None
) -> dict[str, torch.Tensor]:
    """The model's keys that the file fills, with the file's values; floating ones cast to `dtype` where it is given.

    Raises:
        LoadError: nothing fits, or there is no such dtype.
    """
    import torch

    if dtype is not None and dtype not in DTYPES:
        raise LoadError(f"{visible(dtype)!r} is no dtype to convert to: choose from {', '.join(DTYPES)}.")
    if not alignment.recipes:
        raise LoadError(
            f"Not one tensor of the file fits {visible(alignment.architecture.name)}: there is nothing to write."
        )
    tensors: dict[str, torch.Tensor] = {}

    def told() -> None:
        if progress:
            progress(len(tensors), len(alignment.recipes))

    for key, tensor in alignment.tensors(waiting=told):
        tensors[key] = _cast(tensor, dtype)
        told()
    for key, value in alignment.fills.items():
        tensors[key] = _cast(torch.full(alignment.architecture.tree[key].shape, value), dtype)
    return _independent(tensors)


def _cast(tensor: torch.Tensor, dtype: str | None) -> torch.Tensor:
    import torch

    return tensor.to(getattr(torch, dtype)) if dtype is not None and tensor.is_floating_point() else tensor


def _independent(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors that are not views of a larger storage, and share none: a writer would save all of it, or refuse."""
    seen: set[int] = set()
    alone: dict[str, torch.Tensor] = {}
    for key, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        alone[key] = tensor if whole and place not in seen else tensor.contiguous().clone()
        seen.add(place)
    return alone


def state_dict_bytes(alignment: Alignment, suffix: str, *, dtype: str | None = None) -> bytes:
    """The same file as `write_state_dict` makes, in memory: for a download.

    Raises:
        CheckpointExplorerError: another suffix; LoadError: nothing fits.
    """
    import io

    import torch

    if suffix not in SUFFIXES:
        raise CheckpointExplorerError(f"{visible(suffix)} is neither .pth nor .safetensors.")
    tensors = converted_state_dict(alignment, dtype)
    if suffix == ".safetensors":
        from safetensors.torch import save

        return save(tensors, metadata={"format": "pt"})
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


def write_state_dict(
    alignment: Alignment,
    path: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    source: Path | None = None,
    progress: Progress | None = None,
) -> Written:
    """Write the aligned state dict to `path`, which ends in `.pth` or `.safetensors`. A file there is replaced.

    It is written beside its place and then moved, so that a failure leaves no half file. `source` is the file that
    was read, which may not be overwritten: its tensors are still being read.

    Raises:
        CheckpointExplorerError: another ending, the source itself, or a place that can't be written.
        LoadError: nothing fits.
    """
    import torch
    from safetensors import SafetensorError

    out = Path(path)
    shown = visible(str(out))
    if out.suffix not in SUFFIXES:
        raise CheckpointExplorerError(
            f"{shown} ends in neither .pth nor .safetensors: give the file one of these endings."
        )
    if source is not None and out.exists() and source.exists() and out.samefile(source):
        raise CheckpointExplorerError(f"{shown} is the file that is being read: give another name.")
    tensors = converted_state_dict(alignment, dtype, progress)
    try:
        handle, partial = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
        os.close(handle)
        try:
            if out.suffix == ".safetensors":
                from safetensors.torch import save_file

                save_file(tensors, partial, metadata={"format": "pt"})
            else:
                torch.save(tensors, partial)
            Path(partial).chmod(0o644)
            Path(partial).replace(out)
        finally:
            Path(partial).unlink(missing_ok=True)
    except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors have errors of their own
        reason = error.strerror if isinstance(error, OSError) else None
        raise CheckpointExplorerError(f"{shown} can't be written: {reason or 'no room or no right'}.") from None
    return Written(str(out), len(tensors), out.stat().st_size)
