"""The script that people take home does what convert does, in a process that has PyTorch and nothing of ours."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ckpt_explorer.alignment import align
from ckpt_explorer.architectures import architecture
from ckpt_explorer.export import as_code, as_revise_keys, write_state_dict
from ckpt_explorer.proposal import propose
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.rules import Rule, RuleSet, parse_rule
from tests.checkpoints import add_prefix, in_new_process, network, small_architecture, write_checkpoint
from tests.suggestion.dialects import DIALECTS, TURNED

TARGET = architecture("custom", num_classes=5, options={"block": "bottleneck", "blocks": (2, 1), "width": 8})


def dialect_file(folder: Path, dialect: str) -> Path:
    """A file in a dialect, with real tensors, beside other things and behind a container."""
    weights = {}
    for key, tensor in network(TARGET).state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        if dialect in TURNED:
            tensor = tensor.permute(2, 3, 1, 0) if tensor.dim() == 4 else tensor.t() if tensor.dim() == 2 else tensor
        weights[DIALECTS[dialect](key, TARGET.tree)] = tensor.contiguous()
    return write_checkpoint(folder, {"model": weights, "epoch": 3})


def run(folder: Path, code: str, source: Path, out: Path) -> None:
    script = folder / "rename.py"
    script.write_text(code, encoding="utf-8")
    ended = in_new_process("-I", str(script), str(source), str(out), cwd=folder)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("dialect", ["caffe2", "caffe", "keras", "flax", "sequential", "norm in conv", "counted"])
def test_the_script_gives_the_same_state_dict_bit_for_bit(tmp_path: Path, dialect: str) -> None:
    file = dialect_file(tmp_path, dialect)
    alignment = propose(open_checkpoint(file), architecture=TARGET).alignment
    assert alignment.unfilled == ()
    written = torch.load(write_state_dict(alignment, tmp_path / "ours.pth").path)
    run(tmp_path, as_code(alignment), file, tmp_path / "theirs.pth")
    theirs = torch.load(tmp_path / "theirs.pth")
    assert theirs.keys() == written.keys()
    assert all(torch.equal(theirs[key], written[key]) for key in written)
    loaded = TARGET.builder()()
    assert not loaded.load_state_dict(theirs, strict=False).unexpected_keys


def test_masks_and_what_lies_beside_the_network_are_dealt_with(tmp_path: Path) -> None:
    target = small_architecture()
    weights = {}
    for key, tensor in network(target).state_dict().items():
        if tensor.dim() == 4:
            weights[f"net.{key}_orig"], weights[f"net.{key}_mask"] = tensor, (tensor > 0).float()
        else:
            weights[f"net.{key}"] = tensor
    weights["projector.0.weight"] = torch.ones(4, 4)
    file = write_checkpoint(tmp_path, weights)
    alignment = propose(open_checkpoint(file), architecture=target).alignment
    assert alignment.verdict == "complete"
    assert alignment.summary["adapted"] == 2 * sum(len(row.shape) == 4 for row in target.tree.values())
    assert torch.equal(alignment.tensor("conv1.weight"), weights["net.conv1.weight_orig"].clamp(min=0))
    run(tmp_path, as_code(alignment), file, tmp_path / "theirs.pth")
    theirs = torch.load(tmp_path / "theirs.pth")
    assert theirs.keys() == target.tree.keys()
    assert all(torch.equal(theirs[key], alignment.tensor(key)) for key in theirs)


@pytest.mark.parametrize("spelt", ["spectral_norm", "parametrizations.spectral_norm", "weight_norm"])
def test_weights_that_are_computed_from_others_are_computed_by_the_script_too(tmp_path: Path, spelt: str) -> None:
    target = small_architecture()
    model, pictures = network(target), torch.rand(2, 3, 64, 64)
    norms: dict[str, Callable[[torch.nn.Module], torch.nn.Module]] = {
        "spectral_norm": torch.nn.utils.spectral_norm,
        "parametrizations.spectral_norm": torch.nn.utils.parametrizations.spectral_norm,
        "weight_norm": torch.nn.utils.parametrizations.weight_norm,
    }
    for layer in [layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)]:
        norms[spelt](layer)
    model.eval()
    logits = model(pictures)
    file = write_checkpoint(tmp_path, model.state_dict())
    alignment = propose(open_checkpoint(file), architecture=target).alignment
    assert alignment.verdict == "complete"
    run(tmp_path, as_code(alignment), file, tmp_path / "theirs.pth")
    theirs = torch.load(tmp_path / "theirs.pth")
    assert theirs.keys() == target.tree.keys()
    assert all(torch.equal(theirs[key], alignment.tensor(key)) for key in theirs)
    plain = network(target).eval()
    plain.load_state_dict(theirs)
    assert torch.allclose(plain(pictures), logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dialect", ["caffe", "norm in conv", "conv module", "counted"])
def test_revise_keys_give_every_key_its_name(tmp_path: Path, dialect: str) -> None:
    alignment = propose(open_checkpoint(dialect_file(tmp_path, dialect)), architecture=TARGET).alignment
    (tmp_path / "loader.py").write_text(as_revise_keys(alignment.rules), encoding="utf-8")
    names = runpy.run_path(str(tmp_path / "loader.py"))
    for row in alignment.renaming.keys:
        key = row.key
        for pattern, replacement in names["revise_keys"]:
            key = re.sub(pattern, replacement, key)
        assert key == row.renamed


def test_what_revise_keys_cannot_say_stands_there_as_a_comment() -> None:
    rules = RuleSet(tuple(map(parse_rule, ["drop ^ema.", "strip prefix a.b", "transform weight$ -> transpose"])))
    text = as_revise_keys(rules)
    assert text.count("    # ") == 2
    assert r"a\\.b" in text


def test_a_script_for_a_file_that_fits_renames_nothing(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path, add_prefix("", network(TARGET).state_dict()))
    code = as_code(align(open_checkpoint(file), TARGET))
    assert "no key is renamed" in code and "none: the keys fit as they are" in code


def test_no_key_can_break_out_of_the_script() -> None:
    rules = RuleSet(
        (Rule("strip prefix", "a'b\"\n\\{}"), Rule("rename", "l{n}.", "m'\n{n}."), Rule("add prefix", "\\1'"))
    )
    text = as_revise_keys(rules)
    ast.parse(text)
    assert len(text.splitlines()) == 2 + len(rules)
