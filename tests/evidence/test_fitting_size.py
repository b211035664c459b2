"""Which size the pictures were: one that is too large is found out, what can't be told is said, and nothing is taken in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import Tensor, nn

from ckpt_explorer import load, open_checkpoint, propose
from ckpt_explorer.api import as_named
from ckpt_explorer.evidence import verify
from ckpt_explorer.evidence.fitting_preprocessing import find_preprocessing
from ckpt_explorer.evidence.fitting_size import FoundSize, rank_sizes
from ckpt_explorer.examples import WEIGHTS, example_images
from ckpt_explorer.inference.prediction import NamedImage
from ckpt_explorer.inference.preprocessing import Preprocessing, preprocessing
from tests.checkpoints import ROOT
from tests.evidence.honest import honest_network, tiles

REAL = ROOT.parent / "shared" / "real"


def ranked(module: nn.Module, images: tuple[NamedImage, ...], used: int, usual: int) -> FoundSize:
    steps, own = (preprocessing("imagenet", size=size, resize=size) for size in (used, usual))
    found = rank_sizes(module, images, steps, own, 3)
    assert found is not None
    return found


def test_pictures_that_were_enlarged_are_found_out() -> None:
    found = ranked(honest_network(), tiles()[:48], 64, 32)
    assert found.kept.name == "32 px" and found.fits and found.group == ("32 px",)
    given = found.row(preprocessing("imagenet", size=64, resize=64))
    assert given is not None and given.distance > 1.6 * found.kept.distance
    assert found.out is not None and found.says == (
        f"Size 32 px fits. The next, {found.out.name}, is {found.out.distance:.2f} off, against {found.kept.distance:.2f}."
    )
    assert [row.distance for row in found.ranking] == sorted(row.distance for row in found.ranking)


def test_a_network_of_small_pictures_takes_them_as_they_are() -> None:
    """Those of 64 px fit at 32 px too, where they are sharper than they were."""
    found = ranked(honest_network(64), tiles(64)[:48], 32, 32)
    assert found.kept.name == "64 px"


def test_a_network_of_large_pictures_keeps_its_size_and_says_that_small_ones_are_smooth() -> None:
    found = ranked(honest_network(), tiles()[:48], 96, 96)
    assert found.kept.name == "96 px" and not found.fits
    assert "Size 96 px is kept, though these pictures come nearer at 32 px" in found.says


def test_both_cuts_are_tried_for_large_pictures() -> None:
    images, module = tiles(96)[:8], honest_network(96)
    steps = preprocessing("imagenet", size=96, resize=110)
    found = rank_sizes(module, images, steps, steps, 3)
    assert found is not None
    assert {row.name for row in found.ranking} == {"96 of 110 px", "96 px", "48 of 55 px", "144 of 165 px"}
    assert found.kept.name == "96 of 110 px"


def test_pictures_that_can_not_be_read_are_left_out_and_none_at_all_give_no_answer() -> None:
    steps = preprocessing("imagenet", size=32, resize=32)
    broken = tuple(NamedImage(f"{number}.png", b"no picture") for number in range(3))
    assert rank_sizes(honest_network(), broken, steps, steps, 3) is None
    some = rank_sizes(honest_network(), (tiles()[0], broken[0]), steps, steps, 3)
    assert some is not None and some.ranking


def test_a_size_that_the_network_can_not_take_is_left_out() -> None:
    class Fixed(nn.Module):
        """Flattens its only stage into a linear layer: pictures of 32 px and no others."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
            self.fc = nn.Linear(4 * 32 * 32, 5)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.fc(self.norm(self.conv(x)).flatten(1))
            return out

    steps = preprocessing("imagenet", size=32, resize=32)
    found = rank_sizes(Fixed().eval(), tiles()[:4], steps, steps, 3)
    assert found is not None and [row.name for row in found.ranking] == ["32 px"] == [found.kept.name]


def test_a_stem_of_nan_is_the_farthest_of_all_and_no_failure() -> None:
    module = honest_network()
    stem = module.get_submodule("conv1")
    assert isinstance(stem, nn.Conv2d)
    stem.weight = nn.Parameter(stem.weight * float("nan"), requires_grad=False)
    found = ranked(module, tiles()[:8], 32, 32)
    assert found.kept.name == "32 px" and all(row.distance > 1e6 for row in found.ranking)
    json.dumps(found.as_json(), allow_nan=False)


def test_a_network_without_statistics_can_not_be_asked() -> None:
    steps = preprocessing("imagenet", size=32, resize=32)
    assert rank_sizes(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), tiles()[:4], steps, steps, 3) is None


def test_the_sizes_come_with_the_preprocessing_and_decide_the_cut() -> None:
    usual = preprocessing("cifar10")
    found = find_preprocessing(honest_network(64), tiles(64)[:32], usual, 3)
    assert found is not None and found.sizes is not None
    assert (found.chosen.steps.size, found.chosen.steps.resize) == (64, 64)
    assert found.as_json("imagenet")["sizes"]["kept"] == "64 px"


def test_the_example_is_doubted_at_twice_its_size_and_nowhere_else() -> None:
    loaded = load(propose(open_checkpoint(WEIGHTS)).alignment)
    images = as_named(example_images())[::5]

    def doubts(steps: Preprocessing | None) -> list[str]:
        return [f"{doubt.id} {doubt}" for doubt in verify(loaded, images, preprocessing=steps).doubts]

    assert doubts(None) == []
    at_twice = doubts(preprocessing("digits", size=64, resize=64, channels=1))
    assert len(at_twice) == 1 and at_twice[0].startswith(
        "S4 Pictures of 64 px are not what this network was trained with"
    )
    assert "use --size 32" in at_twice[0]


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not here")
@pytest.mark.parametrize("name", ["resnet20-12fca82f.th", "resnet56-4bfd9763.th"])
@pytest.mark.parametrize("size", [64, 128])
def test_published_networks_are_doubted_at_larger_sizes(name: str, size: int) -> None:
    loaded = load(propose(open_checkpoint(REAL / name)).alignment)
    files: list[str | Path] = [*sorted((REAL / "images").glob("*.jpg"))[::4]]
    found = verify(loaded, files, preprocessing=preprocessing("imagenet", size=size, resize=size))
    assert [doubt.id for doubt in found.doubts] == ["S4"]
    assert verify(loaded, files).used_name in ("imagenet", "cifar10_2023")
