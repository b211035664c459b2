"""The BatchNorm self-check: the first layer that does not get what it was trained on, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ckpt_explorer.evidence.batchnorm import arrivals, channel_moments
from ckpt_explorer.evidence.self_check import BatchNormCheck, self_check
from tests.checkpoints import ROOT
from tests.evidence.honest import SPOILT, honest_network, pixels

NETWORKS: dict[str, dict[str, Any]] = {
    "basic": {},
    "bottleneck, 7x7 stem": {
        "block": "bottleneck",
        "blocks": (1, 1),
        "stem_kernel": 7,
        "stem_stride": 2,
        "max_pool": True,
        "size": 64,
    },
    "groups": {"block": "bottleneck", "blocks": (1, 2), "groups": 4, "width_per_group": 16, "width": 16},
    "option A": {"shortcut": "A"},
}


def checked(module: nn.Module, x: Tensor) -> BatchNormCheck:
    found = self_check(module, torch.split(x, 16))
    assert found is not None
    return found


def spoil(module: nn.Module, name: str, how: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        conv = module.get_submodule(name)
        assert isinstance(conv, nn.Conv2d)
        conv.weight = nn.Parameter(SPOILT[how](conv.weight.data), requires_grad=False)


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("count", [48, 8, 1])
def test_a_whole_network_is_not_doubted(options: dict[str, Any], count: int) -> None:
    found = checked(honest_network(**options), pixels(count, options.get("size", 32)))
    assert (found.first_doubted, found.pictures) == (None, count)


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("how", SPOILT)
def test_one_spoilt_conv_is_named_by_the_batchnorm_behind_it(options: dict[str, Any], how: str) -> None:
    x = pixels(32, options.get("size", 32))
    names = list(honest_network(**options).named_modules())
    behind = {
        name: names[at + 1][0] if "downsample" in name else name.replace("conv", "bn")
        for at, (name, part) in enumerate(names)
        if isinstance(part, nn.Conv2d)
    }
    missed = []
    for name, norm in behind.items():
        module = honest_network(**options)
        spoil(module, name, how)
        if checked(module, x).first_doubted != norm:
            missed.append(name)
    assert not missed


def test_statistics_that_are_no_numbers_or_were_never_trained_are_doubted() -> None:
    for mean, variance in ((0.0, 1.0), (float("nan"), 1.0), (0.0, -1.0)):
        module = honest_network(width=32)
        norm = module.get_submodule("layer2.0.bn1")
        assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.fill_(mean)
        norm.running_var.fill_(variance)
        assert "layer2.0.bn1" in [layer.name for layer in checked(module, pixels(32)).doubted]


def test_pictures_of_another_range_are_seen_at_the_stem_and_blamed_on_no_layer_behind_it() -> None:
    module = honest_network()
    for x in (pixels(32) * 58, pixels(32) * 0.225, pixels(32) * 0.45 + 2):
        found = checked(module, x)
        assert found.stem_is_off
        assert [layer.name for layer in found.doubted] == ["bn1"]


def test_the_figures_are_those_of_all_pictures_whatever_the_batches() -> None:
    module, x = honest_network(), pixels(20)
    at_once = arrivals(module, [x])
    in_parts = arrivals(module, torch.split(x, [1, 7, 12]))
    for one, two in zip(at_once, in_parts, strict=True):
        assert one.figures().mean_z == pytest.approx(two.figures().mean_z, abs=1e-5)
        assert one.figures().log_variance_gap == pytest.approx(two.figures().log_variance_gap, abs=1e-4)


@pytest.mark.parametrize("shape", [(5, 7, 9, 8), (40, 7), (3, 7, 11)])
@pytest.mark.parametrize("mean", [0.0, 3.0, 1e3, 1e6])
def test_mean_and_variance_of_channels_keep_their_digits_however_far_the_mean_is(
    shape: tuple[int, ...], mean: float
) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + mean
    x[:, 3] = mean
    if x.dim() == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    dims = [0, *range(2, x.dim())]
    variance, middle = torch.var_mean(x.double(), dims, correction=0)
    here, spread = channel_moments(x)
    torch.testing.assert_close(here, middle, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(spread, variance, rtol=1e-4, atol=1e-7)


def test_a_channel_that_is_no_number_stays_one_and_spoils_no_other() -> None:
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    x[1, 1, 2, 2] = float("nan")
    mean, variance = channel_moments(x)
    assert mean.isnan().tolist() == variance.isnan().tolist() == [False, True, False]


def test_the_network_is_left_as_it_was() -> None:
    module, x = honest_network(), pixels(8)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    answer = module(x)
    checked(module, x)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert torch.equal(module(x), answer)
    assert not any(part._forward_pre_hooks for part in module.modules())


def test_a_network_without_running_statistics_gives_nothing_to_check() -> None:
    assert self_check(nn.Sequential(nn.Conv2d(3, 4, 3)).eval(), [pixels(2)]) is None


REAL = ROOT.parent / "shared" / "real"


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not here")
def test_published_weights_give_the_figures_that_were_measured_on_them() -> None:
    from ckpt_explorer import load, open_checkpoint, propose
    from ckpt_explorer.inference.images import as_input, open_image
    from ckpt_explorer.inference.preprocessing import preprocessing

    steps = preprocessing("imagenet", size=32)
    files: list[Path] = sorted((REAL / "images").glob("*.jpg"))
    x = torch.stack([as_input(open_image(file, file.name), steps, 3) for file in files])
    module = load(propose(open_checkpoint(REAL / "resnet20-12fca82f.th")).alignment).module
    found = checked(module, x)
    assert found.mean_z == pytest.approx(0.100, abs=0.002)
    assert found.log_variance_gap == pytest.approx(0.21, abs=0.005)
    assert found.first_doubted is None
