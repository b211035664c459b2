"""Everything in the file is shown: optimizers, settings, dates and paths, versions; and what each import would have done."""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import pathlib

import pytest
import torch
from torch import nn

from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.reading import open_checkpoint
from tests.reading.pickles import TENSORS, beside_a_tensor, called, saved, text


def entry(checkpoint: Checkpoint, path: str) -> tuple[str, str]:
    return next((row.kind, row.says) for row in checkpoint.entries if row.path == path)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (torch.optim.Adam, "Adam or AdamW"),
        (torch.optim.AdamW, "Adam or AdamW"),
        (lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), "SGD"),
        (torch.optim.RMSprop, "RMSprop"),
        (torch.optim.NAdam, "NAdam"),
        (torch.optim.Adagrad, "Adagrad"),
        (torch.optim.Adadelta, "Adadelta"),
        (torch.optim.ASGD, "ASGD"),
        (torch.optim.Rprop, "Rprop"),
    ],
)
def test_the_optimizer_is_told_by_its_settings(make: object, kind: str) -> None:
    net = nn.Linear(3, 4)
    optimizer = make(net.parameters())  # type: ignore[operator]
    net(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    opened = open_checkpoint(saved({"model": net.state_dict(), "optimizer": optimizer.state_dict()}))
    shown = entry(opened, "optimizer")
    assert shown[0] == "optimizer"
    assert shown[1].startswith(f"{kind}, 2 parameters")
    assert entry(opened, "optimizer.param_groups.0")[1].startswith("lr ")
    assert [row.path for row in opened.state_dicts] == ["model"]


def test_the_size_of_an_optimizer_is_that_of_what_it_keeps() -> None:
    net = nn.Linear(3, 4)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    opened = open_checkpoint(saved({"model": net.state_dict(), "optimizer": optimizer.state_dict()}))
    row = next(row for row in opened.entries if row.path == "optimizer")
    assert (row.tensors, row.size) == (6, 2 * 4 * 16 + 2 * 4)


def test_values_of_pythons_own_classes_are_shown_as_they_are_written() -> None:
    opened = open_checkpoint(
        saved(
            {
                "state_dict": TENSORS,
                "when": datetime.datetime(2024, 2, 29, 13, 5, 59),
                "day": datetime.date(1999, 12, 31),
                "path": pathlib.PurePosixPath("/data/run 1"),
                "names": {"b"},
                "score": decimal.Decimal("76.13"),
                "losses": collections.deque([1.5, 2.5]),
                "device": torch.device("cuda:1"),
                "args": argparse.Namespace(lr=0.1, arch="resnet50"),
            }
        )
    )
    shown = {row.path: row.says for row in opened.entries}
    assert shown["when"] == "2024-02-29 13:05:59"
    assert shown["day"] == "1999-12-31"
    assert shown["path"] == "/data/run 1"
    assert shown["names"] == "{'b'}"
    assert shown["score"] == "76.13"
    assert shown["losses"] == "deque([1.5, 2.5])"
    assert "cuda" in shown["device"]
    assert shown["args"] == "argparse.Namespace, not built: lr, arch"
    assert (shown["args.lr"], shown["args.arch"]) == ("0.1", "resnet50")


def test_the_trainers_version_is_told_where_it_stands_in_the_file() -> None:
    opened = open_checkpoint(saved({"state_dict": TENSORS, "pytorch-lightning_version": "2.1.0", "epoch": 3}))
    assert opened.written_by == "pytorch-lightning 2.1.0, torch.save of PyTorch 2.7 or later (zip)"


def test_keys_that_read_the_same_are_told_apart() -> None:
    opened = open_checkpoint(saved({1: torch.ones(1), "1": torch.ones(2), b"1": torch.ones(3)}))
    assert len(opened.state_dict) == 3


@pytest.mark.parametrize(
    ("dotted", "given", "says"),
    [
        ("os.system", "rm -rf /", "would have run a command: rm -rf /"),
        ("builtins.exec", "import os", "would have run Python code: import os"),
        ("builtins.__import__", "os", "would have imported a module, and so run its code: os"),
        ("webbrowser.open", "http://x", "would have opened a web browser: http://x"),
        ("shutil.rmtree", "/", "would have changed or deleted files: /"),
        ("socket.create_connection", "x", "would have talked to the network: x"),
        ("pickle.loads", "x", "would have loaded another pickle, with nobody looking at it: x"),
        ("ctypes.CDLL", "libc", "would have called machine code: libc"),
        ("lab.nets.Net", "x", "would have imported lab.nets and built its Net: that project's code would have run"),
        ("wave.open", "x", "would have called open of Python's own wave, which no weights need: x"),
    ],
)
def test_what_an_import_would_have_done_is_said_in_words(dotted: str, given: str, says: str) -> None:
    opened = open_checkpoint(beside_a_tensor(called(dotted, text(given))))
    assert next(row.says for row in opened.globals if row.name == dotted) == says


def test_what_a_file_gives_to_a_call_is_cut_and_made_visible() -> None:
    opened = open_checkpoint(beside_a_tensor(called("os.system", text("\x1b[31m" + "x" * 5000))))
    says = next(row.says for row in opened.globals if row.kind == "code")
    assert "\x1b" not in says
    assert len(says) < 300
