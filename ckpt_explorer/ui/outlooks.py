"""The outlooks of the open file: found in a thread, kept while the file is open, and looked up by what is to be chosen."""

from __future__ import annotations

from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.errors import CheckpointExplorerError
from ckpt_explorer.outlook import Outlook, cannot_be, outlook_for, outlooks
from ckpt_explorer.ui.job import Job, Progress
from ckpt_explorer.ui.session import Session
from ckpt_explorer.ui.target import Target


def begin(here: Session) -> None:
    """Look at the choices of the open file, if nobody has; the thread ends by itself, or when the file goes."""
    if here.checkpoint is None or here.outlook_job is not None:
        return
    checkpoint, known = here.checkpoint, here.outlooks

    def look(progress: Progress) -> int:
        for count, (candidate, found) in enumerate(outlooks(checkpoint), 1):
            progress(count, 0)
            known[(found.state_dict, Target.of(candidate).key)] = found
            known.setdefault((found.state_dict, ""), found)
        return len(known)

    here.outlook_job = Job(look)


def are_known(here: Session) -> bool:
    """Whether the thread has ended."""
    return here.outlook_job is None or here.outlook_job.finished.is_set()


def for_target(here: Session, target: Target) -> Outlook | None:
    """What is known of a target for the selected state dict; None while it is not."""
    assert here.checkpoint is not None
    return here.outlooks.get((here.checkpoint.selected, target.key))


def for_state_dict(here: Session, path: str) -> Outlook | None:
    """What the best network of a state dict would give; None while it is not known, or where there is none."""
    return here.outlooks.get((path, ""))


def looked_at(here: Session, target: Target) -> Outlook:
    """The outlook for a target, found now where it is not known."""
    checkpoint = here.checkpoint
    assert checkpoint is not None
    found = for_target(here, target)
    if found is None:
        found = _found(checkpoint, target, here.reference)
        here.outlooks[(checkpoint.selected, target.key)] = found
    return found


def _found(checkpoint: Checkpoint, target: Target, reference: Checkpoint | None) -> Outlook:
    try:
        return outlook_for(checkpoint, target.architecture(reference))
    except CheckpointExplorerError as error:
        return cannot_be(checkpoint.selected, target.name, error)
