"""Fetching that is ended early: by a person, by a limit, by a full disk; nothing of it is left behind."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ckpt_explorer.reading.sources.remote import RemoteSource, remote_source
from tests.reading.range_server import served
from tests.reading.test_remote import open_files
from tests.reading.test_remote_failures import BYTES, read, refusal


@pytest.mark.parametrize("wrong", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("fetch_all", [False, True])
def test_a_fetch_that_is_abandoned_leaves_nothing(
    wrong: type[BaseException], fetch_all: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def abandon(done: int, of: int) -> None:
        assert 0 < done <= of
        raise wrong("enough")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    large = BYTES * 20
    with served(files={"model.pth": large}) as site:
        with served(files={"warm": b"up"}) as other:
            read(f"{other.url}/warm")  # starts fsspec's one thread, which stays
        before = {thread for thread in threading.enumerate() if "process_request" not in thread.name}

        def fetch() -> None:
            remote_source(f"{site.url}/model.pth", fetch_all=fetch_all, progress=abandon).view()

        with pytest.raises(wrong, match="enough"):
            fetch()
        time.sleep(0.3)
        assert site.sent < len(large) / 2
        gc.collect()
        assert not list(tmp_path.iterdir())
        assert not [name for name in open_files() if str(tmp_path) in name]
        assert {thread for thread in threading.enumerate() if "process_request" not in thread.name} == before


def test_after_an_abandoned_fetch_the_same_source_goes_on() -> None:
    def abandon(done: int, _: int) -> None:
        raise RuntimeError(done)

    with served(files={"model.pth": BYTES * 5}) as site:
        source = remote_source(f"{site.url}/model.pth")
        assert isinstance(source, RemoteSource)
        source.progress = abandon
        with pytest.raises(RuntimeError):
            source.view()
        source.progress = None
        assert bytes(source.view()) == BYTES * 5


def test_a_whole_file_has_a_limit_and_must_fit_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    for length in (True, False):
        with served(files={"model.pth": BYTES}, ranges=False, length=length) as site:
            address = f"{site.url}/model.pth"
            assert "976.6 KiB at most are fetched" in refusal(remote_source, address, fetch_all=True, limit=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1 << 20))
    with served(files={"model.pth": BYTES}) as site:
        said = refusal(remote_source, f"{site.url}/model.pth", fetch_all=True)
        assert "model.pth needs 2.9 MiB, and " in said and "set TMPDIR" in said


def test_a_disk_that_is_full_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full answers every write as a full disk does."""
    with served(files={"model.pth": BYTES}) as site:
        source = remote_source(f"{site.url}/model.pth")
        assert isinstance(source, RemoteSource)
        with Path("/dev/full").open("r+b", buffering=0) as full, monkeypatch.context() as patch:
            patch.setattr(source.fetched, "_file", full)
            assert "No space left on device" in refusal(source.view)


def test_a_whole_file_goes_on_after_one_cut_only_where_parts_are_sent() -> None:
    large = BYTES * 20
    with served(files={"model.pth": large}, cut_after=30_000_000, cuts=1) as site:
        assert bytes(remote_source(f"{site.url}/model.pth", fetch_all=True).view()) == large
    with served(files={"model.pth": large}, cut_after=30_000_000, cuts=1, ranges=False) as site:
        assert "cut the connection near" in refusal(remote_source, f"{site.url}/model.pth", fetch_all=True)


def test_ctrl_c_ends_a_wait_for_a_silent_server() -> None:
    program = (
        "import sys, threading, time, _thread\n"
        "from ckpt_explorer.reading.sources.remote import remote_source\n"
        "threading.Timer(1.0, _thread.interrupt_main).start()\n"
        "try: remote_source(sys.argv[1], stall=30)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    with served(files={"model.pth": BYTES}, stall_after=10) as site:
        started = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-c", program, f"{site.url}/model.pth"],
            capture_output=True,
            text=True,
            check=False,
            timeout=25,
        )
        assert (ended.stdout, ended.returncode) == ("interrupted\n", 0), ended.stderr
        assert time.monotonic() - started < 15
