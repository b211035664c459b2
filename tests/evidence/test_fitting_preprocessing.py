"""Which preparation a network was trained with: the near ones are one group, the far ones are out, a tie is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from ckpt_explorer import load, open_checkpoint, propose
from ckpt_explorer.api import as_named
from ckpt_explorer.evidence.fitting_preprocessing import FoundPreprocessing, find_preprocessing
from ckpt_explorer.examples import WEIGHTS, example_images
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.inference.preprocessing import preprocessing
from tests.checkpoints import ROOT
from tests.evidence.honest import honest_network, tiles

FAR = {"inception", "none", "bytes", "caffe"}


def found(module: nn.Module, images: Sequence[NamedImage], channels: int = 3, **given: object) -> FoundPreprocessing:
    usual = preprocessing("digits" if channels == 1 else "cifar10")
    ranked = find_preprocessing(module, images, usual, channels, **given)  # type: ignore[arg-type]
    assert ranked is not None
    return ranked


def families(names: Sequence[str]) -> set[str]:
    return {name.split(",")[0] for name in names}


def turned(module: nn.Module) -> nn.Module:
    """The same network for pictures whose blue comes first."""
    stem = module.get_submodule("conv1")
    assert isinstance(stem, nn.Conv2d)
    stem.weight = nn.Parameter(stem.weight.flip(1), requires_grad=False)
    return module


def test_the_example_was_trained_with_half_and_half_and_its_pictures_say_so() -> None:
    module = load(propose(open_checkpoint(WEIGHTS)).alignment).module
    ranked = found(module, as_named(example_images())[::7], channels=1)
    assert (ranked.chosen.name, ranked.group) == ("digits", ("digits",))
    assert {row.name for row in ranked.ranking} == {"digits", "mnist", "none", "imagenet", "bytes"}
    assert ranked.out is not None and ranked.out.distance > 2 * ranked.chosen.distance
    assert "Preprocessing digits fits" in ranked.says and f"The next, {ranked.out.name}, is" in ranked.says


@pytest.mark.parametrize("count", [48, 8])
def test_what_the_statistics_are_of_is_in_the_group_and_what_is_far_is_out(count: int) -> None:
    ranked = found(honest_network(), tiles()[:count])
    assert "imagenet" in ranked.group and ranked.chosen.name == ranked.group[0]
    assert not families(ranked.group) & FAR
    assert ranked.ranking[-1].distance > 5 > ranked.chosen.distance
    assert [row.distance for row in ranked.ranking] == sorted(row.distance for row in ranked.ranking)


def test_a_network_for_blue_first_is_known() -> None:
    ranked = found(turned(honest_network()), tiles()[:48])
    assert "imagenet, BGR" in ranked.group and ranked.chosen.steps.bgr
    assert not [name for name in ranked.group if "BGR" not in name]


def test_pictures_without_colour_leave_the_order_open_and_it_is_said(tmp_path: Path) -> None:
    from PIL import Image

    from ckpt_explorer.inference.images import open_image

    gray = []
    for number, tile in enumerate(tiles()[:24]):
        file = tmp_path / f"{number}.png"
        Image.merge("RGB", [open_image(tile.source, tile.name).convert("L")] * 3).save(file)
        gray.append(file)
    module = honest_network()
    stem = module.get_submodule("conv1")
    assert isinstance(stem, nn.Conv2d)
    stem.weight = nn.Parameter(stem.weight.mean(1, keepdim=True).expand_as(stem.weight).clone(), requires_grad=False)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
    batch = torch.stack([_prepared(file) for file in gray])
    module.train()(batch)
    ranked = found(module.eval(), as_named(gray))
    assert {"imagenet", "imagenet, BGR"} <= set(ranked.group)
    assert not ranked.chosen.steps.bgr
    assert "can't be told from 24 pictures" in ranked.order and ranked.order in ranked.says


def _prepared(file: Path) -> torch.Tensor:
    from ckpt_explorer.inference.images import as_input, open_image

    return as_input(open_image(file, file.name), preprocessing("imagenet", size=32), 3)


def test_a_given_preparation_is_ranked_with_the_others_and_never_taken_for_the_usual_one() -> None:
    from dataclasses import replace

    given = replace(preprocessing("imagenet", size=32), name="mine", mean=(0.48, 0.45, 0.4), std=(0.23, 0.23, 0.22))
    ranked = found(honest_network(), tiles()[:24], given=given)
    assert "given" in ranked.group and ranked.chosen.name in families(ranked.group) - {"given"}
    assert ranked.name_of(given) == "given"


def test_a_network_without_statistics_can_not_be_asked() -> None:
    bare = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    assert find_preprocessing(bare, tiles()[:4], preprocessing("cifar10"), 3) is None


REAL = ROOT.parent / "shared" / "real"


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not here")
@pytest.mark.parametrize("name", ["resnet20-12fca82f.th", "resnet56-4bfd9763.th"])
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("blue_first", [False, True])
def test_published_networks_keep_the_near_ones_together_and_the_far_ones_and_the_other_order_out(
    name: str, step: int, blue_first: bool
) -> None:
    module = load(propose(open_checkpoint(REAL / name)).alignment).module
    ranked = found(turned(module) if blue_first else module, as_named(sorted((REAL / "images").glob("*.jpg"))[::step]))
    assert {"imagenet", "cifar10_2023"} <= families(ranked.group)
    assert not families(ranked.group) & FAR
    assert {"BGR" in name for name in ranked.group} == {blue_first}
    others = [name for name in ranked.group if name != ranked.chosen.name]
    assert f"{', '.join(others)} can't be told apart from it" in ranked.says
