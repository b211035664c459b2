"""A class of one's own, given by whoever starts the app, and the keys of another checkpoint."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ckpt_explorer.examples import EXAMPLES, example_bytes
from tests.browser.conftest import NewTab
from tests.browser.server import Server, running

SIMPLIFIED = '''
import torch.nn as nn
from ckpt_explorer.architectures.plain_resnet import Block
from ckpt_explorer.architectures.spec import NAMED_SPECS


class Simplified(nn.Module):
    """The stem and the first stage, with a head of three classes."""

    def __init__(self):
        super().__init__()
        spec = NAMED_SPECS["resnet20_cifar_b"]
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(spec, 0, 16, 1, 1, False) for _ in range(3)))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.layer1(self.bn1(self.conv1(x)).relu()).mean((2, 3)))


class CustomResNet(nn.Module):
    """The whole network under names of its own."""

    def __init__(self):
        super().__init__()
        spec = NAMED_SPECS["resnet20_cifar_b"]
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        width = 16
        for stage in range(3):
            blocks = []
            for index in range(3):
                stride = 2 if stage and not index else 1
                blocks.append(Block(spec, stage, width, stride, 1, stride == 2))
                width = 16 * 2**stage
            self.add_module(f"stage{stage}", nn.Sequential(*blocks))
        self.classifier = nn.Linear(64, 10)

    def forward(self, x):
        return self.classifier(self.stage2(self.stage1(self.stage0(self.stem(x)))).mean((2, 3)))
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_net.py").write_text(SIMPLIFIED)
    for example in EXAMPLES:
        (folder / example.file_name).write_bytes(example_bytes(example))
    return folder


@pytest.fixture(scope="module")
def own_server(folder: Path) -> Iterator[Server]:
    net = folder / "my_net.py"
    with running(
        ["--model", f"{net}:Simplified", "--model", f"{net}:CustomResNet", "--allow-folder", str(folder)]
    ) as server:
        yield server


def test_a_simplified_class_of_ones_own_is_loaded_partially(new_tab: NewTab, own_server: Server, folder: Path) -> None:
    tab = new_tab(url=own_server.url)
    tab.types("path", EXAMPLES[0].file_name)
    tab.says("say-good-facts", EXAMPLES[0].file_name)
    tab.aligns()
    tab.verdict_is("COMPLETE")
    tab.chooses("network", f"{folder}/my_net.py:Simplified")
    tab.verdict_is("PARTIAL")
    tab.says("verdict", "head.weight, head.bias would be random")
    tab.loads()
    tab.says("say-note-shape-check", "(1, 3) came out")
    tab.says("names-missing", "head.weight")
    tab.tries()
    tab.says("say-warning-trust-0", "class answers mean nothing")


def test_a_renamed_class_of_ones_own_is_filled_by_the_proposed_rules_and_by_rules_written_by_hand(
    new_tab: NewTab, own_server: Server, folder: Path
) -> None:
    tab = new_tab(url=own_server.url)
    tab.drops(folder / EXAMPLES[2].file_name)
    tab.says("say-good-facts", EXAMPLES[2].file_name)
    tab.aligns()
    tab.chooses("network", f"{folder}/my_net.py:CustomResNet")
    tab.says("verdict", "CustomResNet")
    tab.verdict_is("COMPLETE")
    for behind in reversed(range(1, tab.rule_count())):
        tab.deletes_rule(behind + 1)
        tab.rules(behind)
    tab.verdict_is("INCOMPATIBLE")
    rules = (
        "norm{n}. -> bn{n}.",
        "shortcut. -> downsample.",
        "^conv1. -> stem.0.",
        "^bn1. -> stem.1.",
        "layer{n}. -> stage{n-1}.",
    )
    for number, rule in enumerate(rules, 1):
        tab.writes_rule(rule, behind=number)
    tab.verdict_is("COMPLETE")
    tab.loads()
    tab.tries()
    tab.drops(_example_pictures()[:3], key="pictures")
    tab.sees("3 pictures")
    tab.answers(3)


def test_another_checkpoints_keys_can_be_the_target(new_tab: NewTab, own_server: Server, folder: Path) -> None:
    tab = new_tab(url=own_server.url)
    tab.drops(folder / EXAMPLES[2].file_name)
    tab.says("say-good-facts", EXAMPLES[2].file_name)
    tab.aligns()
    tab.chooses("network", "another checkpoint")
    tab.sees("Give the other checkpoint")
    tab.drops(folder / EXAMPLES[0].file_name, key="reference")
    tab.verdict_is("COMPLETE")
    tab.says("next", "Convert")
    tab.click("next")
    tab.says("say-note-reference", "no network")
    with tab.page.expect_download() as download:
        tab.click("download-safetensors")
    from ckpt_explorer import open_checkpoint

    ours, theirs = open_checkpoint(download.value.path()), open_checkpoint(folder / EXAMPLES[0].file_name)
    assert set(ours.state_dict) == set(theirs.state_dict)


def _example_pictures() -> list[Path]:
    from ckpt_explorer.examples import example_images

    return example_images()
