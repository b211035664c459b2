"""Undo and redo of a rule list, without limit, each step named."""

from __future__ import annotations

from dataclasses import dataclass, field

from ckpt_explorer.rules import RuleSet


@dataclass
class History:
    """The rules in force, the steps that led here, and those that were taken back."""

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

    @property
    def next_undo(self) -> str:
        """What undo would take back, or nothing."""
        return self.done[-1][0] if self.done else ""

    @property
    def next_redo(self) -> str:
        """What redo would do again, or nothing."""
        return self.undone[-1][0] if self.undone else ""
