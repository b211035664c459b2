"""Heat maps: the exact one equals its definition, Grad-CAM equals Captum's, and both lie where the picture is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from PIL import Image
from torch import nn
from torchvision import models

from ckpt_explorer.errors import InferenceError
from ckpt_explorer.inference.heat_map import heat_map, stages_of
from ckpt_explorer.inference.images import as_input
from ckpt_explorer.inference.overlay import in_picture, overlaid, seen_box
from ckpt_explorer.inference.preprocessing import preprocessing
from tests.inference.networks import resnet20


def torchvisions(name: str = "resnet18") -> nn.Module:
    """A torchvision network with random weights and statistics that are not those of the beginning."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module: nn.Module = models.get_model(name, num_classes=7)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    module.requires_grad_(False)
    return module.eval()


def noise(size: int = 64) -> torch.Tensor:
    return torch.randn((1, 3, size, size), generator=torch.Generator().manual_seed(3))


def by_definition(module: nn.Module, x: torch.Tensor, index: int) -> Any:
    """The head's weights of the class times the last features, place by place."""
    kept: list[torch.Tensor] = []
    layer: Any = module.get_submodule("layer4" if hasattr(module, "layer4") else "layer3")
    hook = layer.register_forward_hook(lambda _m, _i, output: kept.append(output.clone()))
    with torch.no_grad():
        module(x)
    hook.remove()
    weight: Any = module.get_submodule("fc").weight
    height, width = kept[0].shape[2:]
    return np.array(
        [
            [float((weight[index].double() * kept[0][0, :, y, x].double()).sum()) for x in range(width)]
            for y in range(height)
        ]
    )


@pytest.mark.parametrize("network", ["torchvision", "cifar"])
def test_the_class_activation_map_is_the_one_of_the_definition_and_its_mean_the_logit(network: str) -> None:
    module, x = (torchvisions(), noise(96)) if network == "torchvision" else (resnet20(), noise(32))
    found = heat_map(module, x, head="fc")
    assert (found.method, found.stage) == ("CAM", "layer4" if network == "torchvision" else "layer3")
    assert found.class_index == int(module(x).argmax())
    wanted = by_definition(module, x, found.class_index)
    assert np.allclose(found.values, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())
    bias: Any = module.get_submodule("fc").bias
    assert found.values.mean() + float(bias[found.class_index]) == pytest.approx(found.logit, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("stage", ["stem", "layer1", "layer2", "layer3", "layer4"])
def test_grad_cam_at_every_stage_is_captums(stage: str) -> None:
    module, x = torchvisions(), noise(96)
    found = heat_map(module, x, 5, stage)
    assert found.method == "Grad-CAM"
    with torch.enable_grad():
        layer = module.get_submodule("maxpool" if stage == "stem" else stage)
        wanted = LayerGradCam(module, layer).attribute(x.requires_grad_(True), target=5, relu_attributions=True)
    expected = wanted[0, 0].detach().numpy()
    assert found.values.shape == expected.shape
    assert np.allclose(found.values, expected, rtol=1e-4, atol=1e-5 * max(float(expected.max()), 1e-12))


def test_the_stages_are_found_by_what_the_parts_give_back() -> None:
    assert list(stages_of(torchvisions(), noise())) == ["stem", "layer1", "layer2", "layer3", "layer4"]
    assert list(stages_of(resnet20(), noise(32))) == ["stem", "layer1", "layer2", "layer3"]
    wrapped = nn.Sequential(torchvisions()).eval()
    assert list(stages_of(wrapped, noise())) == ["stem", "0.layer1", "0.layer2", "0.layer3", "0.layer4"]
    flat = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert list(stages_of(flat.eval(), noise())) == ["0", "2"]


def test_a_head_that_gets_no_plain_mean_gets_no_map_that_is_called_exact() -> None:
    class Doubled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.fc(self.conv(x).amax((2, 3)))
            return logits

    assert heat_map(Doubled().eval(), noise(), head="fc").method == "Grad-CAM"


def test_nothing_is_left_behind_in_the_network() -> None:
    module, x = torchvisions(), noise()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    for stage in (None, "stem", "layer2"):
        heat_map(module, x, 1, stage, head="fc")
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in module.parameters())
    assert not module.training and not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_what_is_not_there_is_refused_in_a_sentence() -> None:
    with pytest.raises(InferenceError, match="no stage 'layer9': choose stem, layer1"):
        heat_map(torchvisions(), noise(), 0, "layer9")
    with pytest.raises(InferenceError, match="no class 7: it has 7"):
        heat_map(torchvisions(), noise(), 7)
    with pytest.raises(InferenceError, match="No part of this network gives back a map"):
        heat_map(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 4)).eval(), noise())


@pytest.mark.parametrize(("width", "height"), [(400, 300), (300, 400), (224, 224), (1000, 120)])
def test_the_part_that_was_seen_is_the_part_that_the_input_was_cut_from(width: int, height: int) -> None:
    steps = preprocessing("none", size=64, resize=80)
    left, top, right, bottom = seen_box(width, height, steps)
    gradient = np.zeros((height, width, 3), np.uint8)
    gradient[..., 0] = np.linspace(0, 255, width)[None, :]
    gradient[..., 1] = np.linspace(0, 255, height)[:, None]
    x = as_input(Image.fromarray(gradient), steps, 3)
    middle = x[:, 31:33, 31:33].mean((1, 2))
    assert float(middle[0]) == pytest.approx((left + right) / 2 / width, abs=0.02)
    assert float(middle[1]) == pytest.approx((top + bottom) / 2 / height, abs=0.02)
    assert float(x[0, 32, 0]) == pytest.approx(left / width, abs=0.02)
    assert float(x[1, -1, 32]) == pytest.approx(bottom / height, abs=0.02)


def test_a_hot_place_lies_over_its_place_in_the_picture_and_outside_of_what_was_seen_is_nothing() -> None:
    steps = preprocessing("none", size=64, resize=64)
    strength = np.zeros((4, 4), np.float32)
    strength[0, 3] = 1
    heat = in_picture(strength, 300, 100, steps)
    assert heat.shape == (100, 300)
    assert np.isnan(heat[:, :99]).all() and np.isnan(heat[:, 201:]).all()
    y, x = np.unravel_index(int(np.nanargmax(heat)), heat.shape)
    assert y < 25 and 175 <= x <= 200
    shown = overlaid(Image.new("L", (3000, 1000), 128), strength, steps)
    assert shown.mode == "RGB" and shown.size == (1024, 341)
