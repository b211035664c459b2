"""What one takes home: a flat state dict under the model's own keys, and the rules as code."""

from ckpt_explorer.export.code import as_code
from ckpt_explorer.export.revise_keys import as_revise_keys
from ckpt_explorer.export.weights import Written, state_dict_bytes, write_state_dict

__all__ = ["Written", "as_code", "as_revise_keys", "state_dict_bytes", "write_state_dict"]
