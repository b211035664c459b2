"""Values: every tensor of the module equals its source in the file, bit for bit or after the stated cast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ckpt_explorer.loading import LoadedModel


@dataclass(frozen=True)
class ValuesCheck:
    """How many tensors were compared, how many are equal as they are or after a cast, and which differ.

    It can't see whether a tensor is in the right place: two convs of one shape that were swapped are both equal to
    their sources.
    """

    tensors: int
    equal: int
    adapted: int
    different: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Counts, and the number of tensors that differ."""
        return {"tensors": self.tensors, "equal": self.equal, "adapted": self.adapted, "different": len(self.different)}


def check_values(loaded: LoadedModel) -> ValuesCheck:
    """Compare every filled tensor of the module with the file it came from, on the CPU, one at a time."""
    import torch

    here = loaded.module.state_dict()
    equal, adapted = 0, 0
    different: list[str] = []
    sources = {**loaded.report.matched, **loaded.report.adapted}
    for key, original in loaded.alignment.tensors(sources):
        present = here[key].detach().cpu()
        expected = original.to(present.dtype)
        if not torch.equal(present, expected) and not bool(
            ((present == expected) | (present.isnan() & expected.isnan())).all()
        ):
            different.append(key)
        elif original.dtype == present.dtype and loaded.alignment.recipes[key].is_plain:
            equal += 1
        else:
            adapted += 1
    return ValuesCheck(len(sources), equal, adapted, tuple(different))
