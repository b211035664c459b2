"""Where a bottleneck strides, and BatchNorm's eps: what pictures say of options that no key shows.

`tests/data/wiring_bottleneck_7x7.pt` was trained with the stride in the 3x3 conv.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from ckpt_explorer import load, open_checkpoint, propose
from ckpt_explorer.api import as_named
from ckpt_explorer.architectures import architecture
from ckpt_explorer.architectures.plain_resnet import PlainResNet
from ckpt_explorer.architectures.spec import ResNetSpec
from ckpt_explorer.evidence.options import OptionReading, read_options
from ckpt_explorer.evidence.pictures import Pictures
from ckpt_explorer.evidence.readings import Readings
from ckpt_explorer.evidence.verification import verify
from ckpt_explorer.examples import example_images
from ckpt_explorer.inference.preprocessing import preprocessing
from ckpt_explorer.inference.preprocessing_candidates import candidates_for
from tests.checkpoints import ROOT
from tests.evidence.honest import tiles
from tests.train_small_networks import NETWORKS, unpacked

SPEC = NETWORKS["bottleneck_7x7"][0]
DIGITS = next(row.steps for row in candidates_for(32, 1) if row.name == "digits")


def trained(spec: ResNetSpec) -> nn.Module:
    """The trained weights in a network that is built like this."""
    module = PlainResNet(spec)
    module.load_state_dict(unpacked(ROOT / "tests" / "data" / "wiring_bottleneck_7x7.pt"))
    return module.eval()


def asked(module: nn.Module, count: int = 16) -> tuple[OptionReading, ...]:
    pictures = as_named(example_images())[:: max(len(example_images()) // count, 1)][:count]
    return read_options(Readings(module, Pictures(pictures, DIGITS, 1)), DIGITS)


@pytest.mark.parametrize("count", [8, 16])
def test_pictures_speak_for_the_stride_that_a_network_was_trained_with(count: int) -> None:
    (right,) = asked(trained(SPEC), count)
    assert (right.speaks, right.is_doubt) == ("built", False)
    assert "for the stride in the 3x3 conv (v1.5), as the network is built" in right.says
    (wrong,) = asked(trained(replace(SPEC, stride_in_1x1=True)), count)
    assert (wrong.speaks, wrong.is_doubt, wrong.option) == ("other", True, "stride_in_1x1=no")
    assert wrong.t == pytest.approx(-right.t, rel=1e-3) and wrong.ratio == pytest.approx(1 / right.ratio, rel=1e-3)


def test_the_network_is_left_as_it_was() -> None:
    module = trained(SPEC)
    before = [(conv.stride, conv.kernel_size) for conv in module.modules() if isinstance(conv, nn.Conv2d)]
    asked(module, 4)
    assert [(conv.stride, conv.kernel_size) for conv in module.modules() if isinstance(conv, nn.Conv2d)] == before
    assert {norm.eps for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)} == {1e-5}


def small_variances(eps: float) -> nn.Module:
    """A bottleneck network whose statistics are those of its pictures, so small that eps changes what it computes."""
    torch.manual_seed(0)
    module = PlainResNet(replace(SPEC, in_channels=3, eps=eps))
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    for conv in module.modules():
        if isinstance(conv, nn.Conv2d):
            conv.weight.data *= 0.01
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
    module.train()
    inputs = torch.cat([Pictures(tiles(), IMAGENET, 3).pixels])
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET.mean, IMAGENET.std))
    with torch.inference_mode():
        module((inputs - mean) / std)
    return module.eval()


IMAGENET = replace(preprocessing("imagenet"), size=32, resize=32)


def test_eps_is_asked_about_where_variances_are_small_and_told_from_the_other() -> None:
    for size, other in ((1e-3, 1e-5), (1e-5, 1e-3)):
        module = small_variances(size)
        readings = Readings(module, Pictures(tiles(), IMAGENET, 3))
        right = read_options(readings, IMAGENET)[-1]
        assert (right.built, right.speaks) == (f"eps {size:g}", "built")
        for part in readings.module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eps = other
        wrong = read_options(readings, IMAGENET)[-1]
        assert (wrong.option, wrong.speaks, wrong.is_doubt) == (f"eps={size:g}", "other", True)


def test_a_network_of_basic_blocks_is_asked_nothing() -> None:
    module = PlainResNet(ResNetSpec(width=8, blocks=(1, 1), in_channels=1, num_classes=10)).eval()
    readings = Readings(module, Pictures((), DIGITS, 1))  # without a picture, a reading would be refused
    assert read_options(readings, DIGITS) == ()


def test_too_few_layers_or_too_small_a_change_say_nothing() -> None:
    sure = OptionReading("eps=0.001", "eps 1e-05", "eps 0.001", -9.0, 0.7, 20, 16)
    assert (sure.speaks, sure.is_doubt) == ("other", True)
    small = replace(sure, ratio=0.95)
    assert (small.speaks, small.is_doubt) == ("", False)
    assert "16 pictures can't tell" in small.says
    assert replace(sure, t=-3.0).speaks == ""
    between = replace(sure, ratio=0.87)
    assert (between.speaks, between.is_doubt) == ("other", False), "said, and not held against the load"


def test_verify_doubts_the_stride_that_the_pictures_speak_against(tmp_path: Path) -> None:
    file = tmp_path / "bottleneck.pth"
    torch.save(trained(SPEC).state_dict(), file)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for image in as_named(example_images())[:32]:
        assert isinstance(image.source, str | Path)
        Image.open(image.source).save(folder / Path(image.name).name)
    checkpoint = open_checkpoint(file)
    custom = {"blocks": "2,3,2", "block": "bottleneck", "width": 16, "expansion": 4}
    for v1, doubted in (("no", []), ("yes", ["S5"])):
        network = architecture("custom", num_classes=10, in_channels=1, options={**custom, "stride_in_1x1": v1})
        found = verify(load(propose(checkpoint, architecture=network).alignment), [folder], preprocessing=DIGITS)
        assert [row.id for row in found.doubts if row.id == "S5"] == doubted
        answer = found.as_json()["options"]
        assert answer[0]["speaks"] == ("other" if doubted else "built")
