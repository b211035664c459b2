"""Predict: the loaded network's answers on pictures, and what they are worth."""

from ckpt_explorer.ui import answers, frame, journey, pace_form, picture_choice, preprocessing_form, session
from ckpt_explorer.ui.warm import wait_for_torch

frame.title("Predict")
here = session.require_checkpoint()
wait_for_torch()
answers.trust_banner(here, journey.require_loaded(here))
picture_choice.pictures(here)
steps = preprocessing_form.show(here, journey.require_loaded(here))
labels = picture_choice.labels_form(here, journey.require_loaded(here))
if steps is not None:
    answers.show(here, journey.require_loaded(here), steps, labels)
pace_form.show(here)
