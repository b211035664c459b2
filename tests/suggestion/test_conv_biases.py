"""Biases of convs in front of a BatchNorm: never passed over, and on demand taken off the mean, value for value."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ckpt_explorer.alignment import Alignment, Verdict, align
from ckpt_explorer.architectures import architecture
from ckpt_explorer.decisions import decided, decisions_for
from ckpt_explorer.export import as_code, write_state_dict
from ckpt_explorer.loading import load
from ckpt_explorer.proposal import Proposal, propose
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.rules import parse_rule, rules_from_json
from tests.checkpoints import in_new_process, write_checkpoint
from tests.suggestion.dialects import DIALECTS, TURNED

TARGET = architecture("custom", num_classes=5, options={"block": "bottleneck", "blocks": (2, 1), "width": 8})
ANSWER = "unexpected=into the norms"


def with_biases(*layers: str) -> nn.Module:
    """The network with a bias in each conv whose name ends with one of `layers`, statistics as if it were trained."""
    torch.manual_seed(3)
    module = TARGET.builder()().eval()
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d) and name.endswith(layers):
            layer.bias = nn.Parameter(torch.randn(layer.out_channels))
        if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and layer.running_var is not None:
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    return module


def proposed(folder: Path, module: nn.Module, dialect: str) -> tuple[Path, Proposal]:
    tree = {key: tensor for key, tensor in module.state_dict().items() if not key.endswith("num_batches_tracked")}
    weights = {}
    for key, tensor in tree.items():
        if dialect in TURNED:
            tensor = tensor.permute(2, 3, 1, 0) if tensor.dim() == 4 else tensor.t() if tensor.dim() == 2 else tensor
        name = DIALECTS[dialect](key, TARGET.tree) if dialect else f"module.{key}"
        weights[name] = tensor.detach().contiguous()
    assert len(weights) == len(tree)
    file = write_checkpoint(folder, weights)
    return file, propose(open_checkpoint(file), architecture=TARGET)


def answers_alike(one: nn.Module, other: nn.Module) -> bool:
    images = torch.randn(4, 3, 64, 64)
    with torch.inference_mode():
        return torch.allclose(one(images), other(images), rtol=1e-4, atol=1e-4)


def carried_out(before: Alignment) -> Alignment:
    after = decided(before, [ANSWER])
    assert after.verdict is Verdict.COMPLETE and not after.unfilled
    return after


@pytest.mark.parametrize(
    "layers",
    [("",), ("conv1",), ("downsample.0",), ("conv2", "conv3")],
    ids=["all convs", "first convs", "shortcuts", "some convs"],
)
def test_a_network_with_biases_answers_the_same_when_they_are_taken_off_the_means(
    tmp_path: Path, layers: tuple[str, ...]
) -> None:
    module = with_biases(*layers)
    _, proposal = proposed(tmp_path, module, "")
    assert proposal.alignment.verdict is Verdict.INCOMPATIBLE  # nothing is taken off in silence
    after = carried_out(proposal.alignment)
    assert answers_alike(load(after).module.eval(), module)
    own = module.state_dict()
    for key, recipe in after.recipes.items():
        bias = own.get(recipe.sources[1].removeprefix("module.")) if len(recipe.sources) == 2 else None
        assert torch.equal(after.tensor(key), own[key] if bias is None else own[key] - bias)
    assert sum(len(recipe.sources) == 2 for recipe in after.recipes.values()) == sum(
        isinstance(layer, nn.Conv2d) and layer.bias is not None for layer in module.modules()
    )


@pytest.mark.parametrize("dialect", ["keras", "norm in conv", "conv module", "flax", "sequential"])
def test_it_is_so_whatever_the_names_are_and_in_the_script_too(tmp_path: Path, dialect: str) -> None:
    module = with_biases("")
    file, proposal = proposed(tmp_path, module, dialect)
    assert proposal.alignment.verdict is Verdict.INCOMPATIBLE
    after = carried_out(proposal.alignment)
    assert answers_alike(load(after).module.eval(), module)
    written = torch.load(write_state_dict(after, tmp_path / "ours.pth").path)
    (tmp_path / "rename.py").write_text(as_code(after), encoding="utf-8")
    ended = in_new_process("-I", "rename.py", str(file), str(tmp_path / "theirs.pth"), cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    theirs = torch.load(tmp_path / "theirs.pth")
    assert all(torch.equal(theirs[key], written[key]) for key in written) and theirs.keys() == written.keys()


def test_the_refusal_names_the_biases_and_the_rules_that_take_them_off(tmp_path: Path) -> None:
    _, proposal = proposed(tmp_path, with_biases(""), "")
    said = next(row for row in proposal.diagnoses if row.id == "A7")
    assert said.says.startswith("12 convs of the file have a bias, as module.conv1.bias, which the network's have not")
    choice = next(row for row in decisions_for(proposal.alignment) if row.about == "unexpected").choice(
        "into the norms"
    )
    assert [str(rule) for rule in choice.added] == [
        "rename 'conv{n}.bias$' -> 'bn{n}.conv_bias'",
        "rename 'downsample.0.bias$' -> 'downsample.1.conv_bias'",
        "combine 'running_mean - conv_bias' -> 'running_mean'",
    ]
    assert all(rule.why and str(rule) in said.next and parse_rule(str(rule)) for rule in choice.added)
    again = rules_from_json("\n".join(map(str, (*proposal.alignment.rules, *choice.added))))
    assert align(proposal.checkpoint, TARGET, again).verdict is Verdict.COMPLETE


def test_a_bias_of_another_size_or_beside_other_strangers_is_not_offered(tmp_path: Path) -> None:
    module = with_biases("conv1")
    weights = dict(module.state_dict())
    weights["layer1.0.gate.weight"] = torch.ones(2, 2, 1, 1)
    found = propose(open_checkpoint(write_checkpoint(tmp_path, weights)), architecture=TARGET).alignment
    names = [choice.name for row in decisions_for(found) for choice in row.choices]
    assert "into the norms" not in names and found.verdict is Verdict.INCOMPATIBLE
