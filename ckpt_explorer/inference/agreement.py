"""How many answers stay the same when the pictures are prepared in another way: what a choice among near ones is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Agreement:
    """Of `pictures` that were answered both ways, `same` have the same first class with the preparation `name`."""

    name: str
    same: int
    pictures: int

    @property
    def says(self) -> str:
        """The finding, in a few words."""
        return f"{self.same:,} of {self.pictures:,} answers are the same with {self.name}"

    def as_json(self) -> dict[str, Any]:
        """All fields as JSON values, under their own names."""
        return {"name": self.name, "same": self.same, "pictures": self.pictures}
