"""Decision and Choice: something that does not fit, what can be done about it, and what follows from each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ckpt_explorer.errors import LoadError
from ckpt_explorer.rules import Rule
from ckpt_explorer.text import visible

About = Literal["classes", "channels", "shapes", "missing", "statistics", "unexpected"]


@dataclass(frozen=True)
class Choice:
    """One thing that can be done. `says` is its label, `consequence` what follows from it.

    `added` are the rules that do it, behind those in force; `num_classes` and `in_channels` the counts to build the
    network with. A choice with neither is a partial load (`partial`), or stopping.
    """

    name: str
    says: str
    consequence: str
    added: tuple[Rule, ...] = ()
    num_classes: int | None = None
    in_channels: int | None = None
    partial: bool = False

    def as_json(self) -> dict[str, Any]:
        """The choice with its rules, and the counts where it changes them."""
        counts = {"num_classes": self.num_classes, "in_channels": self.in_channels}
        return {
            "name": self.name,
            "says": self.says,
            "consequence": self.consequence,
            "rules": [rule.as_json() for rule in self.added],
            **{name: value for name, value in counts.items() if value is not None},
        }


@dataclass(frozen=True)
class Decision:
    """Something that does not fit, by the keys that it is about, and the choices there are, the usual one first.

    `not_offered` says of what one might expect here why it would be no help.
    """

    about: About
    says: str
    keys: tuple[str, ...]
    choices: tuple[Choice, ...]
    not_offered: str = ""

    def choice(self, name: str) -> Choice:
        """The choice of this name.

        Raises:
            LoadError: there is none; the text names those there are.
        """
        for choice in self.choices:
            if choice.name == name:
                return choice
        names = ", ".join(repr(choice.name) for choice in self.choices)
        raise LoadError(f"There is no choice {visible(name, 40)!r} about {self.about}: choose from {names}.")

    def as_json(self) -> dict[str, Any]:
        """The decision as the command line gives it."""
        return {
            "about": self.about,
            "says": self.says,
            "keys": list(self.keys),
            "choices": [choice.as_json() for choice in self.choices],
            **({"not_offered": self.not_offered} if self.not_offered else {}),
        }


STOP = Choice(
    "stop", "Stop: load nothing", "A strict load refuses, as PyTorch's does, until this is decided otherwise."
)
