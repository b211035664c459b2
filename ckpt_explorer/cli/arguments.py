"""The command line's arguments, as a table of commands and the options that they share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

from ckpt_explorer.errors import CheckpointExplorerError


class UsageError(CheckpointExplorerError):
    """The command line itself is wrong."""


class OneLineParser(argparse.ArgumentParser):
    """A parser that refuses in one sentence, instead of a usage block."""

    def error(self, message: str) -> NoReturn:
        """Refuse; `main` prints the sentence and exits with 2."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}: see {self.prog} --help.")


def parser(command: str | None = None) -> OneLineParser:
    """The parser of all commands; of `command` alone its options are built, since that takes a while for all."""
    top = OneLineParser(
        prog="python -m ckpt_explorer",
        description="Open a PyTorch checkpoint without running it, make it fit, and try it.",
    )
    commands = top.add_subparsers(
        dest="command", required=True, metavar=" | ".join(COMMANDS), parser_class=OneLineParser
    )
    for name, (says, build) in COMMANDS.items():
        row = commands.add_parser(name, help=says)
        if command in (None, name) or command not in COMMANDS:
            _common(row)
            build(row)
    return top


def _inspect(command: argparse.ArgumentParser) -> None:
    command.add_argument("--state-dict", metavar="PATH", help="list the tensors of the state dict at this dotted path")
    command.add_argument(
        "--verify", action="store_true", help="look at every byte: checksums, sha256, holes; exit 1 when one is wrong"
    )
    command.add_argument(
        "--outlook", action="store_true", help="what each state dict would make of each network that it could be"
    )


def _convert(command: argparse.ArgumentParser) -> None:
    command.add_argument("out", metavar="OUT", help="the file to write: .pth or .safetensors")
    _target(command)
    command.add_argument("--dtype", help="cast floating tensors: float32, float16, bfloat16 or float64")


def _predict(command: argparse.ArgumentParser) -> None:
    command.add_argument("images", nargs="*", metavar="IMAGE", help="pictures, folders of them, or zip archives")
    _target(command)
    _inference(command)
    command.add_argument(
        "--truth", metavar="folders|FILE", help="what the pictures are: their folders' names, or a CSV or JSON file"
    )
    command.add_argument(
        "--against", metavar="PATH", help="also ask another copy of the network in the file, such as state_dict_ema"
    )
    command.add_argument("--heatmap", metavar="DIR", help="write where the network looked, a PNG for each picture")
    command.add_argument("--stage", metavar="NAME", help="of which stage: stem, layer1, ...; the last by default")
    command.add_argument("--features", metavar="OUT", help="write the last layer's input: .npz or .safetensors")
    command.add_argument("--table", metavar="OUT.csv", help="write the answers as a table")
    command.add_argument("--precision", default="", help="compute in float16 or bfloat16, weights as loaded")
    command.add_argument("--channels-last", action="store_true", help="give pictures as (N, H, W, C) in memory")


def _verify(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "images", nargs="*", metavar="IMAGE", help="pictures of the kind it was trained on, folders, or zip archives"
    )
    _target(command)
    _inference(command)


def _export(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--as",
        dest="form",
        choices=("code", "rules", "revise_keys"),
        default="code",
        help="code: a PyTorch script of its own; rules: JSON; revise_keys: for the loaders of the OpenMMLab",
    )
    _target(command)


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="the checkpoint: a file, a folder, or an address")
    command.add_argument("--member", metavar="NAME", help="which file of an archive or a folder that holds several")
    command.add_argument("--salvage", action="store_true", help="open what is left of a file that was cut short")
    command.add_argument(
        "--fetch-all", action="store_true", help="fetch all of a remote file whose server sends no parts"
    )
    command.add_argument("--json", action="store_true", help="write JSON, and only JSON, to standard output")


def _target(command: argparse.ArgumentParser) -> None:
    target = command.add_mutually_exclusive_group()
    target.add_argument(
        "--arch", metavar="NAME", help="a network by name, such as resnet50, resnet20_cifar_a or custom"
    )
    target.add_argument(
        "--model", metavar="FILE.py:CALLABLE", help="your own class, also package.module:callable; its code runs"
    )
    target.add_argument("--reference", metavar="FILE", help="the key tree of another checkpoint")
    command.add_argument(
        "--num-classes", type=int, metavar="N", help="classes of the network; read from the file by default"
    )
    command.add_argument(
        "--in-channels", type=int, metavar="N", help="input channels of the network; read from the file by default"
    )
    command.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a field of the network, such as stride_in_1x1=yes",
    )
    command.add_argument("--state-dict", metavar="PATH", help="the state dict at this dotted path of the file")
    rules = command.add_mutually_exclusive_group()
    rules.add_argument("--rules", metavar="RULES.json", help="use these rules, a JSON list or one rule a line")
    rules.add_argument("--no-suggest", action="store_true", help="use no rules at all")
    command.add_argument(
        "--pair",
        action="append",
        default=[],
        metavar="KEY=MODEL_KEY",
        help="put this key of the file in this place of the network, and all keys like it, by further rules",
    )
    command.add_argument(
        "--decide",
        action="append",
        default=[],
        metavar="ABOUT=CHOICE",
        help="what to do with something that does not fit, as align lists it, such as 'classes=leave out'",
    )


def _inference(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--labels", metavar="FILE|SET", help="class names: a text or JSON file, or imagenet, cifar10, cifar100, digits"
    )
    command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 or mps")
    command.add_argument("--dtype", help="run the network in float32, float16, bfloat16 or float64")
    command.add_argument("--top", type=int, default=5, metavar="K", help="classes to show for each picture")
    command.add_argument("--batch-size", type=int, default=32, metavar="N")
    command.add_argument(
        "--strict", action="store_true", help="refuse anything missing, unexpected or of another shape"
    )
    command.add_argument(
        "--preprocess",
        metavar="NAME",
        help="imagenet, cifar10, inception, caffe, none, ..., or auto: the one that fits what the network was trained on",
    )
    command.add_argument(
        "--agreement",
        action="store_true",
        help="with --preprocess auto: how many answers stay the same with what can't be told apart from it",
    )
    command.add_argument("--size", type=int, metavar="N", help="side of the square input in pixels")
    command.add_argument("--resize", type=int, metavar="N", help="shorter side before the centre is cut, in pixels")
    command.add_argument("--mean", metavar="R,G,B", help="of values 0 to 1")
    command.add_argument("--std", metavar="R,G,B")
    command.add_argument("--bgr", action="store_true", default=None, help="blue first, as in Caffe")


COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "inspect": ("what the file is, what it holds, which networks it could be", _inspect),
    "align": ("line the keys up against a network", _target),
    "convert": ("write a flat state dict under the network's own keys", _convert),
    "export": ("the rules as a script, as JSON or as revise_keys, on standard output", _export),
    "verify": ("is it loaded right? the evidence, and what is doubted; exit 1 when anything is", _verify),
    "predict": ("classify pictures; without a picture, check the output's shape", _predict),
}
