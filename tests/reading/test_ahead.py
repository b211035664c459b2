"""What loading asks of a server: a few large requests, of what is used, each when it is first needed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.export.weights import converted_state_dict
from ckpt_explorer.loading import load
from ckpt_explorer.proposal import propose
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.reading.sources import ahead
from ckpt_explorer.reading.sources.ranges import BLOCK
from tests.reading.range_server import Site, served

WINDOW = 8 << 20


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "WINDOW", WINDOW)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    made: nn.Module = resnet18()
    return made.eval()


def as_saved(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def files(network: nn.Module) -> Iterator[tuple[str, bytes]]:
    weights = network.state_dict()
    yield "zip.pth", as_saved(weights)
    yield "legacy.pth", as_saved(weights, _use_new_zipfile_serialization=False)
    yield "model.safetensors", save(dict(weights))


def alignment_of(site: Site, file: str) -> Alignment:
    return propose(open_checkpoint(f"{site.url}/{file}")).alignment


@pytest.mark.parametrize("file", ["zip.pth", "legacy.pth", "model.safetensors"])
def test_loading_a_file_at_an_address_takes_a_request_a_window(file: str, network: nn.Module) -> None:
    with served(files=dict(files(network))) as site:
        whole = len(site.files[file])
        alignment = alignment_of(site, file)
        opened, sent = site.requests, site.sent
        assert sent < whole / 20
        loaded = load(alignment)
        assert site.requests - opened <= -(-whole // WINDOW) + 2  # (45 MB; one a tensor would be more than 60)
        assert site.sent <= whole + 4 * BLOCK
        for key, tensor in network.state_dict().items():
            assert torch.equal(loaded.module.state_dict()[key], tensor)
        asked = site.requests
        assert len(converted_state_dict(alignment)) == len(alignment.recipes)
        assert site.requests == asked  # all of it is here


def test_only_what_is_used_is_fetched_and_small_holes_with_it(network: nn.Module) -> None:
    weights = network.state_dict()
    mixed: dict[str, Tensor] = {}
    for key, value in weights.items():  # each has something beside it, one of them something large
        mixed |= {key: value, f"{key}.momentum": torch.rand(6 << 20 if key == "layer3.0.conv1.weight" else 100)}
    with served(files={"model.pth": as_saved({"state_dict": mixed})}) as site:
        alignment = alignment_of(site, "model.pth")
        before = site.requests
        load(alignment, strict=False)
        used = sum(tensor.nbytes for tensor in weights.values())
        assert site.sent < used + (4 << 20)
        assert len(site.files["model.pth"]) > used + (24 << 20)
        assert site.requests - before <= -(-used // WINDOW) + 4


def test_loading_is_abandoned_in_the_middle_of_a_window(network: nn.Module) -> None:
    class Enough(Exception):
        pass

    seen: list[int] = []

    def progress(done: int, _: int) -> None:
        seen.append(done)
        if len(seen) == 3:
            raise Enough

    with served(files=dict(files(network))) as site:
        alignment = alignment_of(site, "zip.pth")
        with pytest.raises(Enough):
            load(alignment, progress=progress)
        assert seen == [0, 0, 0]
        assert site.sent < WINDOW + (2 << 20)
        done: list[int] = []
        load(alignment, progress=lambda count, _: done.append(count))
        assert all(one <= other for one, other in pairwise(done))
        assert done[-1] == len(alignment.recipes)


def test_a_sharded_checkpoint_is_fetched_shard_by_shard(network: nn.Module) -> None:
    weights = list(network.state_dict().items())
    parts: list[dict[str, Tensor]] = [dict(weights[:60]), dict(weights[60:])]
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = {key: name for name, part in zip(names, parts, strict=True) for key in part}
    made = {name: save(part) for name, part in zip(names, parts, strict=True)}
    made["model.safetensors.index.json"] = repr({"metadata": {}, "weight_map": index}).replace("'", '"').encode()
    with served(files=made) as site:
        alignment = alignment_of(site, "model.safetensors.index.json")
        before = site.requests
        loaded = load(alignment)
        assert site.requests - before <= sum(-(-len(made[name]) // WINDOW) + 1 for name in names)
        assert all(torch.equal(loaded.module.state_dict()[key], tensor) for key, tensor in weights)
