"""The map of the network: every tensor has its area, in the network's order, and nothing in a name is more than text."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from ckpt_explorer import Alignment, RuleSet, Status, align, architecture, parse_rule
from ckpt_explorer.architectures.architecture import ModelTensor
from ckpt_explorer.ui.map_layout import HEIGHT, MOST_TILES, WIDTH, Box, lay_out
from ckpt_explorer.ui.network_map import PATTERNS, figure
from tests.checkpoints import described
from tests.suggestion.test_by_hand import HOSTILE


def aligned(changes: dict[str, ModelTensor] | None = None, name: str = "resnet18", *rules: str) -> Alignment:
    network = architecture(name)
    tree = {**network.tree, **(changes or {})}
    return align(described(tree), network, RuleSet(tuple(map(parse_rule, rules))))


def drawn(alignment: Alignment, selected: tuple[str | None, str | None] | None = None) -> dict[str, object]:
    found: dict[str, object] = json.loads(figure(alignment, *lay_out(alignment), selected, False).to_json())
    return found


def overlap(one: Box, other: Box) -> bool:
    tiny = 1e-9
    beside = one.x + one.width <= other.x + tiny or other.x + other.width <= one.x + tiny
    return not beside and not (one.y + one.height <= other.y + tiny or other.y + other.height <= one.y + tiny)


def test_every_tensor_has_an_area_of_its_own_inside_the_map() -> None:
    alignment = aligned()
    _, tiles = lay_out(alignment)
    names = [key for key in alignment.architecture.tree if not key.endswith("num_batches_tracked")]
    assert [tile.rows[0].model for tile in tiles] == names
    for tile in tiles:
        assert 0 <= tile.box.x <= tile.box.x + tile.box.width <= WIDTH + 1e-6
        assert -1e-6 <= tile.box.y <= tile.box.y + tile.box.height <= HEIGHT + 1e-6
    assert not [1 for at, one in enumerate(tiles) for other in tiles[at + 1 :] if overlap(one.box, other.box)]


def test_the_parts_go_from_stem_to_head_and_what_has_no_place_comes_last() -> None:
    slabs, _ = lay_out(aligned({"ema.conv1.weight": ModelTensor((64, 3, 7, 7), "float32", True)}))
    assert [slab.name for slab in slabs] == ["stem", "layer1", "layer2", "layer3", "layer4", "head", "extra"]
    assert all(one.box.x + one.box.width == pytest.approx(other.box.x) for one, other in pairwise(slabs))


def test_a_larger_tensor_has_a_larger_area_and_a_small_one_can_be_seen() -> None:
    areas = {tile.name: tile.box.width * tile.box.height for tile in lay_out(aligned())[1]}
    assert areas["layer4.0.conv2.weight"] > areas["layer4.0.bn1.weight"] > 0
    pixels = 1130 * 146 / (WIDTH * HEIGHT)
    assert min(areas.values()) * pixels > 12


def test_each_status_is_told_by_a_pattern_as_well_as_by_colour() -> None:
    changes = {
        "conv1.weight": ModelTensor((64, 1, 7, 7), "float32", True),
        "layer1.0.conv1.weight": ModelTensor((64, 64, 3, 3), "float64", True),
        "spare": ModelTensor((64,), "float32", True),
    }
    alignment = aligned(changes, "resnet18", "rename layer3. -> old3.")
    traces = drawn(alignment)["data"]
    assert isinstance(traces, list)
    found = [trace["marker"].get("pattern", {}).get("shape", "") for trace in traces]
    assert found == [PATTERNS[status] for status in Status if status is not Status.IGNORED]
    assert len(set(PATTERNS.values())) == len(Status)


def test_the_selected_row_is_outlined() -> None:
    alignment = aligned()
    _, tiles = lay_out(alignment)
    key = "layer2.0.conv1.weight"
    layout = drawn(alignment, (key, key))["layout"]
    assert isinstance(layout, dict)
    box = next(tile.box for tile in tiles if tile.name == key)
    (shape,) = layout["shapes"]
    assert (shape["x0"], shape["y0"]) == pytest.approx((box.x, box.y))


def test_above_some_thousands_a_tile_stands_for_a_layer_with_the_status_of_its_worst_row() -> None:
    alignment = aligned({"layer2.3.conv1.weight": ModelTensor((1,), "float32", True)}, "resnet1202_cifar_b")
    _, tiles = lay_out(alignment)
    assert len(tiles) <= MOST_TILES < sum(len(tile.rows) for tile in tiles)
    worst = next(tile for tile in tiles if any(row.model == "layer2.3.conv1.weight" for row in tile.rows))
    assert worst.status is Status.SHAPE_MISMATCH


@pytest.mark.parametrize("key", [*HOSTILE.values(), "x" * 10_000], ids=[*HOSTILE, "very long"])
def test_a_hostile_key_is_text_on_the_map_and_nothing_else(key: str) -> None:
    alignment = aligned({key: ModelTensor((7,), "float32", True)})
    text = json.dumps(drawn(alignment), ensure_ascii=False)
    for forbidden in ("<img", "\\u001b[", "\x1b", "\u202e", "\x00", "x" * 200):
        assert forbidden not in text
