"""What one takes home: a flat state dict under the model's own keys."""

from ckpt_explorer.export.weights import Written, write_state_dict

__all__ = ["Written", "write_state_dict"]
