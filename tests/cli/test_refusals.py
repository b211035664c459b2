"""What is refused is refused in exactly one line on standard error, and as JSON where JSON was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.checkpoints import add_prefix, small_resnet_state_dict, write_checkpoint, write_class
from tests.cli.commands import Terminal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><html>not found</html>")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "rules.json").write_text('["rename a{ -> b"]')
    (tmp_path / "collide.json").write_text('["regex ^fc\\\\..* -> x"]')
    (tmp_path / "names.txt").write_text("one\ntwo\n")
    write_class(tmp_path, "def broken():\n    raise ValueError('two\\nlines \\x1b[31m')\n")
    return write_checkpoint(tmp_path, small_resnet_state_dict())


REFUSED = [
    ("inspect {folder}/absent.pth", "absent.pth"),
    ("inspect {folder} --member absent.pth", "holds no absent.pth"),
    ("inspect {folder}/page.pth", "page.pth"),
    ("inspect {folder}/empty.pth", "empty.pth"),
    ("inspect {file} --state-dict nowhere", "nowhere"),
    ("align {file} --arch resnet19", "resnet19"),
    ("align {file} --arch resnet18 --option frob", "NAME=VALUE"),
    ("align {file} --arch resnet18 --option width=3", "choose custom"),
    ("align {file} --model nowhere.py:Net", "nowhere.py"),
    ("align {file} --model {folder}/my_net.py:broken", "ValueError: two"),
    ("align {file} --model {folder}/my_net.py:broken --option eps=1", "--option does not go with --model"),
    ("align {file} --reference {folder}/page.pth", "page.pth"),
    ("align {file} --reference {file} --option eps=1", "--option does not go with --reference"),
    ("align {file} --rules {folder}/absent.json", "absent.json"),
    ("align {file} --rules {folder}/rules.json", "Rule 1"),
    ("align {file} --rules {folder}/collide.json", "fc.bias"),
    ("align {file} --rules {file} --no-suggest", "not allowed with"),
    ("align {file} --arch resnet18 --reference {file}", "not allowed with"),
    ("align {file} --num-classes x", "--num-classes"),
    ("align {file} --num-classes -3", "Classes"),
    ("convert {file}", "OUT"),
    ("convert {file} {folder}/out.bin", ".safetensors"),
    ("convert {file} {file}", "being read"),
    ("convert {file} {folder}/no/where/out.pth", "can't be written"),
    ("convert {file} {folder}/out.pth --dtype int3", "int3"),
    ("predict {file} {folder}/absent.png", "absent.png"),
    ("predict {file} {folder}/page.pth", "page.pth"),
    ("predict {file} --device tpu", "tpu"),
    ("predict {file} --dtype int8", "int8"),
    ("predict {file} {file} --labels {folder}/names.txt", "names.txt"),
    ("predict {file} --labels {folder}/absent.txt", "absent.txt"),
    ("predict {file} --preprocess nothing", "nothing"),
    ("predict {file} --size 0", ""),
    ("predict {file} --size -1 {folder}/names.txt", ""),
    ("predict {file} --size 99999999", ""),
    ("predict {file} --mean a,b", ""),
    ("predict {file} --std 0,0,0", ""),
    ("predict {file} {file} --top 0", "0 classes"),
    ("predict {file} {file} --batch-size 0", "batch"),
    ("predict {file} --reference {file}", "no network"),
    ("", "required"),
    ("frobnicate", "frobnicate"),
    ("inspect", "FILE"),
    ("inspect {file} --frob", "--frob"),
    ("inspect {file} two\nlines\x1b[31m", "two"),
]


@pytest.mark.parametrize(("words", "says"), REFUSED, ids=[words or "nothing" for words, _ in REFUSED])
def test_a_refusal_is_exactly_one_line_and_json_says_the_same(
    terminal: Terminal, file: Path, words: str, says: str
) -> None:
    given = [word.format(file=file, folder=file.parent) for word in words.split(" ") if word]
    ended = terminal.run(*given)
    assert ended.status == 2
    assert len(ended.err.splitlines()) == 1 and ended.out == ""
    assert says in ended.err and "Traceback" not in ended.err and "\x1b" not in ended.err
    with_json = terminal.run(*given, "--json")
    answer = with_json.json
    assert with_json.status == 2 and with_json.err == ended.err
    assert set(answer) == {"file", "refused", "diagnoses"}
    assert answer["refused"].strip() and "\n" not in answer["refused"]
    assert all(set(row) == {"id", "says", "next"} for row in answer["diagnoses"])


def test_a_file_that_was_recognised_has_its_diagnosis(terminal: Terminal, file: Path) -> None:
    answer = terminal.run("inspect", file.parent / "page.pth", "--json").json
    assert len(answer["diagnoses"]) == 1 and answer["file"].endswith("page.pth")


EVIL = "layer1\x1b[2J\x1b]0;owned\x07\u202e\r\n\x9b31m.weight"


def test_control_characters_in_names_never_reach_the_terminal(terminal: Terminal, tmp_path: Path) -> None:
    weights = {**small_resnet_state_dict(), EVIL: torch.zeros(2), "x\x1b[31m": torch.zeros(1)}
    content = {"state\x1b[31m": add_prefix("mod\x1bule.", weights), "note\x1b": "text\x1b[31m\nline", "\x1b": 3}
    file = write_checkpoint(tmp_path, content, "na\x1bme.pth")
    rules = tmp_path / "rules.json"
    rules.write_text('[{"kind": "strip prefix", "find": "mod\\u001bule."}, {"kind": "drop", "find": "\\u001b"}]')
    commands = [
        ("inspect", file),
        ("align", file),
        ("align", file, "--rules", rules),
        ("align", file, "--arch", "resnet18"),
        ("align", file, "--arch", "\x1b[31m"),
        ("align", file, "--state-dict", "\x1b[31m"),
        ("align", file, "--model", "\x1b[31m.py:Net"),
        ("convert", file, tmp_path / "\x1b[31m.bin"),
        ("convert", file, tmp_path / "\x1b[31m.pth"),
        ("predict", file, tmp_path / "\x1b.png"),
        ("inspect", tmp_path / "\x1b[31m"),
        ("\x1b[31m",),
    ]
    for command in commands:
        for flags in ([], ["--json"]):
            ended = terminal.run(*command, *flags)
            for character in "\x1b\x07\x9b\u202e\r":
                assert character not in ended.out + ended.err, command
            if flags:
                assert ended.json
