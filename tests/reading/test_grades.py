"""The names a file would import, graded, and what is said of them."""

from __future__ import annotations

import argparse
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from ckpt_explorer.errors import RefusedFile
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.reading.pickles.grades import can_do_harm, global_kind
from tests.reading.pickles import TENSORS, archive, beside_a_tensor, called, saved, text

HARMFUL = [
    "os.system", "posix.system", "nt.system", "subprocess.Popen", "builtins.eval", "builtins.exec", "builtins.getattr",
    "builtins.__import__", "__builtin__.apply", "importlib.import_module", "runpy._run_code", "pickle.loads", "ctypes.CDLL",
    "torch.utils.collect_env.run", "torch.jit.unsupported_tensor_ops.execWrapper", "torch.hub.load", "torch.load",
    "numpy.f2py.crackfortran.getlincoef", "pip.main", "webbrowser.open", "operator.attrgetter", "copyreg.add_extension",
    "shutil.rmtree", "socket.socket", "types.FunctionType", "types.CodeType", "io.open", "pdb.run", "cProfile.run",
    "yaml.unsafe_load", "jsonpickle.decode", "aiohttp.ClientSession", "dill.loads",
]  # fmt: skip
UNKNOWN = ["mmengine.config.Config", "models.resnet.ResNet", "__main__.RecorderMeter", "torch.nn.modules.conv.Conv2d",
           "torchvision.models.resnet.ResNet", "logging.Logger", "functools.partial", "enum.Enum", "re._compile"]  # fmt: skip
DATA = ["collections.OrderedDict", "argparse.Namespace", "numpy.dtype", "numpy._core.multiarray.scalar", "builtins.set",
        "pathlib.PosixPath", "datetime.datetime", "torch.device", "numpy.float64", "builtins.Ellipsis"]  # fmt: skip
TENSOR = ["torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter", "torch.FloatStorage", "torch.storage.UntypedStorage",
          "torch.float8_e5m2", "torch.Size", "torch.nn.parameter.Parameter", "torch._tensor._rebuild_from_type_v2"]  # fmt: skip


@pytest.mark.parametrize("name", HARMFUL)
def test_a_function_that_can_act_is_code_and_alarming(name: str) -> None:
    assert (global_kind(name), can_do_harm(name)) == ("code", True)


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_class_is_code_and_not_alarming(name: str) -> None:
    assert (global_kind(name), can_do_harm(name)) == ("code", False)


def test_plain_values_are_data_and_parts_of_tensors_are_tensors() -> None:
    assert {global_kind(name) for name in DATA} == {"data"}
    assert {global_kind(name) for name in TENSOR} == {"tensor"}


def ids(data: bytes) -> list[str]:
    return [diagnosis.id for diagnosis in open_checkpoint(data, "model.pth").diagnoses]


def test_a_call_to_the_shell_is_named_and_the_weights_beside_it_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    opened = open_checkpoint(beside_a_tensor(called("os.system", text("touch marker"))), "model.pth")
    assert list(opened.state_dict) == ["weight"]
    assert [diagnosis.id for diagnosis in opened.diagnoses] == ["P5"]
    assert "model.pth asks to call os.system" in opened.diagnoses[0].says
    assert "was not run" in opened.diagnoses[0].says
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_holds_only_the_call_is_refused_with_its_name() -> None:
    with pytest.raises(RefusedFile, match=r"asks to call os\.system") as refused:
        open_checkpoint(archive(b"\x80\x02" + called("os.system", text("true")) + b"."), "model.pth")
    assert refused.value.diagnosis.id == "P5"


def test_a_pickle_that_breaks_behind_the_call_is_refused_with_its_name() -> None:
    with pytest.raises(RefusedFile, match=r"os\.system"):
        open_checkpoint(archive(b"\x80\x02" + called("os.system", text("true")) + b"\xff."), "model.pth")


def test_an_unknown_class_is_said_to_be_left_out() -> None:
    assert ids(beside_a_tensor(called("mmengine.config.Config", text("x")))) == ["P8"]


def test_an_object_of_the_training_script_is_said_to_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    script = types.ModuleType("__main__")
    script.RecorderMeter = type("RecorderMeter", (), {"__module__": "__main__"})  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "__main__", script)
        data = saved({"state_dict": TENSORS, "recorder": script.RecorderMeter()})
    assert ids(data) == ["P4"]


def test_settings_and_numpy_numbers_beside_the_weights_are_harmless() -> None:
    assert ids(saved({"args": argparse.Namespace(lr=1), "state_dict": TENSORS})) == ["P2"]
    assert ids(saved({"best": np.float64(0.5), "state_dict": TENSORS})) == ["P1"]


def test_nothing_is_said_of_a_plain_state_dict() -> None:
    assert ids(saved(TENSORS)) == []
    assert ids(saved({"state_dict": torch.nn.BatchNorm2d(3).state_dict(), "epoch": 4})) == []
