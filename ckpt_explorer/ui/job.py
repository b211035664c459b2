"""Job: work of some seconds in a thread of its own, that tells how far it is and can be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")
Progress = Callable[[int, int], None]


class Stopped(BaseException):
    """Ends the work from within its own progress; no `except Exception` on the way catches it."""


class Job(Generic[Result]):
    """The work, begun. `done` of `total` bytes are behind it; both are 0 until it has something to tell."""

    def __init__(self, work: Callable[[Progress], Result]) -> None:
        self.done = 0
        self.total = 0
        self.finished = threading.Event()
        self._stopped = threading.Event()
        self._result: Result | None = None
        self._error: Exception | None = None
        threading.Thread(target=self._run, args=(work,), name="job", daemon=True).start()

    def _run(self, work: Callable[[Progress], Result]) -> None:
        try:
            result = work(self._progress)
            if not self._stopped.is_set():
                self._result = result
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001  `collect` raises it where it can be seen
            self._error = error
        finally:
            self.finished.set()

    def _progress(self, done: int, total: int) -> None:
        if self._stopped.is_set():
            raise Stopped
        self.done, self.total = done, total

    @property
    def fraction(self) -> float | None:
        """How far it is, from 0 to 1; None where it can't be told."""
        return self.done / self.total if 0 < self.done < self.total else None

    def stop(self) -> None:
        """Abandon it: it ends at its next step, and nobody hears of it again."""
        self._stopped.set()

    def ends_soon(self, seconds: float, patience: float) -> bool:
        """Wait for the end: `seconds` for work that tells of its steps, up to `patience` for work that has none."""
        started = time.monotonic()
        while not self.finished.wait(0.02):
            waited = time.monotonic() - started
            if waited > patience or (waited > seconds and self.total):
                return False
        return True

    def collect(self) -> Result:
        """The result of a finished job, which keeps it no longer; raises what the work raised."""
        result, error = self._result, self._error
        self._result = self._error = None
        if error is not None:
            raise error
        assert result is not None, "a stopped job is not asked for its result"
        return result
