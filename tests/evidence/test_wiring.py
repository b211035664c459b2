"""The wiring, from the weights alone: whole trained files are not doubted, and each spoilt layer is named."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ckpt_explorer import align, architecture, load, open_checkpoint, own_class, propose
from ckpt_explorer.alignment import Alignment
from ckpt_explorer.architectures.plain_resnet import PlainResNet
from ckpt_explorer.architectures.spec import ResNetSpec
from ckpt_explorer.evidence import check_wiring
from ckpt_explorer.evidence.wiring import Wiring, graph_of, wiring_of
from ckpt_explorer.evidence.wiring.graph import Graph
from tests.checkpoints import ROOT, small_architecture

Tensors = dict[str, Tensor]

EXAMPLE = ROOT / "ckpt_explorer" / "examples" / "digits_resnet20.pth"
REAL = ROOT.parent / "shared" / "real"
FILES = (EXAMPLE, REAL / "resnet20-12fca82f.th", REAL / "resnet56-4bfd9763.th")
SMALL_FILES = FILES[:2]


@cache
def alignment_of(file: Path) -> Alignment:
    if not file.is_file():
        pytest.skip("the real files are not here")
    return propose(open_checkpoint(file)).alignment


@cache
def tensors_of(file: Path) -> Tensors:
    alignment = alignment_of(file)
    return {key: alignment.tensor(key).float() for key in alignment.filled}


@cache
def graph_for(file: Path) -> Graph:
    graph = graph_of(alignment_of(file).architecture.builder()())
    assert graph is not None
    return graph


def spoilt(file: Path, change: Callable[[Tensors], Tensors]) -> Wiring:
    """The wiring of a file some of whose tensors were changed."""
    tensors = tensors_of(file)
    return wiring_of(graph_for(file), {**tensors, **change(tensors)}.__getitem__)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_whole_file_is_evidence_and_nothing_is_doubted(file: Path) -> None:
    wiring = check_wiring(alignment_of(file))
    assert wiring.evidence == "trained"
    assert wiring.doubts == () and wiring.first_doubted is None and wiring.better_order is None
    assert wiring.side == 32
    assert all(row.correlation is not None and row.correlation > 0.9 for row in wiring.layers)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_is_doubted_in_half_precision(file: Path, dtype: torch.dtype) -> None:
    wiring = spoilt(file, lambda tensors: {key: value.to(dtype) for key, value in tensors.items()})
    assert wiring.evidence == "trained" and wiring.doubts == ()


def test_a_loaded_model_and_its_alignment_say_the_same() -> None:
    alignment = alignment_of(EXAMPLE)
    assert check_wiring(load(alignment)).as_json() == check_wiring(alignment).as_json()


def shuffled(count: int, seed: int = 3) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def random_like(weight: Tensor) -> Tensor:
    return torch.randn(weight.shape, generator=torch.Generator().manual_seed(4)) * weight.std()


CONV_FAULTS: dict[str, Callable[[Tensor], Tensor]] = {
    "random": random_like,
    "shuffled outputs": lambda weight: weight[shuffled(len(weight))],
    "halved": lambda weight: weight / 2,
    "doubled": lambda weight: weight * 2,
    "zero": lambda weight: weight * 0,
    "not a number": lambda weight: weight.index_fill(0, torch.tensor([1]), float("nan")),
}

PLACES = {
    "layer1.0.conv1": "layer1.0.bn1",
    "layer1.2.conv2": "layer1.2.bn2",
    "layer2.0.conv1": "layer2.0.bn1",
    "layer2.1.conv2": "layer2.1.bn2",
    "layer3.0.conv2": "layer3.0.bn2",
    "layer3.2.conv2": "layer3.2.bn2",
}


@pytest.mark.parametrize("conv", PLACES)
@pytest.mark.parametrize("fault", CONV_FAULTS)
@pytest.mark.parametrize("file", SMALL_FILES, ids=lambda file: file.stem)
def test_a_spoilt_conv_is_doubted_at_its_own_norm(file: Path, fault: str, conv: str) -> None:
    key = f"{conv}.weight"
    wiring = spoilt(file, lambda tensors: {key: CONV_FAULTS[fault](tensors[key])})
    assert wiring.first_doubted == PLACES[conv]
    assert key in wiring.doubts[0].tensors


@pytest.mark.parametrize("fault", ["random", "shuffled outputs", "zero"])
@pytest.mark.parametrize("file", SMALL_FILES, ids=lambda file: file.stem)
def test_a_spoilt_first_conv_is_doubted(file: Path, fault: str) -> None:
    wiring = spoilt(file, lambda tensors: {"conv1.weight": CONV_FAULTS[fault](tensors["conv1.weight"])})
    assert wiring.first_doubted == "bn1"


@pytest.mark.parametrize("file", FILES[1:], ids=lambda file: file.stem)
def test_a_halved_first_conv_would_need_an_input_that_nobody_has(file: Path) -> None:
    wiring = spoilt(file, lambda tensors: {"conv1.weight": tensors["conv1.weight"] / 2})
    assert wiring.first_doubted == "bn1" and "standard deviation" in wiring.doubts[0].says


NORM = ("weight", "bias", "running_mean", "running_var")


def exchanged(tensors: Tensors, one: str, other: str) -> Tensors:
    """All tensors below two modules in each other's place."""
    made = {}
    for key in tensors:
        if key.startswith(f"{one}."):
            counterpart = other + key[len(one) :]
            made[key], made[counterpart] = tensors[counterpart], tensors[key]
    return made


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("layer1.0.bn1", "layer1.2.bn1"),
        ("layer1.1.bn1", "layer1.1.bn2"),
        ("layer2.0.bn2", "layer2.1.bn2"),
        ("layer3.1.bn1", "layer3.2.bn2"),
        ("layer1.1.conv1", "layer1.1.conv2"),
        ("layer2.2.conv1", "layer2.2.conv2"),
        ("layer3.1.conv1", "layer3.1.conv2"),
    ],
)
@pytest.mark.parametrize("file", SMALL_FILES, ids=lambda file: file.stem)
def test_layers_in_each_others_place_are_doubted_at_the_first(file: Path, one: str, other: str) -> None:
    wiring = spoilt(file, lambda tensors: exchanged(tensors, one, other))
    assert wiring.first_doubted == one.replace("conv", "bn")


@pytest.mark.parametrize(
    ("one", "other"),
    [("layer1.0", "layer1.1"), ("layer1.0", "layer1.2"), ("layer2.1", "layer2.2"), ("layer3.1", "layer3.2")],
)
@pytest.mark.parametrize("file", FILES[1:], ids=lambda file: file.stem)
def test_the_better_order_of_two_blocks_is_named(file: Path, one: str, other: str) -> None:
    wiring = spoilt(file, lambda tensors: exchanged(tensors, one, other))
    assert wiring.better_order is not None
    assert (wiring.better_order.first, wiring.better_order.second) == (one, other)
    assert wiring.first_doubted == one
    assert wiring.as_json()["better_order"]["exchanged"] == [one, other]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda mean, var: (mean * 0, var * 0 + 1), "still at 0 and 1"),
        (lambda mean, var: (mean * 0 + 0.5, var * 0 + 2), "the same in every channel"),
        (lambda mean, var: (mean, -var), "negative"),
        (lambda mean, var: (mean / 0, var), "finite"),
    ],
)
@pytest.mark.parametrize("norm", ["bn1", "layer2.0.bn2", "layer3.2.bn1"])
def test_broken_statistics_are_doubted_where_others_are_whole(
    change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], says: str, norm: str
) -> None:
    keys = (f"{norm}.running_mean", f"{norm}.running_var")
    wiring = spoilt(EXAMPLE, lambda tensors: dict(zip(keys, change(*(tensors[key] for key in keys)), strict=True)))
    assert wiring.first_doubted == norm
    assert says in wiring.doubts[0].says and wiring.doubts[0].tensors == keys


def test_an_untrained_network_is_no_evidence() -> None:
    architecture_ = architecture("resnet20_cifar_a")
    module = architecture_.builder()()
    graph = graph_of(module)
    assert graph is not None
    wiring = wiring_of(graph, module.state_dict().__getitem__)
    assert wiring.evidence == "none" and wiring.doubts == () and "not trained" in wiring.says


def test_random_tensors_are_no_evidence_and_nothing_is_called_wrong() -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        key: torch.rand(value.shape, generator=generator) + 0.1
        if "var" in key
        else torch.randn(value.shape, generator=generator)
        for key, value in tensors_of(EXAMPLE).items()
    }
    wiring = spoilt(EXAMPLE, lambda _: tensors)
    assert wiring.evidence == "none" and wiring.doubts == ()


def test_the_json_has_the_words_of_the_contract() -> None:
    said = check_wiring(alignment_of(EXAMPLE)).as_json()
    assert said["evidence"] == "trained" and said["first_doubted"] is None
    assert [row["name"] for row in said["layers"]][:3] == ["bn1", "layer1.0.bn1", "layer1.0.bn2"]
    assert {"name", "mean_correlation", "slope", "affinity"} == set(said["layers"][0])
    assert said["training_input"]["side"] == 32


OWN = """
import torch
from torch import nn
from torch.nn import functional as F

class Unit(nn.Module):
    def __init__(self, a, b, step):
        super().__init__()
        self.one, self.norm_one = nn.Conv2d(a, b, 3, step, 1, bias=False), nn.BatchNorm2d(b)
        self.two, self.norm_two = nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)
        self.skip = nn.Sequential(nn.Conv2d(a, b, 1, step, bias=False), nn.BatchNorm2d(b)) if a != b else None
    def forward(self, x):
        y = self.norm_two(self.two(torch.relu(self.norm_one(self.one(x)))))
        return (y.add_(x if self.skip is None else self.skip(x))).relu()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.units = nn.ModuleList(Unit(*row) for row in [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2)
        self.last = nn.Linear(64, 10)
    def forward(self, x):
        x = F.relu(self.norm(self.first(x)))
        for unit in self.units:
            x = unit(x)
        return self.last(x.mean((2, 3)))

class Turning(Net):
    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)
"""


@pytest.fixture
def own_file(tmp_path: Path) -> tuple[Path, Path]:
    """A class of one's own, and the example's weights under its names."""
    code, weights = tmp_path / "own_net.py", tmp_path / "own.pt"
    code.write_text(OWN)
    network: nn.Module = own_class(f"{code}:Net").builder()()
    values = [value for key, value in tensors_of(EXAMPLE).items()]
    keys = [key for key in network.state_dict() if "num_batches" not in key]
    torch.save(dict(zip(keys, values, strict=True)), weights)
    return code, weights


def test_the_wiring_of_your_own_class_is_traced(own_file: tuple[Path, Path]) -> None:
    code, weights = own_file
    wiring = check_wiring(align(open_checkpoint(weights), own_class(f"{code}:Net")))
    assert wiring.evidence == "trained" and wiring.doubts == () and len(wiring.layers) == 21


def test_a_class_that_cannot_be_traced_is_no_evidence(own_file: tuple[Path, Path]) -> None:
    code, weights = own_file
    wiring = check_wiring(align(open_checkpoint(weights), own_class(f"{code}:Turning")))
    assert wiring.evidence == "none" and "not known" in wiring.says and wiring.layers == ()


def test_a_network_of_few_layers_is_no_evidence() -> None:
    network = small_architecture(blocks=(1,)).builder()()
    graph = graph_of(network)
    assert graph is not None
    assert wiring_of(graph, network.state_dict().__getitem__).evidence == "none"


def test_pictures_are_answered_as_ever_while_another_thread_follows_the_wiring() -> None:
    module = PlainResNet(ResNetSpec(width=8, blocks=(1, 1), num_classes=3)).eval()
    pictures, ended = torch.zeros(1, 3, 32, 32), threading.Event()
    wrong: list[str] = []
    answered = 0

    def answer() -> None:
        nonlocal answered
        while not ended.is_set():
            try:
                with torch.inference_mode():
                    answer = module(pictures)
            except Exception as error:  # noqa: BLE001  whatever it is, it is not to be
                wrong.append(repr(error))
            else:
                answered += 1
                if type(answer) is not Tensor:
                    wrong.append(type(answer).__name__)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        graphs = [graph_of(PlainResNet(ResNetSpec(width=8, blocks=(2, 2), num_classes=3))) for _ in range(20)]
    finally:
        ended.set()
        thread.join()
    assert wrong == [] and answered > 0
    assert all(graphs)
