"""A class of the user's own, from a file or a package; and the key tree of another checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from ckpt_explorer.architectures import own_class, reference_tree
from ckpt_explorer.errors import ArchitectureError
from ckpt_explorer.reading import open_checkpoint
from tests.checkpoints import small_resnet_state_dict, write_checkpoint, write_class

TINY = """
class Tiny(nn.Module):
    def __init__(self, num_classes=4, width=8):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.head(self.bn1(self.conv1(x)).mean((2, 3)))


def make():
    return Tiny(9)


class Deep:
    class Inner(Tiny):
        pass


NOT_A_MODULE = dict
NUMBER = 3


def keywords(**given):
    return Tiny(**given)


def fails():
    raise ValueError("no such\\nthing \\x1b[31m")


def leaves():
    raise SystemExit(3)


def nothing():
    return nn.Identity()


class NeedsValues(Tiny):
    def __init__(self):
        super().__init__()
        self.steps = int(torch.linspace(0, 1, 4).sum().item())


class Sized(Tiny):
    input_size = (3, 96, 96)
"""


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    return str(write_class(tmp_path, TINY))


def test_a_class_in_a_file_is_lined_up_by_its_own_keys(tiny: str) -> None:
    target = own_class(f"{tiny}:Tiny")
    assert next(iter(target.tree)) == "conv1.weight" and target.kind == "class"
    assert target.head == ("head.weight", "head.bias")
    assert (target.num_classes, target.in_channels, target.input_size) == (4, 1, 32)
    assert target.builder()()(torch.zeros(2, 1, 8, 8)).shape == (2, 4)


def test_a_function_a_nested_class_and_keywords_are_called_too(tiny: str) -> None:
    assert own_class(f"{tiny}:make").num_classes == 9
    assert own_class(f"{tiny}:Deep.Inner").num_classes == 4
    assert own_class(f"{tiny}:keywords", num_classes=6).num_classes == 6


def test_the_class_count_is_given_to_a_class_that_takes_it(tiny: str) -> None:
    target = own_class(f"{tiny}:Tiny", num_classes=11)
    assert target.tree["head.weight"].shape == (11, 8)
    assert target.options == {"num_classes": 11}


def test_a_class_that_does_not_take_the_class_count_says_so(tiny: str) -> None:
    with pytest.raises(ArchitectureError, match="takes no num_classes"):
        own_class(f"{tiny}:make", num_classes=11)
    with pytest.raises(ArchitectureError, match="takes no in_channels"):
        own_class(f"{tiny}:Tiny", in_channels=3)


def test_a_class_that_needs_values_is_built_on_the_cpu_instead_of_the_meta_device(tiny: str) -> None:
    target = own_class(f"{tiny}:NeedsValues")
    assert "conv1.weight" in target.tree


def test_a_class_can_say_its_input_size(tiny: str) -> None:
    assert own_class(f"{tiny}:Sized").input_size == 96


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    write_class(tmp_path, TINY, "parts_of_mine.py")
    file = tmp_path / "net.py"
    file.write_text("from parts_of_mine import Tiny\nNet = Tiny\n")
    assert own_class(f"{file}:Net").num_classes == 4
    assert str(tmp_path) not in sys.path


def test_two_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = write_class(tmp_path / "a", TINY)
    second = write_class(tmp_path / "b", TINY.replace("num_classes=4", "num_classes=5"))
    assert [own_class(f"{file}:Tiny").num_classes for file in (first, second, first)] == [4, 5, 4]


def test_a_class_comes_from_an_installed_package_too() -> None:
    target = own_class("torchvision.models:resnet18", num_classes=3)
    assert target.tree["fc.weight"].shape == (3, 512)
    assert target.input_size == 224


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("Tiny", "names no class"),
        (":Tiny", "names no class"),
        ("{file}:", "names no class"),
        ("{file}", "names no class"),
        ("nowhere/net.py:Net", "no file nowhere/net.py"),
        ("{file}:Absent", "no 'Absent': it has Tiny"),
        ("{file}:Tiny.absent", "no 'Tiny.absent'"),
        ("{file}:NUMBER", "can't be called"),
        ("{file}:NOT_A_MODULE", "returns a dict"),
        ("{file}:fails", "ValueError: no such"),
        ("{file}:leaves", "SystemExit"),
        ("{file}:nothing", "nothing to load"),
        ("no_such_package_anywhere.models:Net", "can't be imported"),
        ("torchvision.models:NoNet", "no 'NoNet'"),
        ("..:Net", "can't be imported"),
    ],
)
def test_a_class_that_can_not_be_had_is_told_in_one_sentence(tiny: str, reference: str, says: str) -> None:
    with pytest.raises(ArchitectureError, match=says) as refused:
        own_class(reference.format(file=tiny))
    assert "\n" not in str(refused.value) and "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("class Net(nn.Module:\n    pass\n", "SyntaxError, line 4"),
        ("import no_such_package_anywhere\n", "ModuleNotFoundError"),
        ("raise SystemExit('bye')\n", "SystemExit"),
        ("1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_a_file_that_can_not_be_imported_is_told_in_one_sentence(tmp_path: Path, source: str, says: str) -> None:
    before = set(sys.modules)
    with pytest.raises(ArchitectureError, match=says) as refused:
        own_class(f"{write_class(tmp_path, source)}:Net")
    assert "\n" not in str(refused.value)
    assert not [name for name in set(sys.modules) - before if name.startswith("own_network_")]


def test_another_checkpoint_can_be_the_target_without_a_network(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path, small_resnet_state_dict(), "reference.pth")
    checkpoint = open_checkpoint(file)
    target = reference_tree(checkpoint.state_dict, checkpoint.name)
    assert target.tree.keys() == small_resnet_state_dict().keys()
    assert target.head == ("fc.weight", "fc.bias")
    assert not target.tree["bn1.running_mean"].is_parameter and target.tree["bn1.weight"].is_parameter
    with pytest.raises(ArchitectureError, match="no network"):
        target.builder()
