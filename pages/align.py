"""Align: line the checkpoint's keys up against a network, and edit the rules that make them fit."""

from ckpt_explorer.ui import align_panel, frame, network_picker, session
from ckpt_explorer.ui.warm import wait_for_torch

frame.title("Align")
here = session.require_checkpoint()
wait_for_torch()
network_picker.show(here)
align_panel.show()
