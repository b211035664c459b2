"""From bytes to a Checkpoint. No code of the file runs, and no tensor is read."""

from ckpt_explorer.reading.opening import open_checkpoint

__all__ = ["open_checkpoint"]
