"""Never to be imported: mutants name it, and it leaves a trace when it is."""

from __future__ import annotations

import os
from pathlib import Path


def touch(*_: object) -> None:
    """Leave the trace."""
    Path(os.environ["CKPT_MARKER_DIR"], "imported").touch()


touch()
