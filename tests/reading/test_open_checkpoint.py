"""open_checkpoint: the same keys and tensors as torch.load and safetensors give, with nothing run, copied or imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.errors import CorruptCheckpoint
from ckpt_explorer.reading import open_checkpoint
from tests.reading.pickles import TENSORS, beside_a_tensor, called, ordered, saved, text

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "real"

DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64, torch.complex128, torch.float8_e4m3fn, torch.float8_e5m2,
]  # fmt: skip


def of_every_dtype() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 100, (3, 4, 5), generator=generator)
    return {str(dtype): values.to(dtype) for dtype in DTYPES}


def of_every_layout() -> dict[str, Tensor]:
    base = torch.arange(60.0)
    return {
        "whole": base,
        "view": base[10:30].view(4, 5),
        "transposed": base.view(6, 10).T,
        "every third": base[::3],
        "expanded": torch.tensor([1.5]).expand(7, 7),
        "scalar": torch.tensor(3.25),
        "empty": torch.empty(0),
        "empty in the middle": torch.empty(3, 0, 2),
        "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "tied": base,
    }


def bytes_of(value: Tensor) -> bytes:
    return bytes(value.detach().contiguous().flatten().view(torch.uint8).tolist()) if value.numel() else b""


def assert_same(checkpoint: Checkpoint, expected: dict[str, Tensor]) -> None:
    assert list(checkpoint.state_dict) == list(expected)
    for key, value in expected.items():
        info, given = checkpoint.state_dict[key], checkpoint.state_dict.tensor(key)
        assert (info.shape, info.dtype) == (tuple(value.shape), str(value.dtype).removeprefix("torch."))
        assert (given.shape, given.stride(), given.dtype) == (value.shape, value.stride(), value.dtype)
        assert bytes_of(given) == bytes_of(value)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("write", [of_every_dtype, of_every_layout])
def test_tensors_of_torch_save_are_those_of_torch_load_bit_for_bit(write: object, legacy: bool, tmp_path: Path) -> None:
    assert callable(write)
    file = tmp_path / "model.pth"
    tensors = write()
    if legacy:  # torch writes float8 in this format too, and can't read it back
        tensors = {key: value for key, value in tensors.items() if "float8" not in key}
    file.write_bytes(saved(tensors, legacy))
    expected = torch.load(file)
    assert_same(open_checkpoint(file), expected)
    assert_same(open_checkpoint(file.read_bytes(), "model.pth"), expected)


def test_tensors_of_safetensors_are_those_of_its_own_reader_bit_for_bit(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    tensors = {**of_every_dtype(), "empty": torch.empty(0, 3), "scalar": torch.tensor(2.5)}
    del tensors["torch.complex128"]  # not in the format
    safetensors.torch.save_file(tensors, file)
    opened = open_checkpoint(file)
    expected = safetensors.torch.load_file(file)
    assert_same(opened, {key: expected[key] for key in opened.state_dict})
    assert set(opened.state_dict) == set(expected)


def test_parameters_are_read_as_their_tensors() -> None:
    weight = nn.Parameter(torch.randn(3, 2))
    assert_same(open_checkpoint(saved({"weight": weight})), {"weight": weight.detach()})


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol_gives_the_same(protocol: int) -> None:
    assert_same(open_checkpoint(saved(TENSORS, pickle_protocol=protocol)), TENSORS)


def test_a_tensor_shares_memory_with_the_buffer_that_was_given() -> None:
    data = saved(TENSORS)
    start = torch.frombuffer(data, dtype=torch.uint8).data_ptr()
    for key in TENSORS:
        assert start <= open_checkpoint(data).state_dict.tensor(key).data_ptr() < start + len(data)


def test_a_big_endian_file_gives_the_same_numbers() -> None:
    values = {"a": torch.randn(5), "b": torch.tensor([1, 2**40]), "c": torch.randn(3, dtype=torch.complex64)}
    plain = saved(values)
    turned = plain
    for value in values.values():
        width = 4 if value.is_complex() else value.element_size()
        raw = bytes_of(value)
        swapped = b"".join(raw[at : at + width][::-1] for at in range(0, len(raw), width))
        assert turned.count(raw) == 1
        turned = turned.replace(raw, swapped)
    turned = turned.replace(b"little", b"big   ")
    with_checksums_off = _without_checksums(turned)
    assert_same(open_checkpoint(with_checksums_off), values)


def _without_checksums(data: bytes) -> bytes:
    """A CRC of 0 in the directory means that none was computed (torch's `compute_crc32=False`)."""
    raw, at = bytearray(data), data.find(b"PK\x01\x02")
    while at >= 0:
        raw[at + 16 : at + 20] = bytes(4)
        at = data.find(b"PK\x01\x02", at + 1)
    return bytes(raw)


def test_a_flipped_bit_is_found_when_the_tensor_is_asked_for_and_record_and_key_are_named() -> None:
    data = bytearray(saved(TENSORS))
    at = data.find(bytes_of(TENSORS["conv1.weight"]))
    data[at + 40] ^= 1
    opened = open_checkpoint(bytes(data), "model.pth")
    assert opened.state_dict.tensor("bn1.weight").shape == (4,)
    with pytest.raises(CorruptCheckpoint, match=r"record 'archive/data/0'.*'conv1\.weight'") as refused:
        opened.state_dict.tensor("conv1.weight")
    assert refused.value.diagnosis.id == "F6"


def test_a_module_that_the_file_names_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trap_for_the_reader.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w').close()")
    monkeypatch.syspath_prepend(tmp_path)
    opened = open_checkpoint(beside_a_tensor(called("trap_for_the_reader.Thing", text("x"))))
    assert [row.name for row in opened.globals if row.kind == "code"] == ["trap_for_the_reader.Thing"]
    assert "trap_for_the_reader" not in sys.modules
    assert not (tmp_path / "marker").exists()


def test_opening_a_file_imports_no_torch(tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    file.write_bytes(saved(ordered(TENSORS)))
    code = f"import sys; from ckpt_explorer.reading import open_checkpoint; open_checkpoint({str(file)!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_no_line_of_the_app_calls_a_loader_that_runs_what_a_file_says() -> None:
    forbidden = {"torch.load", "torch.jit.load", "pickle.load", "pickle.loads", "pickle.Unpickler", "torch.hub.load",
                 "joblib.load", "numpy.load", "np.load", "eval", "exec"}  # fmt: skip
    files = [*ROOT.glob("*.py"), *ROOT.glob("pages/*.py"), *(ROOT / "ckpt_explorer").rglob("*.py")]
    assert len(files) > 20
    calls = [
        (file.name, node.lineno, ast.unparse(node.func))
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in forbidden
    ]
    imports = [
        file.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if name.split(".")[0] in ("pickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal")
    ]
    assert calls == []
    assert imports == []


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files lie beside the checkout")
@pytest.mark.parametrize("name", ["resnet20-12fca82f.th", "resnet56-4bfd9763.th"])
def test_a_published_checkpoint_is_read_as_torch_load_reads_it(name: str) -> None:
    expected = torch.load(REAL / name, map_location="cpu", weights_only=True)["state_dict"]
    assert_same(open_checkpoint(REAL / name), expected)
