"""Processes that open mutants: limited in memory, watched by the clock, and replaced when they die."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from tests.fuzz.corpus import Files
from tests.fuzz.opening import Outcome, tried

SECONDS = 20.0
"""Of the processor's time: on a machine that others use too, a clock would call honest work a hang."""
PATIENCE = 6
"""How often SECONDS may pass by the clock, as a process that waits for ever uses no processor."""
STARTS = 3
"""How often a process is started that does not come up."""
MEGABYTES = 300.0
ADDRESS_SPACE = 1536 << 20
"""Bytes beyond those that the process has after its imports."""
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "import sys; from tests.fuzz.workers import serve; serve(int(sys.argv[1]), sys.argv[2])"


class Worker:
    """One process, started when it is first needed. `warm` is opened first, so that what is imported late is there."""

    def __init__(self, warm: list[Files]) -> None:
        self._warm = warm
        self._marks = tempfile.TemporaryDirectory(prefix="fuzz-marks-")
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self.started = 0

    def tried(self, files: Files, name: str) -> Outcome:
        """What became of `files`; a process that hangs or dies is an outcome too."""
        pipe = self._running()
        pipe.send((files, name))
        outcome = self._answer(pipe, SECONDS)
        if outcome.megabytes > MEGABYTES and not outcome.wrong:
            return Outcome(outcome.opened, f"memory: {outcome.megabytes:,.0f} MB", outcome.seconds, outcome.megabytes)
        return outcome

    def _answer(self, pipe: Connection, seconds: float) -> Outcome:
        used = self._processor()
        try:
            for _ in range(PATIENCE):
                if pipe.poll(seconds):
                    found = pipe.recv()
                    assert isinstance(found, Outcome)
                    return found
                if self._processor() - used > seconds:
                    break
            wrong, took = f"hang: still running after {seconds:.0f} s", seconds
        except EOFError:
            wrong, took = "the process died", 0.0
        assert self._process is not None
        if took:
            self._process.kill()
        code = self._process.wait()
        wrong = f"{wrong} (exit {code})" if not took else wrong
        self._process = None
        return Outcome(False, wrong, took, 0.0)

    def _processor(self) -> float:
        """Seconds of the processor's time that the process has had."""
        if self._process is None:
            return 0.0
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _running(self) -> Connection:
        if self._process is None or self._process.poll() is not None or self._pipe is None:
            self._start()
        assert self._pipe is not None
        return self._pipe

    def _start(self) -> None:
        """Start the process. It is an interpreter of its own: `multiprocessing` would first run again what is `__main__`
        here, and that is a page of the app once a test has run one. What it needs follows through the pipe: with the start
        itself, a write to a process that has ended at once would wait for ever."""
        for _ in range(STARTS):
            self._pipe, theirs = Pipe()
            end = theirs.fileno()
            command = [sys.executable, "-c", PROGRAM, str(end), self._marks.name]
            self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[end])
            theirs.close()
            self.started += 1
            with contextlib.suppress(EOFError, OSError):
                self._pipe.send(self._warm)
                if self._pipe.poll(120) and self._pipe.recv() == "ready":
                    return
            self._process.kill()
            self._process.wait()
        raise RuntimeError("a worker did not start")

    def close(self) -> None:
        """End the process."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._marks.cleanup()


def serve(end: int, marks: str) -> None:
    """What the process does: open what comes through the pipe whose file descriptor is `end`, until that is closed."""
    import torch

    pipe = Connection(end)

    torch.set_num_threads(1)
    os.environ["CKPT_MARKER_DIR"] = marks
    os.environ["BROWSER"] = f"touch {marks}/browser %s"
    for files in pipe.recv():
        found = tried(files, "model.pth")
        if found.wrong and not found.wrong.startswith("imported"):
            print(f"an honest file fails: {found.wrong}", flush=True)
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESS_SPACE, used + ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe.send("ready")
    while True:
        try:
            files, name = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(tried(files, name))
