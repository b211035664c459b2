"""load(): the network that answers, with the file's own bytes in it, and nothing guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ckpt_explorer.alignment import Alignment, Verdict, align
from ckpt_explorer.architectures import Architecture, own_class, reference_tree
from ckpt_explorer.errors import ArchitectureError, LoadError
from ckpt_explorer.examples.simplified_resnet import SimplifiedResNet
from ckpt_explorer.loading import available_devices, load
from ckpt_explorer.proposal import propose
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.rules import RuleSet, parse_rule
from tests.checkpoints import (
    add_prefix,
    network,
    small_architecture,
    small_resnet,
    small_resnet_state_dict,
    trained,
    write_checkpoint,
    write_class,
    write_safetensors,
)

SMALL_NET = small_architecture()


def picture(channels: int = 3, size: int = 32) -> Tensor:
    """Two random inputs (2, channels, size, size), always the same."""
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(5))


def answers(module: nn.Module, x: Tensor | None = None) -> Tensor:
    with torch.inference_mode():
        result: Tensor = module(picture() if x is None else x)
        return result


def small_alignment(folder: Path, weights: dict[str, Tensor], target: Architecture = SMALL_NET) -> Alignment:
    return align(open_checkpoint(write_checkpoint(folder, weights)), target)


def headless(folder: Path) -> Alignment:
    weights = small_resnet_state_dict()
    del weights["fc.weight"], weights["fc.bias"]
    return small_alignment(folder, weights)


# The three cases of the how-to: it fits, only the trunk fits, the names differ.


def test_a_file_that_fits_answers_as_the_network_that_wrote_it_bit_for_bit(tmp_path: Path) -> None:
    original = small_resnet()
    proposal = propose(open_checkpoint(write_checkpoint(tmp_path, {"state_dict": original.state_dict(), "epoch": 1})))
    loaded = load(proposal.alignment)
    assert torch.equal(answers(loaded.module), answers(original))
    assert loaded.report.random == ()


def test_only_the_trunk_fits_and_the_features_are_those_of_the_network_that_wrote_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    original = trained(SimplifiedResNet())
    weights = {key: value for key, value in original.state_dict().items() if not key.startswith("classifier.")}
    weights["layer3.0.conv1.weight"] = torch.zeros(3)
    target = own_class("ckpt_explorer.examples.simplified_resnet:SimplifiedResNet")
    alignment = small_alignment(tmp_path, weights, target)
    loaded = load(alignment, strict=False)
    x = picture(1)
    features = [
        net.get_submodule("layer2")(net.get_submodule("layer1")(x[:, :, :16, :16].repeat(1, 16, 1, 1)))
        for net in (loaded.module, original)
    ]
    assert torch.equal(*features)
    assert alignment.verdict is Verdict.PARTIAL
    assert loaded.report.random == ("classifier.weight", "classifier.bias")
    assert loaded.report.unexpected == ("layer3.0.conv1.weight",)


def test_renamed_weights_answer_as_the_network_that_wrote_them_bit_for_bit(tmp_path: Path) -> None:
    original = small_resnet()
    renamed = {
        f"module.{key}".replace("bn", "norm").replace("downsample", "shortcut").replace("fc.", "classifier."): value
        for key, value in original.state_dict().items()
    }
    proposal = propose(open_checkpoint(write_checkpoint(tmp_path, {"model": renamed})), architecture=SMALL_NET)
    assert proposal.alignment.verdict is Verdict.COMPLETE
    assert torch.equal(answers(load(proposal.alignment).module), answers(original))


@pytest.mark.parametrize("name", ["resnet18", "resnet18_cifar", "resnet20_cifar_a", "resnet20_cifar_b"])
def test_named_networks_answer_as_the_network_that_wrote_them(tmp_path: Path, name: str) -> None:
    from ckpt_explorer.architectures import architecture

    target = architecture(name, num_classes=4)
    original = network(target)
    proposal = propose(open_checkpoint(write_safetensors(tmp_path, original.state_dict())))
    assert proposal.architecture.name == name
    assert torch.equal(answers(load(proposal.alignment).module), answers(original))


# Strict and partial.


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda weights: weights.pop("fc.bias"), r"1 key missing \(fc\.bias\)"),
        (lambda weights: weights.update({"extra.weight": torch.zeros(1)}), r"1 key unexpected \(extra\.weight\)"),
        (lambda weights: weights.update({"fc.bias": torch.zeros(9)}), r"1 key of another shape \(fc\.bias\)"),
    ],
)
def test_a_strict_load_is_refused_by_name(tmp_path: Path, change: object, says: str) -> None:
    weights = small_resnet_state_dict()
    change(weights)  # type: ignore[operator]
    with pytest.raises(LoadError, match=says) as refused:
        load(small_alignment(tmp_path, weights))
    assert "\n" not in str(refused.value)


def test_a_strict_load_forgives_what_a_rule_drops_and_counters_that_are_not_there(tmp_path: Path) -> None:
    weights = {key: value for key, value in small_resnet_state_dict().items() if "num_batches" not in key}
    file = write_checkpoint(tmp_path, {**weights, "queue": torch.zeros(3)})
    alignment = align(open_checkpoint(file), SMALL_NET, RuleSet((parse_rule("drop ^queue$"),)))
    loaded = load(alignment)
    assert loaded.report.ignored == ("queue",)
    counters = [value for key, value in loaded.module.state_dict().items() if "num_batches" in key]
    assert len(counters) == 11 and all(int(value) == 0 and value.dtype == torch.int64 for value in counters)


def test_a_partial_load_names_what_is_random_and_fills_the_rest(tmp_path: Path) -> None:
    loaded = load(headless(tmp_path), strict=False)
    assert loaded.report.random == loaded.report.missing == ("fc.weight", "fc.bias")
    assert len(loaded.report.matched) == len(SMALL_NET.tree) - 2
    assert "2 missing" in str(loaded.report)
    assert loaded.report.as_json()["random"] == ["fc.weight", "fc.bias"]


def test_a_partial_load_goes_past_another_shape_which_torch_never_forgives(tmp_path: Path) -> None:
    loaded = load(small_alignment(tmp_path, small_resnet_state_dict(num_classes=9)), strict=False)
    assert loaded.report.shape_mismatch == loaded.report.random == ("fc.weight", "fc.bias")
    assert answers(loaded.module).shape == (2, 5)


def test_the_seed_changes_the_random_tensors_and_no_other(tmp_path: Path) -> None:
    alignment = headless(tmp_path)
    first, same, other = (load(alignment, strict=False, seed=seed).module.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert {key for key in first if not torch.equal(first[key], other[key])} == {"fc.weight", "fc.bias"}


def test_the_callers_random_numbers_are_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load(headless(tmp_path), strict=False, seed=9)
    assert torch.equal(torch.rand(1), expected)


def test_nothing_in_common_is_refused_even_partially(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="Not one tensor"):
        load(small_alignment(tmp_path, add_prefix("x.", small_resnet_state_dict())), strict=False)


def test_a_reference_is_no_network_to_load(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(write_checkpoint(tmp_path, small_resnet_state_dict()))
    with pytest.raises(ArchitectureError, match="no network"):
        load(align(checkpoint, reference_tree(checkpoint.state_dict, "reference")))


# What the module is.


def test_the_module_is_in_eval_mode_and_asks_for_no_gradient(tmp_path: Path) -> None:
    module = load(small_alignment(tmp_path, small_resnet_state_dict())).module
    assert not any(part.training for part in module.modules())
    assert not any(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize("write", [write_checkpoint, write_safetensors])
def test_on_the_cpu_the_tensors_are_the_files_own_bytes_and_no_copy(tmp_path: Path, write: object) -> None:
    data = bytearray(write(tmp_path, small_resnet_state_dict()).read_bytes())  # type: ignore[operator]
    start = torch.frombuffer(data, dtype=torch.uint8).data_ptr()
    loaded = load(align(open_checkpoint(memoryview(data).toreadonly(), "upload.pth"), SMALL_NET))
    for key, tensor in loaded.module.state_dict().items():
        if tensor.dtype == torch.float32:
            assert start <= tensor.data_ptr() < start + len(data), key


def test_two_loads_of_one_file_share_its_bytes(tmp_path: Path) -> None:
    alignment = small_alignment(tmp_path, small_resnet_state_dict())
    first, second = load(alignment).module.state_dict(), load(alignment).module.state_dict()
    assert all(first[key].data_ptr() == second[key].data_ptr() for key in first)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_the_network_can_be_loaded_in_another_dtype(tmp_path: Path, dtype: str) -> None:
    loaded = load(headless(tmp_path), strict=False, dtype=dtype)
    kinds = {value.dtype for key, value in loaded.module.state_dict().items() if "num_batches" not in key}
    assert kinds == {getattr(torch, dtype)}
    assert answers(loaded.module, picture().to(getattr(torch, dtype))).dtype == getattr(torch, dtype)


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    weights = {
        key: value.half() if value.is_floating_point() else value for key, value in small_resnet_state_dict().items()
    }
    loaded = load(small_alignment(tmp_path, weights))
    assert loaded.module.get_parameter("conv1.weight").dtype == torch.float32
    assert torch.equal(loaded.module.get_parameter("conv1.weight"), weights["conv1.weight"].float())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"device": "tpu"}, "has no device 'tpu'"),
        ({"device": "cuda:77"}, "has no device 'cuda:77'"),
        ({"device": "\x1b[31m"}, "has no device"),
        ({"device": ""}, "has no device"),
        ({"dtype": "int8"}, "'int8' is no dtype"),
        ({"dtype": "nn"}, "'nn' is no dtype"),
    ],
)
def test_a_device_or_dtype_that_is_not_there_is_told_in_one_sentence(
    tmp_path: Path, given: dict[str, str], says: str
) -> None:
    with pytest.raises(LoadError, match=says) as refused:
        load(small_alignment(tmp_path, small_resnet_state_dict()), **given)  # type: ignore[arg-type]
    assert "\x1b" not in str(refused.value) and "\n" not in str(refused.value)


def test_progress_counts_every_tensor_and_may_abandon(tmp_path: Path) -> None:
    alignment = small_alignment(tmp_path, small_resnet_state_dict())
    seen: list[tuple[int, int]] = []
    load(alignment, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(SMALL_NET.tree), len(SMALL_NET.tree)) and len(seen) == len(SMALL_NET.tree)

    def stop(_done: int, _total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        load(alignment, progress=stop)


OWN = """
class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=False)
        self.fc = nn.Linear(4, 2)
        self.register_buffer("scale", torch.full((4,), 2.0), persistent=False)
        self.shift = torch.full((4,), 3.0)
        self.table = {"steps": [torch.ones(4)], "name": "x"}
        self.pair = (torch.ones(4), 1)

    def forward(self, x):
        x = self.conv1(x).mean((2, 3)) * self.scale + self.shift
        return self.fc(x + self.table["steps"][0] + self.pair[0])


class NeedsValues(Hidden):
    def __init__(self):
        super().__init__()
        self.count = int(torch.ones(3).sum().item())
"""


@pytest.mark.parametrize("name", ["Hidden", "NeedsValues"])
@pytest.mark.parametrize("dtype", [None, "float64"])
def test_what_no_state_dict_holds_is_real_after_the_load(tmp_path: Path, name: str, dtype: str | None) -> None:
    target = own_class(f"{write_class(tmp_path, OWN)}:{name}")
    original = target.builder()().eval()
    weights = dict(original.state_dict())
    assert set(weights) == {"conv1.weight", "fc.weight", "fc.bias"}
    loaded = load(small_alignment(tmp_path, weights, target), dtype=dtype)
    x = picture()
    found = answers(loaded.module, x if dtype is None else x.double())
    assert torch.allclose(found.float(), answers(original, x), atol=1e-5)
    assert dtype is not None or torch.equal(found, answers(original, x))


def test_a_device_with_its_number_is_the_same_device(tmp_path: Path) -> None:
    original = small_resnet()
    loaded = load(small_alignment(tmp_path, dict(original.state_dict())), device="cpu:0")
    assert torch.equal(answers(loaded.module), answers(original))


def test_the_cpu_is_always_there() -> None:
    assert available_devices()[0] == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_on_a_gpu_every_value_is_the_files_and_the_answers_are_the_cpus(tmp_path: Path, device: str) -> None:
    from ckpt_explorer.evidence import check_values, trust

    if device not in available_devices() and device != "cuda:0":
        device = "cuda:0"
    original = small_resnet()
    loaded = load(small_alignment(tmp_path, dict(original.state_dict())), device=device)
    assert all(tensor.is_cuda for tensor in loaded.module.state_dict().values())
    assert check_values(loaded).different == ()
    assert trust(loaded).level == "answers"
    assert torch.allclose(answers(loaded.module, picture().cuda()).cpu(), answers(original), atol=1e-3)
    hidden = own_class(f"{write_class(tmp_path, OWN)}:Hidden")
    module = load(small_alignment(tmp_path, dict(hidden.builder()().state_dict()), hidden), device=device).module
    assert answers(module, picture().cuda()).is_cuda
