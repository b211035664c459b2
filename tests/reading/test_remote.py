"""Files at an address: what is fetched of them, and that it is theirs bit for bit."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

from ckpt_explorer.checkpoint import StateDict
from ckpt_explorer.reading.formats.safetensors import read_safetensors
from ckpt_explorer.reading.formats.torch_legacy import read_torch_legacy
from ckpt_explorer.reading.formats.torch_zip import read_torch_zip
from ckpt_explorer.reading.pickles.claims import tensor_infos
from ckpt_explorer.reading.pickles.pickled import PickledFile
from ckpt_explorer.reading.sources.ranges import BLOCK, Blocks
from ckpt_explorer.reading.sources.remote import RemoteSource, remote_source
from ckpt_explorer.reading.sources.source import Source, source_of
from tests.checkpoints import ROOT
from tests.reading.range_server import Site, served

BYTES = bytes(range(251)) * 4000
"""About 1 MB in which no block equals another."""


def as_saved(tensors: Mapping[str, Tensor], **options: Any) -> bytes:
    """The file that torch.save writes of `tensors`."""
    buffer = io.BytesIO()
    torch.save(dict(tensors), buffer, **options)
    return buffer.getvalue()


def many_tensors(count: int = 300, side: int = 183) -> dict[str, Tensor]:
    """40 MB in `count` matrices, each of other numbers."""
    generator = torch.Generator().manual_seed(0)
    return {f"layers.{number}.weight": torch.randn(side, side, generator=generator) for number in range(count)}


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return many_tensors()


@pytest.fixture
def site() -> Iterator[Site]:
    with served(files={"model.pth": BYTES}) as running:
        yield running


def opened(site: Site, file: str = "model.pth", **options: Any) -> RemoteSource:
    source = remote_source(f"{site.url}/{file}", **options)
    assert isinstance(source, RemoteSource)
    return source


def storages_of(pickled: PickledFile) -> dict[str, Callable[[], memoryview]]:
    found = tensor_infos(source_of(b""), pickled.find_storages, dict(pickled.root))
    return {key: info.storage.read for key, info in found.items()}


def test_keys_of_a_40_mb_torch_zip_cost_less_than_one_percent_and_a_tensor_what_it_is(
    tensors: dict[str, Tensor],
) -> None:
    with served(files={"model.pth": as_saved(tensors)}) as site:
        whole = len(site.files["model.pth"])
        read = storages_of(read_torch_zip(opened(site)))
        assert list(read) == list(tensors)
        assert site.sent < whole / 100
        before = site.sent
        key = "layers.150.weight"
        assert torch.equal(torch.frombuffer(bytearray(read[key]()), dtype=torch.float32).view(183, 183), tensors[key])
        assert site.sent - before <= tensors[key].nbytes + 2 * BLOCK


def test_a_safetensors_file_is_read_by_its_header_and_by_tensor(tensors: dict[str, Tensor]) -> None:
    with served(files={"model.safetensors": save(tensors)}) as site:
        found = read_safetensors(opened(site, "model.safetensors"))
        state = next(part for part in found if isinstance(part, StateDict))
        assert set(state) == set(tensors)
        assert site.sent < len(site.files["model.safetensors"]) / 100
        before = site.sent
        assert torch.equal(state.tensor("layers.7.weight"), tensors["layers.7.weight"])
        assert site.sent - before <= tensors["layers.7.weight"].nbytes + 2 * BLOCK


def test_a_legacy_file_is_read_without_its_storages(tensors: dict[str, Tensor]) -> None:
    data = as_saved(tensors, _use_new_zipfile_serialization=False)
    with served(files={"model.pth": data}) as site:
        pickled = read_torch_legacy(opened(site))
        assert list(pickled.root) == list(tensors)
        read = storages_of(pickled)
        assert torch.equal(
            torch.frombuffer(bytearray(read["layers.0.weight"]()), dtype=torch.float32).view(183, 183),
            tensors["layers.0.weight"],
        )


def test_the_first_request_tells_the_size_and_brings_the_first_block(site: Site) -> None:
    source = opened(site)
    assert (source.size, source.name) == (len(BYTES), "model.pth")
    assert bytes(source.view(0, 8)) == BYTES[:8]
    assert site.asked == [f"model.pth bytes=0-{BLOCK - 1}"]


def test_what_is_here_is_not_fetched_again(site: Site) -> None:
    source = opened(site)
    assert bytes(source.view()) == BYTES
    assert bytes(source.view(7, 500_000)) == BYTES[7:500_000]
    assert (site.requests, site.sent, source.received) == (2, len(BYTES), len(BYTES))


def test_ranges_that_are_asked_for_together_come_in_few_requests(site: Site) -> None:
    source = opened(site)
    source.prefetch(
        [(start, start + 100) for start in range(2 * BLOCK, 4 * BLOCK, 1000)] + [(6 * BLOCK, 6 * BLOCK + 1)]
    )
    assert site.asked[1:] == [
        f"model.pth bytes={2 * BLOCK}-{4 * BLOCK - 1}",
        f"model.pth bytes={6 * BLOCK}-{7 * BLOCK - 1}",
    ]


def test_a_view_is_what_a_slice_would_be(site: Site) -> None:
    source = opened(site)
    for start, stop in ((0, 0), (-5, None), (len(BYTES) - 3, len(BYTES) + 9), (9_000_000, None), (20, 10)):
        assert bytes(source.view(start, stop)) == BYTES[start:stop]


def test_a_part_of_a_part_fetches_only_its_own_bytes(site: Site) -> None:
    part = opened(site).part(300_000, 900_000, "inner.zip").part(100_000, 200_000, "data.pkl")
    assert isinstance(part, RemoteSource)
    assert (part.size, part.name, part.step) == (100_000, "data.pkl", 256 << 10)
    assert site.requests == 1
    assert bytes(part.view(10, 20)) == BYTES[400_010:400_020]
    assert bytes(part.view(-4)) == BYTES[499_996:500_000]
    assert site.requests == 2
    assert part.received <= 3 * BLOCK


def test_a_view_outlives_its_source_and_torch_takes_it(site: Site) -> None:
    view = opened(site).view(0, 400_000)
    site.files.clear()
    assert torch.frombuffer(view, dtype=torch.uint8)[-1] == BYTES[399_999]


def test_progress_counts_what_lacks_and_the_parts_share_it(site: Site) -> None:
    source, seen = opened(site), list[tuple[int, int]]()
    part = source.part(0, len(BYTES), "inner")
    source.progress = lambda done, of: seen.append((done, of))
    part.view()
    assert seen[-1] == (len(BYTES) - BLOCK, len(BYTES) - BLOCK)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_threads_that_ask_at_once_get_their_bytes_and_fetch_none_twice(site: Site) -> None:
    source, wrong = opened(site), list[int]()

    def look(offset: int) -> None:
        for start in range(offset, len(BYTES), 9_973):
            if bytes(source.view(start, start + 5_000)) != BYTES[start : start + 5_000]:
                wrong.append(start)

    threads = [threading.Thread(target=look, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert site.sent == len(BYTES)


def test_a_redirect_is_followed(site: Site) -> None:
    site.redirect["latest"] = "/model.pth"
    assert bytes(opened(site, "latest").view(-9)) == BYTES[-9:]


def test_a_connection_that_is_cut_once_goes_on_where_it_ended() -> None:
    large = BYTES * 20
    with served(files={"model.pth": large}) as site:
        source = opened(site)
        site.cut_after, site.cuts = 15_000_000, 1
        assert bytes(source.view()) == large
        assert site.requests == 3
        assert len(large) <= site.sent < len(large) + (2 << 20)


def test_a_small_file_comes_whole_from_a_server_without_ranges() -> None:
    with served(files={"page.pth": b"<html>log in</html>"}, ranges=False, length=False) as site:
        assert bytes(opened(site, "page.pth").view()) == b"<html>log in</html>"


def test_fetching_all_needs_nothing_of_the_server() -> None:
    for length in (True, False):
        with served(files={"model.pth": BYTES}, ranges=False, length=length, etag=None) as site:
            seen = list[tuple[int, int]]()
            source = remote_source(
                f"{site.url}/model.pth",
                fetch_all=True,
                progress=lambda done, of: seen.append((done, of)),  # noqa: B023
            )
            assert (bytes(source.view()), source.name, source.step) == (BYTES, "model.pth", None)
            assert type(source) is Source
            assert seen[-1] == (len(BYTES), len(BYTES))
            assert site.asked == ["model.pth all"]


def test_opening_the_first_page_imports_no_network() -> None:
    wanted = "import ckpt_explorer.reading.sources.remote_folder, sys; print([n for n in ('fsspec', 'aiohttp') if n in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", wanted], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_the_temporary_file_has_no_name_and_goes_with_its_source(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source = opened(site)
    source.view()
    assert not list(tmp_path.iterdir())
    assert any(str(tmp_path) in name for name in open_files())
    del source
    assert not any(str(tmp_path) in name for name in open_files())


def open_files() -> list[str]:
    """What this process has open, deleted files too."""
    return [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]


@given(
    size=st.integers(1, 400),
    block=st.integers(1, 50),
    added=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=5),
    asked=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=5),
)
def test_missing_blocks_cover_what_is_asked_and_nothing_that_is_here(
    size: int, block: int, added: list[tuple[int, int]], asked: list[tuple[int, int]]
) -> None:
    blocks = Blocks(size, block)
    for start, stop in added:
        blocks.add(start, min(stop, size))
    asked = [(min(start, size), min(stop, size)) for start, stop in asked]
    missing = blocks.missing(asked)
    here = {byte for start, stop in added for byte in range(start, min(stop, size))}
    found = {byte for start, stop in missing for byte in range(start, stop)}
    assert {byte for start, stop in asked for byte in range(start, stop)} - here <= found
    assert all(stop < then for (_, stop), (then, _) in pairwise(missing))
    for start, stop in missing:
        assert start % block == 0 and (stop % block == 0 or stop == size)
        for at in range(start, stop, block):
            assert not any(first <= at and min(at + block, size) <= min(last, size) for first, last in added)
