"""What torch.load and safetensors open, we open: equal keys, shapes, dtypes, strides and, tensor by tensor, equal bits.

Bits are compared as untyped bytes, so that two NaNs of different payload differ.
"""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from ckpt_explorer.reading import open_checkpoint
from tests.reading.equal_tensors import PLAIN, SAFETENSORS, assert_opens_as, assert_same, bits
from tests.reading.pickles import saved

pytestmark = pytest.mark.filterwarnings("ignore")

SAVED: dict[str, dict[str, Any]] = {
    "zip": {},
    "zip, protocol 3": {"pickle_protocol": 3},
    "zip, protocol 4": {"pickle_protocol": 4},
    "zip, protocol 5": {"pickle_protocol": 5},
    "legacy": {"legacy": True},
    "legacy, protocol 4": {"legacy": True, "pickle_protocol": 4},
    "legacy, protocol 5": {"legacy": True, "pickle_protocol": 5},
}
"""The ways in which torch.save writes."""


def assert_equal_to_torch(value: Mapping[str, Tensor], how: str) -> None:
    """torch.save writes it, and we open what torch.load opens."""
    data = saved(value, **SAVED[how])
    assert_opens_as(data, loaded(data, value))


def loaded(data: bytes, value: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """What torch.load makes of it: with weights_only, else without, else what was saved.

    With weights_only, torch reads no pickle protocol from 4 on and no nested tensor; of its own legacy format, nobody
    reads tensors whose storages have no type, and nested ones are put together before their sizes are read.
    """
    for weights_only in (True, False):
        try:
            found: Mapping[str, Tensor] = torch.load(io.BytesIO(data), weights_only=weights_only)
            return found
        except (pickle.UnpicklingError, AttributeError, RuntimeError):
            continue
    return value


ALL = pytest.mark.parametrize("how", SAVED)


@ALL
def test_every_dtype(how: str) -> None:
    assert_equal_to_torch({str(dtype): bits((3, 5), dtype, number) for number, dtype in enumerate(PLAIN)}, how)


def layouts() -> dict[str, Tensor]:
    """Every way in which a strided tensor lies in its storage."""
    base = bits((4, 6, 5), torch.float32)
    return {
        "base": base,
        "tied": base,
        "transposed": base.transpose(0, 2),
        "rows": base[1:3, ::2],
        "offset": base[2:],
        "one element": base[1, 2, 3],
        "expanded": torch.ones(1).expand(1000, 1000),
        "partly expanded": bits((3, 1), torch.float64).expand(3, 7),
        "channels_last": bits((2, 3, 4, 5), torch.float16).to(memory_format=torch.channels_last),
        "channels_last_3d": bits((2, 3, 4, 5, 2), torch.int16).to(memory_format=torch.channels_last_3d),
        "overlapping": bits((12,), torch.int32).as_strided((4, 4), (1, 2), 1),
        "scalar": bits((), torch.bfloat16),
        "empty": torch.empty(0),
        "empty of three": torch.empty(3, 0, 2),
        "empty, transposed": torch.empty(3, 0, 2).transpose(0, 2),
        "empty at the end": base[4:],
        "many dimensions": bits((1, 2) * 6, torch.uint8),
    }


@ALL
def test_every_layout_of_a_strided_tensor(how: str) -> None:
    assert_equal_to_torch(layouts(), how)


def sparse() -> dict[str, Tensor]:
    """Sparse tensors of every layout."""
    matrix = torch.tensor([[0.0, 2, 0, 0], [3, 0, 0, float("nan")], [0, 0, 0, 0], [1, 0, 0, 0]])
    uncoalesced = torch.sparse_coo_tensor(torch.tensor([[0, 1, 1], [2, 0, 0]]), torch.tensor([3.0, 4.0, 5.0]), (2, 4))
    return {
        "coalesced": matrix.to_sparse().coalesce(),
        "uncoalesced": uncoalesced,
        "hybrid": torch.ones(3, 2, 2).to_sparse(1),
        "empty coo": torch.zeros(3, 4).to_sparse(),
        "csr": matrix.to_sparse_csr(),
        "csc": matrix.to_sparse_csc(),
        "bsr": matrix.to_sparse_bsr((2, 2)),
        "bsc": matrix.to_sparse_bsc((2, 2)),
        "batched csr": torch.ones(2, 3, 3).to_sparse_csr(),
        "int values": torch.eye(3, dtype=torch.int16).to_sparse(),
        "int32 indices": torch.sparse_csr_tensor(torch.tensor([0, 1, 2], dtype=torch.int32), torch.tensor([0, 1], dtype=torch.int32), torch.ones(2), (2, 2)),
    }  # fmt: skip


@ALL
def test_every_sparse_layout(how: str) -> None:
    assert_equal_to_torch(sparse(), how)


def quantised() -> dict[str, Tensor]:
    """Quantised tensors of every type and scheme."""
    source = torch.linspace(-1, 1, 24).reshape(4, 6)
    scales, zeros = torch.linspace(0.1, 0.4, 4).double(), torch.arange(4)
    made = {
        f"{kind}, per tensor": torch.quantize_per_tensor(source, 0.1, 3, kind)
        for kind in (torch.qint8, torch.quint8, torch.qint32)
    }
    made |= {
        f"{kind}, per channel": torch.quantize_per_channel(source, scales, zeros, 0, kind)
        for kind in (torch.qint8, torch.quint8, torch.qint32)
    }
    made["along columns"] = torch.quantize_per_channel(
        source, torch.ones(6).double() / 7, torch.zeros(6).long(), 1, torch.qint8
    )
    made["transposed"] = torch.quantize_per_tensor(source, 0.1, 3, torch.qint8).t()
    made["a row"] = torch.quantize_per_tensor(source, 0.1, 3, torch.quint8)[2]
    return made


@ALL
def test_every_quantised_scheme(how: str) -> None:
    assert_equal_to_torch(quantised(), how)


def test_four_bits_an_element_open_as_what_torch_says_of_them() -> None:
    scales = torch.ones(4, dtype=torch.float32) / 7
    value = torch.quantize_per_channel(
        torch.linspace(-1, 1, 24).reshape(4, 6), scales, torch.zeros(4), 0, torch.quint4x2
    )
    data = saved({"w": value})
    theirs = torch.load(io.BytesIO(data), weights_only=True)["w"]
    ours = open_checkpoint(data, "model.pth").state_dict
    assert (ours["w"].shape, ours["w"].dtype) == (tuple(theirs.shape), "quint4x2")
    raw = bytes(ours["w"].composed.parts[0].storage.read()) if ours["w"].composed else bytes(ours["w"].storage.read())
    assert raw == bytes(theirs.untyped_storage())


def odd() -> dict[str, Tensor]:
    """Tensors that are more than their elements."""
    number = torch.randn(3, dtype=torch.complex64)
    with_state = nn.Parameter(torch.ones(2))
    with_state.owner = "a layer"  # type: ignore[attr-defined]
    with_attribute = torch.arange(3.0)
    with_attribute.note = [1, 2]  # type: ignore[attr-defined]
    return {
        "conj": number.conj(),
        "neg": number.clone().conj().imag,
        "conj, sliced": number.conj()[1:],
        "meta": torch.empty(3, 4, device="meta"),
        "meta, transposed": torch.empty(3, 4, device="meta", dtype=torch.int8).t(),
        "parameter": nn.Parameter(torch.ones(3)),
        "frozen parameter": nn.Parameter(torch.ones(3), requires_grad=False),
        "parameter with state": with_state,
        "buffer": nn.Buffer(torch.ones(2)),
        "attribute": with_attribute,
        "requires grad": torch.ones(2, requires_grad=True),
    }


@ALL
def test_conjugated_negated_meta_and_parameters(how: str) -> None:
    assert_equal_to_torch(odd(), how)


@pytest.mark.parametrize("how", ["zip", "legacy"])
def test_nested_tensors_which_torch_itself_opens_only_when_it_is_told_to_trust(how: str) -> None:
    rows = [torch.ones(2, 3), torch.arange(12.0).reshape(4, 3), torch.zeros(1, 3)]
    jagged = torch.nested.nested_tensor(rows, layout=torch.jagged)
    assert_equal_to_torch({"old style": torch.nested.nested_tensor(rows), "jagged": jagged}, how)


@ALL
def test_keys_keep_their_order_and_their_odd_letters(how: str) -> None:
    keys = ["z", "a", "", "with space", "a.b.c", "é", "\u202e", "line\nbreak", "x" * 300, "10", "9"]
    assert_equal_to_torch({key: torch.full((1,), number) for number, key in enumerate(keys)}, how)


@ALL
def test_a_thousand_tensors_on_one_storage_and_on_their_own(how: str) -> None:
    base = torch.arange(1200.0)
    shared = {f"shared.{number}": base[number : number + 7] for number in range(500)}
    assert_equal_to_torch(shared | {f"own.{number}": torch.full((number % 5,), number) for number in range(500)}, how)


@contextmanager
def option(change: Callable[[Any], None], value: Any, back: Any) -> Iterator[None]:
    change(value)
    try:
        yield
    finally:
        change(back)


def test_without_checksums_and_with_another_alignment() -> None:
    from torch.serialization import set_crc32_options
    from torch.utils.serialization import config

    with option(set_crc32_options, False, True):
        assert_equal_to_torch(layouts(), "zip")
    config.save.storage_alignment, before = 4096, config.save.storage_alignment
    try:
        assert_equal_to_torch(layouts(), "zip")
    finally:
        config.save.storage_alignment = before


def rewritten(data: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """The archive with its records changed, or left out where the change is None."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return file.getvalue()


def test_without_the_record_of_the_byte_order() -> None:
    data = rewritten(saved(layouts()), lambda name, content: None if name.endswith("byteorder") else content)
    assert_opens_as(data, torch.load(io.BytesIO(data), weights_only=True))


BIG_ENDIAN = [dtype for dtype in PLAIN if dtype.itemsize > 1 and not str(dtype).startswith("torch.bits")]


def test_written_on_a_big_endian_machine() -> None:
    tensors = {str(dtype): bits((3, 5), dtype) for dtype in BIG_ENDIAN if dtype is not torch.bcomplex32}
    tensors["qint32"] = torch.quantize_per_tensor(torch.linspace(-9, 9, 12), 0.1, 3, torch.qint32)
    widths = [dtype.itemsize // (2 if dtype.is_complex else 1) for dtype in BIG_ENDIAN if dtype is not torch.bcomplex32]
    widths.append(4)

    def turned(name: str, content: bytes) -> bytes:
        if name.endswith("byteorder"):
            return b"big"
        place = name.rpartition("/data/")[2]
        if not place.isdigit():
            return content
        width = widths[int(place)]
        return b"".join(content[at : at + width][::-1] for at in range(0, len(content), width))

    assert_opens_as(rewritten(saved(tensors), turned), tensors)


def test_legacy_of_a_big_endian_machine() -> None:
    tensors = {"w": bits((3, 5), torch.float64), "n": bits((4,), torch.int64)}
    data = saved(tensors, legacy=True)
    file = io.BytesIO(data)
    for _ in range(5):
        assert list(pickletools.genops(file))
    start = file.tell()
    system = pickle.dumps(
        {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}, 2
    )
    assert data.count(system) == 1
    body, at = bytearray(data[start:]), 0
    while at < len(body):
        count = struct.unpack_from("<q", body, at)[0]
        for place in range(at + 8, at + 8 + 8 * count, 8):
            body[place : place + 8] = body[place : place + 8][::-1]
        at += 8 + 8 * count
    big = data[:start].replace(system, system.replace(b"\x88", b"\x89")) + bytes(body)
    assert_opens_as(big, tensors)


def test_safetensors_of_every_dtype_and_shape() -> None:
    tensors = {str(dtype): bits((3, 4), dtype, number) for number, dtype in enumerate(SAFETENSORS)}
    tensors |= {
        "scalar": bits((), torch.float32),
        "empty": torch.empty(0, 3),
        "hollow": torch.empty(3, 0, 2),
        "long": bits((1,) * 12, torch.int16),
    }
    data = save_safetensors(tensors, {"format": "pt"})
    unread = ("torch.float8_e8m0fnu", "torch.float4_e2m1fn_x2")  # safetensors writes them, and its reader knows neither
    theirs = {key: tensors.pop(key) for key in unread}
    theirs |= load_safetensors(save_safetensors(tensors))
    ours = open_checkpoint(data, "model.safetensors").state_dict
    assert set(ours) == set(theirs)
    for key, tensor in theirs.items():
        assert_same(ours.tensor(key), tensor, key)


@pytest.mark.parametrize("space", ["\n", "\t ", " "])
def test_safetensors_whose_header_begins_with_white_space(space: str) -> None:
    header = space.encode() + json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    data = struct.pack("<Q", len(header)) + header + struct.pack("<f", 2.5)
    assert_opens_as(data, load_safetensors(data))


def test_an_optimizer_beside_a_network() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3, 4, 4)).sum().backward()
    optimizer.step()
    state_dict = network.state_dict()
    data = saved({"state_dict": state_dict, "optimizer": optimizer.state_dict(), "epoch": 3})
    assert_opens_as(data, OrderedDict(state_dict))


@st.composite
def views(draw: st.DrawFn) -> Tensor:
    """Any view of a storage of random bits: any dtype, shape, strides and offset that fit it."""
    dtype = draw(st.sampled_from(PLAIN))
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    stride = tuple(draw(st.integers(0, 5)) for _ in shape)
    offset = draw(st.integers(0, 3))
    reach = 0 if 0 in shape else 1 + sum((side - 1) * step for side, step in zip(shape, stride, strict=True))
    storage = bits((offset + reach + draw(st.integers(0, 2)),), dtype, draw(st.integers(0, 99))).untyped_storage()
    return torch.empty(0, dtype=dtype).set_(storage, offset, shape, stride)


@settings(max_examples=60)
@given(tensors=st.dictionaries(st.text(max_size=8), views(), min_size=1, max_size=4), how=st.sampled_from(list(SAVED)))
def test_any_view_of_any_dtype(tensors: dict[str, Tensor], how: str) -> None:
    assert_equal_to_torch(tensors, how)
