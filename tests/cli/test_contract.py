"""The JSON that every command promises, and its exit status: 0 done, 1 not complete, 2 refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from ckpt_explorer.examples import EXAMPLES, example_bytes, example_images, facts
from tests.checkpoints import (
    ROOT,
    add_prefix,
    in_new_process,
    small_resnet_state_dict,
    write_checkpoint,
    write_class,
)
from tests.cli.commands import Terminal

EXAMPLE = {example.id: example for example in EXAMPLES}
SUMMARY = {"matched", "adapted", "shape_mismatch", "missing", "unexpected", "ignored"}


@pytest.fixture
def wrapped(tmp_path: Path) -> Path:
    """The small network as DataParallel and a training script save it."""
    weights = add_prefix("module.", small_resnet_state_dict())
    return write_checkpoint(tmp_path, {"state_dict": weights, "epoch": 7, "optimizer": {"lr": 0.1}})


@pytest.fixture
def headless(tmp_path: Path) -> Path:
    """The small network without its last layer."""
    weights = {key: value for key, value in small_resnet_state_dict().items() if not key.startswith("fc.")}
    return write_checkpoint(tmp_path, weights, "headless.pth")


def test_inspect_says_what_the_file_is_and_holds(terminal: Terminal, wrapped: Path) -> None:
    answer = terminal.json("inspect", wrapped)
    assert {"file", "format", "size", "state_dicts", "entries", "globals", "architectures", "diagnoses"} <= set(answer)
    assert (answer["file"], answer["size"]) == (str(wrapped), wrapped.stat().st_size)
    assert [set(row) for row in answer["state_dicts"]] == [{"path", "tensors", "parameters", "bytes", "selected"}]
    assert answer["state_dicts"][0]["path"] == "state_dict" and answer["state_dicts"][0]["tensors"] == 68
    assert answer["state_dicts"][0]["selected"] is True
    assert {
        "path": "state_dict.module.fc.bias",
        "kind": "tensor",
        "shape": [5],
        "dtype": "float32",
        "bytes": 20,
    } in answer["entries"]
    assert {"epoch", "optimizer"} <= {row["path"].split(".")[0] for row in answer["entries"]}
    assert {row["kind"] for row in answer["globals"]} <= {"tensor", "data"}
    best = answer["architectures"][0]
    assert (best["name"], best["num_classes"], best["in_channels"], best["score"]) == ("custom", 5, 3, 1.0)
    assert best["why"]


def test_align_with_no_options_does_what_the_pages_would_propose(terminal: Terminal, wrapped: Path) -> None:
    answer = terminal.json("align", wrapped)
    assert {"state_dict", "architecture", "rules", "keys", "summary", "verdict", "alternatives", "diagnoses"} <= set(
        answer
    )
    assert answer["state_dict"] == "state_dict" and answer["verdict"] == "complete"
    assert set(answer["architecture"]) == {"name", "num_classes", "in_channels", "options"}
    assert set(answer["summary"]) == SUMMARY and answer["summary"]["matched"] == len(answer["keys"]) == 68
    assert [row["text"] for row in answer["rules"]] == ["strip prefix 'module.'"]
    assert answer["rules"][0]["touches"] == 68
    row = answer["keys"][0]
    assert {"checkpoint", "renamed", "model", "status", "checkpoint_shape", "model_shape"} <= set(row)
    assert (row["checkpoint"], row["renamed"], row["model"]) == ("module.conv1.weight", "conv1.weight", "conv1.weight")
    assert all({"id", "says", "next"} == set(row) for row in answer["diagnoses"])


def test_align_without_rules_shows_the_file_as_it_is(terminal: Terminal, wrapped: Path) -> None:
    answer = terminal.json("align", wrapped, "--no-suggest", status=1)
    assert (answer["verdict"], answer["rules"]) == ("incompatible", [])
    assert answer["summary"]["missing"] == answer["summary"]["unexpected"] == 68


def test_align_takes_rules_from_a_file_and_uses_those_alone(terminal: Terminal, wrapped: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(["strip prefix module.", {"kind": "drop", "find": "^fc."}]))
    answer = terminal.json("align", wrapped, "--rules", rules, status=1)
    assert (answer["verdict"], answer["summary"]["ignored"]) == ("partial", 2)
    exported = tmp_path / "again.json"
    exported.write_text(json.dumps(answer["rules"]))
    again = terminal.json("align", wrapped, "--rules", exported, status=1)
    assert again["keys"] == answer["keys"]


def test_rules_may_name_the_state_dict(terminal: Terminal, tmp_path: Path) -> None:
    file = write_checkpoint(
        tmp_path, {"a": add_prefix("x.", small_resnet_state_dict()), "b": small_resnet_state_dict(1)}
    )
    rules = tmp_path / "rules.txt"
    rules.write_text("take from b\n")
    assert terminal.json("align", file, "--rules", rules)["state_dict"] == "b"
    assert terminal.json("align", file, "--state-dict", "a")["state_dict"] == "a"
    assert terminal.json("inspect", file, "--state-dict", "b")["state_dicts"][1]["selected"] is True


def test_align_against_another_file_needs_no_network(terminal: Terminal, wrapped: Path, tmp_path: Path) -> None:
    reference = write_checkpoint(tmp_path, small_resnet_state_dict(1), "reference.pth")
    answer = terminal.json("align", wrapped, "--reference", reference)
    assert answer["verdict"] == "complete" and answer["architecture"]["name"] == "reference reference.pth"
    out = tmp_path / "out.safetensors"
    assert terminal.json("convert", wrapped, out, "--reference", reference)["written"]["tensors"] == 68


def test_a_named_network_takes_the_class_count_of_the_file(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "digits.pth"
    file.write_bytes(example_bytes(EXAMPLE["fits"]))
    answer = terminal.json("align", file, "--arch", "resnet20_cifar_b")
    assert (answer["architecture"]["num_classes"], answer["architecture"]["in_channels"]) == (10, 1)
    other = terminal.json("align", file, "--arch", "resnet20_cifar_b", "--num-classes", 7, status=1)
    assert (other["verdict"], other["summary"]["shape_mismatch"]) == ("partial", 2)
    options = terminal.json("align", file, "--option", "eps=0.001")
    assert options["architecture"]["options"] == {"eps": 0.001}


def test_convert_writes_a_flat_state_dict_with_the_models_keys(
    terminal: Terminal, wrapped: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.safetensors"
    answer = terminal.json("convert", wrapped, out, "--dtype", "float16")
    assert answer["written"] == {"path": str(out), "tensors": 68, "size": out.stat().st_size}
    assert answer["verdict"] == "complete"
    weights = load_file(out)
    assert set(weights) == set(small_resnet_state_dict())
    assert weights["conv1.weight"].dtype == torch.float16
    assert terminal.run("convert", wrapped, tmp_path / "out.pth").status == 0


@pytest.mark.parametrize(
    ("form", "holds"),
    [
        ("code", "def converted(state_dict):"),
        ("rules", "\"strip prefix 'module.'\""),
        ("revise_keys", r"('^module\\.(?=.)', ''),"),
    ],
)
def test_export_writes_the_rules_in_three_forms(terminal: Terminal, wrapped: Path, form: str, holds: str) -> None:
    shown = terminal.run("export", wrapped, "--as", form)
    assert shown.status == 0
    assert holds in shown.out
    answer = terminal.json("export", wrapped, "--as", form)
    assert (answer["as"], answer["text"], answer["verdict"]) == (form, shown.out, "complete")


def test_predict_answers_with_its_evidence(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "digits.pth"
    file.write_bytes(example_bytes(EXAMPLE["renamed"]))
    pictures = example_images()[:8]
    answer = terminal.json("predict", file, *pictures, "--preprocess", "digits", "--labels", "digits", "--top", 2)
    assert {"device", "preprocess", "evidence", "predictions"} <= set(answer)
    assert (answer["device"], answer["verdict"], answer["preprocess"]["name"]) == ("cpu", "complete", "digits")
    assert answer["evidence"]["level"] == "answers" and answer["evidence"]["values"]["different"] == 0
    for picture, row in zip(pictures, answer["predictions"], strict=True):
        assert row["image"] == picture.name and len(row["top"]) == 2
        assert set(row["top"][0]) == {"index", "label", "probability"}
        assert row["top"][0]["index"] == facts()["predicted"][picture.name]
        assert row["top"][0]["label"] == EXAMPLE["renamed"].labels[row["top"][0]["index"]]


def test_predict_without_a_picture_checks_the_shape_and_says_what_that_does_not_prove(
    terminal: Terminal, wrapped: Path
) -> None:
    answer = terminal.json("predict", wrapped)
    assert answer["predictions"] == []
    assert (answer["random_check"]["input_shape"], answer["random_check"]["output_shape"]) == ([1, 3, 32, 32], [1, 5])


def test_predict_with_a_random_head_says_that_class_answers_mean_nothing(terminal: Terminal, headless: Path) -> None:
    answer = terminal.json("predict", headless, "--num-classes", 5, status=1)
    assert (answer["evidence"]["level"], answer["evidence"]["trusted"]) == ("features", False)
    assert answer["load"]["random"] == ["fc.weight", "fc.bias"]
    refused = terminal.run("predict", headless, "--strict")
    assert refused.status == 2 and "fc.weight" in refused.err


def test_one_picture_that_can_not_be_read_stops_no_other(terminal: Terminal, wrapped: Path, tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    Image.new("RGB", (40, 40), (200, 10, 10)).save(good)
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    ended = terminal.run("predict", wrapped, good, bad, "--json")
    assert ended.status == 1 and len(ended.err.splitlines()) == 1
    assert ["error" in row for row in ended.json["predictions"]] == [False, True]
    assert terminal.run("predict", wrapped, bad, "--json").status == 2


SIMPLIFIED = """
from tests.checkpoints import small_resnet

def shorter(num_classes=3):
    print("a class of one's own may print")
    net = small_resnet()
    net.layer3 = nn.Identity()
    net.fc = nn.Linear(16, num_classes)
    return net


class Custom(nn.Module):
    def __init__(self):
        super().__init__()
        net = small_resnet()
        self.stem, self.norm = net.conv1, net.bn1
        self.blocks = nn.ModuleList([net.layer1, net.layer2, net.layer3])
        self.classifier = net.fc

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        for stage in self.blocks:
            x = stage(x)
        return self.classifier(x.mean((2, 3)))
"""


def test_a_simplified_network_of_ones_own_takes_the_trunk(terminal: Terminal, wrapped: Path, tmp_path: Path) -> None:
    model = f"{write_class(tmp_path, SIMPLIFIED)}:shorter"
    ended = terminal.run("align", wrapped, "--model", model, "--json")
    answer = ended.json
    assert (ended.status, answer["verdict"]) == (1, "partial")
    assert "one's own may print" in ended.err
    assert "layer3" in answer["says"]
    assert {row["model"] for row in answer["keys"] if row["status"] != "matched" and row["model"]} == {
        "fc.weight",
        "fc.bias",
    }
    counted = terminal.run("align", wrapped, "--model", model, "--num-classes", 8, "--json").json
    assert counted["architecture"]["num_classes"] == 8


def test_a_custom_network_of_ones_own_is_filled_through_rules(
    terminal: Terminal, wrapped: Path, tmp_path: Path
) -> None:
    model = f"{write_class(tmp_path, SIMPLIFIED)}:Custom"
    rules = tmp_path / "rules.txt"
    rules.write_text(
        "strip prefix module.\n^conv1. -> stem.\n^bn1. -> norm.\n^layer{n}. -> blocks.{n-1}.\n^fc. -> classifier.\n"
    )
    answer = terminal.json("align", wrapped, "--model", model, "--rules", rules)
    assert answer["verdict"] == "complete"
    predicted = terminal.json("predict", wrapped, "--model", model, "--rules", rules)
    assert predicted["evidence"]["level"] == "answers"


def test_the_command_line_works_where_streamlit_can_not_be_imported(wrapped: Path) -> None:
    script = (
        "import sys\n"
        "class Blocker:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'streamlit', 'plotly'}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Blocker())\n"
        "from ckpt_explorer.cli import main\n"
        "codes = [main(['inspect', sys.argv[1]]), main(['predict', sys.argv[1]])]\n"
        "sys.exit(codes != [0, 0])\n"
    )
    ended = in_new_process("-c", script, str(wrapped))
    assert ended.returncode == 0, ended.stderr
    assert "custom" in ended.stdout


def test_the_module_can_be_run_and_its_exit_status_is_the_commands(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path, {"weight": torch.zeros(3), "ключ": torch.zeros(1)})
    ended = in_new_process(
        "-m",
        "ckpt_explorer",
        "inspect",
        str(file),
        cwd=ROOT,
        environment={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\\u043a" in ended.stdout
