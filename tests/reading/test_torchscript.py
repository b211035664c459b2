"""TorchScript archives: keys, order and bits are those of torch.jit.load's state dict, and nothing of the code runs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from ckpt_explorer.checkpoint import StateDict
from ckpt_explorer.errors import CheckpointExplorerError, CorruptCheckpoint
from ckpt_explorer.reading.formats.torchscript import read_torchscript
from ckpt_explorer.reading.formats.torchscript_code import classes_in
from ckpt_explorer.reading.pickles.claims import tensor_infos
from ckpt_explorer.reading.pickles.described import Call
from ckpt_explorer.reading.pickles.pickled import PickledFile
from ckpt_explorer.reading.pickles.torch_objects import TENSOR_CLAIMS
from ckpt_explorer.reading.sources.source import source_of
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory
from tests.reading.pickles import called, text
from tests.reading.torchscript_networks import Head, Net, Shared

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning", "ignore:Lite Interpreter")


def scripted(module: nn.Module) -> Any:
    return torch.jit.script(module)


def traced(module: nn.Module) -> Any:
    return torch.jit.trace(module, torch.ones(1, 2))  # type: ignore[no-untyped-call]


def frozen(module: nn.Module) -> Any:
    return torch.jit.freeze(torch.jit.script(module.eval()))


def saved(module: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.jit.save(module, file, **options)
    return file.getvalue()


def rezipped(data: bytes, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> bytes:
    """The archive written again; `change` gives each record another name and content, or none to leave it out."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            if (changed := change(name, old.read(name))) is not None:
                new.writestr(*changed)
    return file.getvalue()


def opened(data: bytes) -> PickledFile:
    source = source_of(data, "net.pt")
    records = ZipDirectory(source)
    (top,) = {name.removesuffix("data.pkl") for name in records.records if name.endswith("/data.pkl")}
    return read_torchscript(source, records, top)


def state_dict(file: PickledFile, node: Any = None) -> StateDict:
    claims = {key: value for key, value in (node or file.root).items() if type(value) in TENSOR_CLAIMS}
    return StateDict("", tensor_infos(source_of(b"", "net.pt"), file.find_storages, claims))


def attributes(file: PickledFile) -> dict[str, Any]:
    beside = file.root["(attributes)"]
    assert isinstance(beside, Call)
    assert isinstance(beside.state, dict)
    return beside.state


def is_as_torch_loads_it(data: bytes) -> None:
    loaded: Any = torch.jit.load(io.BytesIO(data))  # type: ignore[no-untyped-call]
    expected = loaded.state_dict()
    found = state_dict(opened(data))
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        assert torch.equal(found.tensor(key), tensor)
        assert (found[key].shape, found[key].stride) == (tensor.shape, tensor.stride())


@pytest.mark.parametrize("make", [scripted, traced, frozen])
@pytest.mark.parametrize("module", [Net, Head])
def test_keys_order_and_bits_are_those_of_the_loaded_module(module: type[nn.Module], make: Callable[..., Any]) -> None:
    is_as_torch_loads_it(saved(make(module())))


def test_modules_and_weights_that_are_shared_appear_under_each_name() -> None:
    data = saved(scripted(Shared()))
    is_as_torch_loads_it(data)
    assert list(state_dict(opened(data))) == [
        "weight",
        "first.linear.weight",
        "first.linear.bias",
        "second.linear.weight",
        "second.linear.bias",
    ]


def test_a_real_network_is_read_whole() -> None:
    from torchvision.models import resnet18

    data = saved(scripted(resnet18()))
    is_as_torch_loads_it(data)
    assert list(state_dict(opened(data))) == list(resnet18().state_dict())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int64, torch.bool, torch.complex64])
def test_every_kind_of_number_is_read(dtype: torch.dtype) -> None:
    module = Head()
    module.register_buffer("other", torch.ones(3).to(dtype))
    is_as_torch_loads_it(saved(scripted(module)))


def test_a_mobile_archive_is_read() -> None:
    data = scripted(Net())._save_to_buffer_for_lite_interpreter()
    is_as_torch_loads_it(data)
    assert "mobile" in opened(data).written_by


def test_attributes_and_constants_stay_visible() -> None:
    found = attributes(opened(saved(scripted(Net()))))
    assert found["title"] == "a network"
    assert found["sizes"] == [1, 2]
    assert found["rates"] == {"a": 1.5}
    assert found["body.0.stride"] == "(2, 2)"
    assert found["training"] is True
    assert type(found["plain"]) in TENSOR_CLAIMS
    assert "body.0.training" not in found


def test_the_weights_of_a_frozen_module_are_its_constants() -> None:
    file = opened(saved(frozen(Head())))
    assert not state_dict(file)
    assert [info.shape for info in state_dict(file, file.root["constants"]).values()] == [(3, 2), (3,)]


def test_extra_files_are_shown() -> None:
    data = saved(scripted(Head()), _extra_files={"config.json": '{"classes": 3}', "large.bin": "x" * 5000})
    assert attributes(opened(data))["extra/config.json"] == '{"classes": 3}'
    assert attributes(opened(data))["extra/large.bin"] == "4.9 KiB, not read"


def test_it_is_said_that_the_code_was_not_read() -> None:
    (said,) = opened(saved(scripted(Head()))).diagnoses
    assert said.id == "F11"
    assert str(said).startswith("net.pt is a TorchScript archive: its weights were read, and the code in it was not")


def test_the_classes_are_named() -> None:
    names = opened(saved(scripted(Net()))).globals
    assert any(name.startswith("__torch__.") and name.endswith("Net") for name in names)


def test_without_its_code_every_tensor_is_listed() -> None:
    data = saved(scripted(Net()))
    without = rezipped(data, lambda name, content: None if "/code/" in name else (name, content))
    found = state_dict(opened(without))
    assert set(state_dict(opened(data))) < set(found)
    assert {"plain", "maybe"} <= set(found)


def test_storages_in_the_folder_of_old_writers_are_found() -> None:
    data = saved(scripted(Net()))
    old = rezipped(data, lambda name, content: (name.replace("/data/", "/tensors/"), content))
    expected, found = state_dict(opened(data)), state_dict(opened(old))
    assert all(torch.equal(found.tensor(key), expected.tensor(key)) for key in expected)


@pytest.mark.parametrize("name", ["constants.pkl", "bytecode.pkl", "anything.pkl"])
def test_a_call_of_the_shell_in_any_of_its_pickles_is_named(name: str) -> None:
    hostile = b"\x80\x02" + called("os.system", text("touch /tmp/pwned")) + b"."
    made = io.BytesIO(
        rezipped(saved(scripted(Head())), lambda at, content: None if at.endswith(name) else (at, content))
    )
    with zipfile.ZipFile(made, "a") as more:
        more.writestr(f"archive/{name}", hostile)
    assert "os.system" in opened(made.getvalue()).globals


def test_constants_that_are_no_pickle_are_damage() -> None:
    def broken(name: str, content: bytes) -> tuple[str, bytes]:
        return name, b"no pickle" if name.endswith("constants.pkl") else content

    with pytest.raises(CorruptCheckpoint, match=r"constants\.pkl"):
        opened(rezipped(saved(scripted(Head())), broken))


def test_a_root_that_is_no_module_is_refused() -> None:
    def broken(name: str, content: bytes) -> tuple[str, bytes]:
        return name, b"\x80\x02K\x01." if name.endswith("data.pkl") else content

    with pytest.raises(CorruptCheckpoint, match="holds no module"):
        opened(rezipped(saved(scripted(Head())), broken))


def nested(depth: int, twice: bool) -> bytes:
    """Modules in modules, each under two names if `twice`; the outermost has all that the inner ones have, doubled."""
    pickle = b"\x80\x02c__torch__\nNet\n)\x81}b"
    for level in range(depth):
        put = b"r" + level.to_bytes(4, "little")
        get = b"j" + level.to_bytes(4, "little")
        names = text("a") + get + (text("b") + get if twice else b"")
        pickle += put + b"0c__torch__\nNet\n)\x81}(" + names + b"ub"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("archive/data.pkl", pickle + b".")
        made.writestr("archive/constants.pkl", b"\x80\x02).")
    return file.getvalue()


def test_modules_that_multiply_come_to_an_end() -> None:
    with pytest.raises(CorruptCheckpoint, match="nests"):
        opened(nested(60, twice=True))
    with pytest.raises(CorruptCheckpoint, match="nests"):
        opened(nested(2000, twice=False))
    assert opened(nested(50, twice=False))


def test_a_module_that_holds_itself_is_read_once() -> None:
    pickle = b"\x80\x02c__torch__\nNet\n)\x81q\x00}" + text("self") + b"h\x00sb."
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("archive/data.pkl", pickle)
    assert opened(file.getvalue()).root == {}


def test_declarations_are_read_from_the_text_of_a_class_alone() -> None:
    classes = classes_in(
        "class Net(Module):\n"
        '  __parameters__ = ["weight", "0", ]\n'
        '  __buffers__ = ["mean", ]\n'
        "  weight : Tensor\n"
        '  __annotations__["0"] = Tensor\n'
        "  mean : Optional[Tensor]\n"
        "  stride : Final[int] = 2\n"
        "  def forward(self: __torch__.Net,\n"
        "    x: Tensor) -> Tensor:\n"
        '    __parameters__ = ["never", ]\n'
        "class Pair(NamedTuple):\n"
        "  a : Tensor\n"
    )
    assert classes["Net"].parameters == {"weight", "0"}
    assert classes["Net"].buffers == {"mean"}
    assert classes["Net"].types == {"weight": "Tensor", "0": "Tensor", "mean": "Optional[Tensor]"}
    assert classes["Net"].constants == {"stride": "2"}
    assert not classes["Pair"].is_module


def test_a_file_that_breaks_off_or_is_damaged_opens_or_is_refused() -> None:
    data = saved(scripted(Head()))
    cases = [data[:size] for size in range(0, len(data), 50)]
    for wanted in ("data.pkl", "constants.pkl", "Head.py", "__torch__.py"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = next((name for name in archive.namelist() if name.endswith(wanted)), None)
            size = archive.getinfo(found).file_size if found else 0
        for at in range(size):

            def flipped(name: str, content: bytes, found: str | None = found, at: int = at) -> tuple[str, bytes]:
                return name, content[:at] + bytes([content[at] ^ 0x11]) + content[
                    at + 1 :
                ] if name == found else content

            cases.append(rezipped(data, flipped))
    for case in cases:
        try:
            file = opened(case)
            found_tensors = state_dict(file)
            for key in found_tensors:
                found_tensors.tensor(key)
        except ValueError:
            assert b"/data.pkl" not in case  # nothing in it names its top
        except CheckpointExplorerError as error:
            assert "\n" not in str(error)
