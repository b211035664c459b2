"""How the common frameworks name a ResNet, each as a function from torchvision's key to theirs.

They are representatives of kinds of naming: nested and flat, numbers and letters, norms inside of convs and beside
them, axes in another order. The file that is made of one has the keys in a shuffled order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ckpt_explorer.architectures.architecture import ModelTensor

Namer = Callable[[str, Mapping[str, ModelTensor]], str]
_KEY = re.compile(r"(?:layer(?P<s>\d+)\.(?P<b>\d+)\.)?(?P<layer>conv|bn|downsample|fc)\.?(?P<n>\d)?\.(?P<leaf>.+)$")
_TF = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
_CAFFE2 = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}
_FLAX = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}


class Part:
    """A torchvision key in parts: stage and block from 0 (None outside of blocks), conv number, norm or not, leaf."""

    def __init__(self, key: str) -> None:
        found = _KEY.match(key)
        assert found, key
        self.stage = int(found["s"]) - 1 if found["s"] else None
        self.block = int(found["b"]) if found["b"] else 0
        layer, number = found["layer"], found["n"]
        self.short = layer == "downsample"
        self.norm = layer == "bn" or (self.short and number == "1")
        self.at = 0 if self.short or layer == "fc" else int(number or 1)
        self.head = layer == "fc"
        self.leaf = found["leaf"]


def letters(number: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[number]


def caffe2(key: str, _tree: Mapping[str, ModelTensor]) -> str:
    """`res2_0_branch2a_bn_s`: flat names with underscores."""
    part = Part(key)
    leaf = (_CAFFE2 if part.norm else {"weight": "w", "bias": "b"})[part.leaf]
    if part.head:
        return f"pred_{leaf}"
    if part.stage is None:
        return f"res_conv1_bn_{leaf}" if part.norm else f"conv1_{leaf}"
    branch = "branch1" if part.short else f"branch2{letters(part.at - 1)}"
    return f"res{part.stage + 2}_{part.block}_{branch}{'_bn' if part.norm else ''}_{leaf}"


def caffe(key: str, tree: Mapping[str, ModelTensor]) -> str:
    """`res4b3_branch2a`, with the norm's parts under `bn` and `scale`; blocks by letters, or by numbers in long stages."""
    part = Part(key)
    if part.head:
        return f"fc1000.{part.leaf}"
    statistics = part.leaf.startswith("running")
    front = ("bn" if statistics else "scale") if part.norm else "res"
    if part.stage is None:
        return f"{front}_conv1.{part.leaf}" if part.norm else f"conv1.{part.leaf}"
    block = _caffe_block(part, tree)
    branch = "branch1" if part.short else f"branch2{letters(part.at - 1)}"
    return f"{front}{part.stage + 2}{block}_{branch}.{part.leaf}"


def _caffe_block(part: Part, tree: Mapping[str, ModelTensor]) -> str:
    """The block by letter, or by number in a long stage: a, b1, b2, ..."""
    many = f"layer{(part.stage or 0) + 1}.6.conv1.weight" in tree
    return letters(part.block) if not many else "a" if part.block == 0 else f"b{part.block}"


def norm_in_conv(key: str, _tree: Mapping[str, ModelTensor]) -> str:
    """`backbone.res2.0.conv1.norm.weight`: the norm is a child of its conv."""
    part = Part(key)
    norm = ".norm" if part.norm else ""
    if part.head:
        return f"linear.{part.leaf}"
    if part.stage is None:
        return f"stem.conv1{norm}.{part.leaf}"
    layer = "shortcut" if part.short else f"conv{part.at}"
    return f"res{part.stage + 2}.{part.block}.{layer}{norm}.{part.leaf}"


def keras(key: str, _tree: Mapping[str, ModelTensor]) -> str:
    """`conv2_block1_1_conv/kernel:0`: everything counts from 1, the shortcut is number 0."""
    part = Part(key)
    leaf = _TF[part.leaf] if part.norm else {"weight": "kernel", "bias": "bias"}[part.leaf]
    kind = "bn" if part.norm else "conv"
    if part.head:
        return f"predictions/{leaf}:0"
    if part.stage is None:
        return f"conv1_{kind}/{leaf}:0"
    return f"conv{part.stage + 2}_block{part.block + 1}_{part.at}_{kind}/{leaf}:0"


def slim(key: str, _tree: Mapping[str, ModelTensor]) -> str:
    """`resnet_v1/block1/unit_1/bottleneck_v1/conv1/BatchNorm/gamma`."""
    part = Part(key)
    leaf = f"BatchNorm/{_TF[part.leaf]}" if part.norm else {"weight": "weights", "bias": "biases"}[part.leaf]
    if part.head:
        return f"resnet_v1/logits/{leaf}"
    if part.stage is None:
        return f"resnet_v1/conv1/{leaf}"
    layer = "shortcut" if part.short else f"conv{part.at}"
    return f"resnet_v1/block{part.stage + 1}/unit_{part.block + 1}/bottleneck_v1/{layer}/{leaf}"


def flax(key: str, tree: Mapping[str, ModelTensor]) -> str:
    """`params.BottleneckResNetBlock_7.Conv_0.kernel`: blocks count through all stages, statistics lie elsewhere."""
    part = Part(key)
    leaf = _FLAX[part.leaf] if part.norm else {"weight": "kernel", "bias": "bias"}[part.leaf]
    front = "batch_stats" if part.leaf.startswith("running") else "params"
    if part.head:
        return f"{front}.Dense_0.{leaf}"
    if part.stage is None:
        return f"{front}.{'bn_init' if part.norm else 'conv_init'}.{leaf}"
    before = len(
        {
            key.split(".conv1")[0]
            for key in tree
            if key[:5] == "layer" and int(key[5]) <= part.stage and ".conv1." in key
        }
    )
    layer = (
        ("norm_proj" if part.norm else "conv_proj")
        if part.short
        else f"{'BatchNorm' if part.norm else 'Conv'}_{part.at - 1}"
    )
    return f"{front}.BottleneckResNetBlock_{before + part.block}.{layer}.{leaf}"


def haiku(key: str, _tree: Mapping[str, ModelTensor]) -> str:
    """`res_net50/~/block_group_0/~/block_0/~/batchnorm_1.offset`."""
    part = Part(key)
    words = {"weight": "scale", "bias": "offset", "running_mean": "mean_ema.average", "running_var": "var_ema.average"}
    leaf = words[part.leaf] if part.norm else {"weight": "w", "bias": "b"}[part.leaf]
    if part.head:
        return f"res_net50/~/logits.{leaf}"
    if part.stage is None:
        return f"res_net50/~/initial_{'batchnorm' if part.norm else 'conv'}.{leaf}"
    kind = "batchnorm" if part.norm else "conv"
    layer = f"shortcut_{kind}" if part.short else f"{kind}_{part.at - 1}"
    return f"res_net50/~/block_group_{part.stage}/~/block_{part.block}/~/{layer}.{leaf}"


def paddle(key: str, tree: Mapping[str, ModelTensor]) -> str:
    """`res2a_branch2a_weights`, `bn2a_branch2a_variance`: conv and norm under names of their own."""
    part = Part(key)
    words = {"weight": "scale", "bias": "offset", "running_mean": "mean", "running_var": "variance"}
    leaf = words[part.leaf] if part.norm else {"weight": "weights", "bias": "offset"}[part.leaf]
    if part.head:
        return f"fc_0.{'w' if part.leaf == 'weight' else 'b'}"
    if part.stage is None:
        return f"bn_conv1_{leaf}" if part.norm else f"conv1_{leaf}"
    branch = "branch1" if part.short else f"branch2{letters(part.at - 1)}"
    return f"{'bn' if part.norm else 'res'}{part.stage + 2}{_caffe_block(part, tree)}_{branch}_{leaf}"


def conv_module(key: str, _tree: Mapping[str, ModelTensor]) -> str:
    """`features.stage1.unit1.body.conv1.bn.weight`: conv and norm in a module of their own, four levels deep."""
    part = Part(key)
    kind = "bn" if part.norm else "conv"
    if part.head:
        return f"output.{part.leaf}"
    if part.stage is None:
        return f"features.init_block.conv.{kind}.{part.leaf}"
    layer = "identity_conv" if part.short else f"body.conv{part.at}"
    return f"features.stage{part.stage + 1}.unit{part.block + 1}.{layer}.{kind}.{part.leaf}"


def sequential(key: str, _tree: Mapping[str, ModelTensor]) -> str:
    """`0.4.0.convs.0.1.weight`: a body and a head cut apart, everything by index."""
    part = Part(key)
    if part.head:
        return f"1.4.{part.leaf}"
    if part.stage is None:
        return f"0.{1 if part.norm else 0}.{part.leaf}"
    layer = f"idpath.0.{int(part.norm)}" if part.short else f"convpath.{part.at - 1}.{int(part.norm)}"
    return f"0.{part.stage + 4}.{part.block}.{layer}.{part.leaf}"


def lists(key: str, _tree: Mapping[str, ModelTensor]) -> str:
    """`stages.0.1.convs.2.weight`, `stages.0.1.norms.2.weight`: a list of convs and a list of norms."""
    part = Part(key)
    kind = "norms" if part.norm else "convs"
    if part.head:
        return f"head.{part.leaf}"
    if part.stage is None:
        return f"{kind[:-1]}.{part.leaf}"
    layer = f"skip_{kind[:-1]}" if part.short else f"{kind}.{part.at - 1}"
    return f"stages.{part.stage}.{part.block}.{layer}.{part.leaf}"


def ordinals(key: str, _tree: Mapping[str, ModelTensor]) -> str:
    """`layer_one.block_b.first_conv.weight`: numbers in words."""
    part = Part(key)
    words = ("first", "second", "third", "fourth")
    kind = "norm" if part.norm else "conv"
    if part.head:
        return f"score.{part.leaf}"
    if part.stage is None:
        return f"entry.{kind}.{part.leaf}"
    layer = f"side_{kind}" if part.short else f"{words[part.at - 1]}_{kind}"
    return f"{words[part.stage]}.block_{letters(part.block) if part.block < 26 else part.block}.{layer}.{part.leaf}"


def gluon(key: str, tree: Mapping[str, ModelTensor]) -> str:
    """`resnetv10_stage1_conv3_weight`: convs count through a stage, the shortcut behind the first block's."""
    part = Part(key)
    leaf = {**_TF, "running_mean": "running_mean", "running_var": "running_var"}[part.leaf] if part.norm else part.leaf
    kind = "batchnorm" if part.norm else "conv"
    if part.head:
        return f"resnetv10_dense0_{leaf}"
    if part.stage is None:
        return f"resnetv10_{kind}0_{leaf}"
    each = 3 if "layer1.0.conv3.weight" in tree else 2
    projects = f"layer{part.stage + 1}.0.downsample.0.weight" in tree
    at = each if part.short else part.block * each + part.at - 1 + (projects and part.block > 0)
    return f"resnetv10_stage{part.stage + 1}_{kind}{at}_{leaf}"


def counted(key: str, tree: Mapping[str, ModelTensor]) -> str:
    """`conv2d_17/kernel`, `batch_normalization_17/gamma`: one count for the whole network."""
    part = Part(key)
    if part.head:
        return f"dense/{'kernel' if part.leaf == 'weight' else 'bias'}"
    leaf = _TF[part.leaf] if part.norm else "kernel"
    conv = re.sub(r"bn(\d)", r"conv\1", key.rsplit(".", 1)[0]).replace("downsample.1", "downsample.0") + ".weight"
    at = [name for name, row in tree.items() if len(row.shape) == 4].index(conv)
    return f"{'batch_normalization' if part.norm else 'conv2d'}_{at + 1}/{leaf}"


DIALECTS: dict[str, Namer] = {
    "caffe2": caffe2,
    "caffe": caffe,
    "norm in conv": norm_in_conv,
    "keras": keras,
    "slim": slim,
    "flax": flax,
    "haiku": haiku,
    "paddle": paddle,
    "conv module": conv_module,
    "sequential": sequential,
    "lists": lists,
    "ordinals": ordinals,
    "gluon": gluon,
    "counted": counted,
}
TURNED = frozenset({"keras", "slim", "flax", "haiku", "counted"})
"""Those that keep a kernel's spatial axes in front, and a linear layer's inputs."""


def in_dialect(name: str, tree: Mapping[str, ModelTensor]) -> tuple[dict[str, ModelTensor], dict[str, str]]:
    """The entries of a file in a dialect, in the order of their names turned round, and the truth."""
    kept = {key: row for key, row in tree.items() if not key.endswith("num_batches_tracked")}
    truth = {DIALECTS[name](key, tree): key for key in kept}
    assert len(truth) == len(kept)
    entries = {}
    for theirs in sorted(truth, key=lambda text: text[::-1]):
        row = kept[truth[theirs]]
        shape = row.shape
        if name in TURNED:
            shape = (shape[2], shape[3], shape[1], shape[0]) if len(shape) == 4 else shape[::-1]
        entries[theirs] = ModelTensor(shape, row.dtype, row.is_parameter)
    return entries, truth
