"""The key diff: both key trees on one grid, and below it why the selected row is as it is."""

from ckpt_explorer.ui.key_diff.shown import show, show_details

__all__ = ["show", "show_details"]
