"""Undo and redo of a rule list, without limit, each step named, and a way back to any of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ckpt_explorer.rules import RuleSet

IMPORT, RECALL = "import rules", "take back the rules one had"
"""Steps by which rules come from elsewhere: from a file or the clipboard, and from the browser's memory."""


@dataclass
class History:
    """The rules in force, the steps that led here, and those that were taken back.

    `done` and `undone` keep with each step's name the rules on its other side: those before it, and those after it.
    """

    rules: RuleSet = field(default_factory=RuleSet)
    done: list[tuple[str, RuleSet]] = field(default_factory=list)
    undone: list[tuple[str, RuleSet]] = field(default_factory=list)

    def commit(self, step: str, rules: RuleSet) -> None:
        """Make `rules` the ones in force; `step` says what was done, for the undo button."""
        if rules == self.rules:
            return
        self.done.append((step, self.rules))
        self.undone.clear()
        self.rules = rules

    def undo(self) -> None:
        """Take the last step back."""
        if self.done:
            step, before = self.done.pop()
            self.undone.append((step, self.rules))
            self.rules = before

    def redo(self) -> None:
        """Do the step again that was taken back last."""
        if self.undone:
            step, after = self.undone.pop()
            self.done.append((step, self.rules))
            self.rules = after

    def go_to(self, at: int) -> None:
        """Go back, or on again, to where `at` of the steps are done (0: none), as far as there are steps."""
        while len(self.done) > max(at, 0):
            self.undo()
        while len(self.done) < at and self.undone:
            self.redo()

    @property
    def next_undo(self) -> str:
        """What undo would take back, or nothing."""
        return self.done[-1][0] if self.done else ""

    @property
    def next_redo(self) -> str:
        """What redo would do again, or nothing."""
        return self.undone[-1][0] if self.undone else ""

    @property
    def from_elsewhere(self) -> bool:
        """Whether the rules in force, or some of them, were written for another file."""
        return any(step in (IMPORT, RECALL) for step, _ in self.done)

    @property
    def steps(self) -> list[str]:
        """The names of all steps in order: those that are done, then those that were taken back."""
        return [name for name, _ in self.done] + [name for name, _ in reversed(self.undone)]
