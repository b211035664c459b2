"""What one takes home: a flat state dict under the model's own keys."""

from ckpt_explorer.export.weights import Written, state_dict_bytes, write_state_dict

__all__ = ["Written", "state_dict_bytes", "write_state_dict"]
