"""Folders at addresses: listed in a store, looked up by name on a web server; and the stores' own failures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from fsspec.asyn import AsyncFileSystem  # type: ignore[import-untyped]
from fsspec.registry import _registry  # type: ignore[import-untyped]

from ckpt_explorer.errors import SourceError
from ckpt_explorer.reading.sources import remote_folder as rooms
from ckpt_explorer.reading.sources.remote import RemoteSource, remote_source
from ckpt_explorer.reading.sources.remote_folder import remote_folder, remote_siblings
from tests.reading.range_server import served

BYTES = bytes(range(251)) * 40_000
"""10 MB."""


class Bucket(AsyncFileSystem):  # type: ignore[misc]
    """A store with folders, in place of the one that s3fs would bring."""

    protocol = "s3"
    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[tuple[int, int]]] = []
    wrong: ClassVar[Exception | None] = None
    silent: ClassVar[bool] = False

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        if self.wrong:
            raise self.wrong
        if path in self.files:
            return {"name": path, "size": len(self.files[path]), "type": "file"}
        if any(file.startswith(f"{path}/") for file in self.files):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    async def _ls(self, path: str, **_: Any) -> list[dict[str, Any]]:
        below = {file.removeprefix(f"{path}/").partition("/")[0] for file in self.files if file.startswith(f"{path}/")}
        return [await self._info(f"{path}/{name}") for name in below]

    async def _cat_file(self, path: str, start: int = 0, end: int = 0, **_: Any) -> bytes:
        if self.silent:
            await asyncio.sleep(60)
        self.asked.append((start, end))
        return self.files[path][start:end]


@pytest.fixture(autouse=True)
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Bucket]]:
    monkeypatch.setitem(_registry, "s3", Bucket)
    monkeypatch.setattr(Bucket, "files", {"b/run/model.pth": BYTES, "b/run/sub/two.pth": b"22", "b/empty": b""})
    monkeypatch.setattr(Bucket, "asked", [])
    return Bucket


def test_a_file_in_a_store_is_read_in_parts(bucket: type[Bucket]) -> None:
    source = remote_source("s3://b/run/model.pth")
    assert isinstance(source, RemoteSource)
    assert (source.size, source.name) == (len(BYTES), "model.pth")
    assert bytes(source.view(5_000_000, 5_000_100)) == BYTES[5_000_000:5_000_100]
    assert source.received == 2 * (128 << 10)
    assert bytes(source.view()) == BYTES
    assert max(end - start for start, end in bucket.asked) == 4 << 20, "only so much is in memory at once"
    assert bytes(remote_source("s3://b/run/model.pth", fetch_all=True).view()) == BYTES


def test_a_store_that_fails_says_so_in_a_sentence_without_its_own_words(
    bucket: type[Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoLogin(Exception):
        """As botocore's: of no common kind, with who knows what in its text."""

    for wrong, says in (
        (None, "There is no s3://b/no.pth: check the address."),
        (PermissionError("AKIA"), "may not be read with the login that s3fs finds here"),
        (NoLogin("AKIA"), "can't be read (s3fs says NoLogin)"),
        (OSError("AKIA"), "can't be read (s3fs says OSError)"),
    ):
        monkeypatch.setattr(bucket, "wrong", wrong)
        with pytest.raises(SourceError) as caught:
            remote_source("s3://b/no.pth")
        assert says in str(caught.value) and "AKIA" not in str(caught.value)


def test_a_bug_does_not_pass_for_a_fault_of_the_network(bucket: type[Bucket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "wrong", TypeError("ours"))
    with pytest.raises(TypeError, match="ours"):
        remote_source("s3://b/run/model.pth")


def test_a_silent_store_is_given_up(bucket: type[Bucket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "silent", True)
    with pytest.raises(SourceError, match=r"sent nothing of model\.pth"):
        remote_source("s3://b/run/model.pth", stall=0.2)


def test_a_store_that_sends_too_little_is_asked_once_more(
    bucket: type[Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = remote_source("s3://b/run/model.pth")
    monkeypatch.setitem(bucket.files, "b/run/model.pth", BYTES[:5_000_000])
    with pytest.raises(SourceError, match=r"cut the connection near 4\.8 MiB of 9\.6 MiB"):
        source.view()
    monkeypatch.setitem(bucket.files, "b/run/model.pth", BYTES)
    assert bytes(source.view()) == BYTES


def test_a_folder_and_an_empty_file_are_told() -> None:
    with pytest.raises(SourceError, match=r"s3://b/run is a folder: give the address of a file"):
        remote_source("s3://b/run")
    with pytest.raises(SourceError, match="is an empty file"):
        remote_source("s3://b/empty")


def test_a_folder_in_a_store_is_listed_and_opened_file_by_file(bucket: type[Bucket]) -> None:
    for address in ("s3://b/run", "s3://b/run/"):
        folder = remote_folder(address)
        assert folder is not None
        assert (folder.name, sorted(folder)) == ("run", ["model.pth", "sub/two.pth"])
        assert not bucket.asked, "listing reads no file"
    assert folder is not None
    assert folder.peek("model.pth") == (BYTES[:4096], len(BYTES))
    assert bucket.asked == [(0, 4096)]
    assert bytes(folder.open("sub/two.pth").view()) == b"22"
    assert folder.beside("sub/two.pth", "one.pth") is None
    assert remote_folder("s3://b/run/model.pth") is None
    assert remote_folder("https://host.invalid/folder/") is None


def test_a_folder_of_too_many_files_is_refused(bucket: type[Bucket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "MAX_FILES", 3)
    monkeypatch.setattr(bucket, "files", {f"b/run/{number}": b"x" for number in range(4)})
    with pytest.raises(SourceError, match="holds more than 3 files"):
        remote_folder("s3://b/run")


def test_files_beside_an_address_are_found_by_name_alone() -> None:
    with served(
        files={"run/a.index.json": b"{}", "run/a-1.pth": b"one", "run/sub/a b.pth": b"two", "secret": b"no"}
    ) as site:
        folder = remote_siblings(f"{site.url}/run/a.index.json")
        assert list(folder) == ["a.index.json"]
        assert site.requests == 0
        found = folder.beside("a.index.json", "a-1.pth")
        assert found == "a-1.pth"
        assert bytes(folder.open(found).view()) == b"one"
        assert bytes(folder.open("sub/a b.pth").view()) == b"two"
        assert bytes(folder.open("a.index.json").view()) == b"{}"
        with pytest.raises(SourceError, match=r"There is no .*/run/a-2\.pth"):
            folder.open("a-2.pth")
        for outside in ("../secret", "/secret", "sub/../../secret", "..\\secret", "x::file:///etc/passwd", ""):
            assert folder.beside("a.index.json", outside) is None
            with pytest.raises(SourceError, match="holds no file"):
                folder.open(outside)
        assert not [asked for asked in site.asked if "secret" in asked]


def test_files_beside_one_in_a_store_are_found_by_name_too() -> None:
    assert bytes(remote_siblings("s3://b/run/model.pth").open("sub/two.pth").view()) == b"22"
