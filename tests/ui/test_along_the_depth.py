"""The names below a figure along the depth of a network stand apart."""

from __future__ import annotations

import pytest

from ckpt_explorer.ui.evidence import _apart, _stages


@pytest.mark.parametrize(
    ("blocks", "shown"), [(1, ["bn1", "layer1", "layer2", "layer3"]), (9, ["layer1", "layer2", "layer3"])]
)
def test_a_stem_that_would_touch_the_first_stage_is_not_named(blocks: int, shown: list[str]) -> None:
    layers = [
        "bn1",
        *(f"layer{stage}.{block}.bn{norm}" for stage in (1, 2, 3) for block in range(blocks) for norm in (1, 2)),
    ]
    places, labels = _apart(*_stages(layers), len(layers))
    assert labels == shown
    assert [layers[place].partition(".")[0] for place in places] == shown


def test_a_norm_at_the_end_does_not_take_the_last_stages_name() -> None:
    layers = [*(f"layer1.{block}.bn1" for block in range(40)), "norm"]
    assert _apart(*_stages(layers), len(layers))[1] == ["layer1", "norm"]
