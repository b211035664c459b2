"""The shortcut through runs of tensors describes exactly what the instructions describe one by one."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ckpt_explorer.errors import RefusedFile
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.reading.formats import torch_zip
from ckpt_explorer.reading.pickles.constructors import CONSTRUCTORS
from ckpt_explorer.reading.pickles.described import Call, Global, PickleError, TupleKey
from ckpt_explorer.reading.pickles.inert_pickle import Walk, walk_pickle
from ckpt_explorer.reading.pickles.tensor_runs import tensor_shortcut
from ckpt_explorer.reading.pickles.torch_objects import storage_claim
from tests.reading.archives import zipped
from tests.reading.pickles import saved


def pickle_of(value: Any, **options: Any) -> bytes:
    with zipfile.ZipFile(io.BytesIO(saved(value, **options))) as archive:
        return archive.read("archive/data.pkl")


def walked(pickle: bytes, fast: bool) -> Walk:
    return walk_pickle(pickle, CONSTRUCTORS, storage_claim, shortcut=tensor_shortcut() if fast else None)


def comparable(node: Any, above: tuple[int, ...] = ()) -> Any:
    """A description as plain values; which of them are one object is part of it."""
    if id(node) in above:
        return f"^{len(above) - above.index(id(node))}"
    inside = (*above, id(node))
    if isinstance(node, dict):
        pairs = [(comparable(key, inside), comparable(value, inside)) for key, value in node.items()]
        return (type(node).__name__, pairs, comparable(getattr(node, "state", None), inside))
    if isinstance(node, list | tuple):
        return (type(node).__name__, [comparable(part, inside) for part in node])
    if isinstance(node, Call):
        return ("call", *(comparable(getattr(node, part), inside) for part in Call.__slots__))
    return str(node) if isinstance(node, Global | TupleKey) else (type(node).__name__, repr(node))


def assert_agreement(pickle: bytes) -> None:
    fast, slow = walked(pickle, fast=True), walked(pickle, fast=False)
    assert comparable(fast.root) == comparable(slow.root)
    assert list(fast.globals) == list(slow.globals)
    assert fast.position == slow.position


def many(count: int = 90) -> dict[str, torch.Tensor]:
    """Enough tensors for both forms of memo puts, of several ranks and two dtypes."""
    shapes = [(), (3,), (2, 3), (2, 3, 1), (2, 1, 3, 3), (0,), (1, 1, 1, 1, 300), (70000,)]
    return {
        f"layer{index}.weight": torch.zeros(
            shapes[index % len(shapes)], dtype=(torch.float32, torch.int64)[index % 7 == 3]
        )
        for index in range(count)
    }


def test_a_long_state_dict_is_taken_in_runs_and_described_as_without_them() -> None:
    pickle = pickle_of({"epoch": 3, "state_dict": many(), "best": 0.5})
    assert walked(pickle, fast=True).shortened
    assert_agreement(pickle)


def test_versions_in_the_metadata_of_a_state_dict_are_kept() -> None:
    network = torch.nn.Sequential(*[torch.nn.BatchNorm2d(4) for _ in range(80)])
    pickle = pickle_of(network.state_dict())
    assert_agreement(pickle)
    metadata = walked(pickle, fast=True).root.state["_metadata"]
    assert metadata["79"] == {"version": 2}


def test_keys_and_tensors_that_are_mentioned_again_are_the_same_objects() -> None:
    raw = many()
    assert_agreement(
        pickle_of({"state_dict": raw, "ema": {key: value.clone() for key, value in raw.items()}, "tied": raw})
    )
    assert_agreement(pickle_of({**raw, "again": raw["layer80.weight"], "view": raw["layer87.weight"][3:9]}))


def keeps(walk: Walk, index: int) -> bool:
    try:
        walk.memo[index]
    except KeyError:
        return False
    return True


def test_a_memo_entry_that_the_shortcut_left_out_is_found_by_walking_again() -> None:
    pickle = pickle_of(many())
    fast = walked(pickle, fast=True)
    forgotten = next(index for index in range(400) if not keeps(fast, index))
    asks_for_it = pickle.removesuffix(b".") + b"j" + forgotten.to_bytes(4, "little") + b"\x86."
    assert not walked(asks_for_it, fast=True).shortened
    assert_agreement(asks_for_it)


def test_a_memo_entry_that_is_written_twice_is_never_taken_in_a_run() -> None:
    pickle = pickle_of(many())
    index = max(walked(pickle, fast=False).memo) - 20
    put = b"r" + index.to_bytes(4, "little")
    assert pickle.count(put) == 1
    assert_agreement(pickle.replace(put, b"r" + (index - 1).to_bytes(4, "little")))
    assert_agreement(pickle.replace(put, b"r" + bytes(4)))


def test_short_memo_puts_that_would_count_past_their_last_number_are_never_taken_in_a_run() -> None:
    pickle = pickle_of(many())
    first = pickle.index(b"layer2.weight") + len("layer2.weight")
    assert pickle[first : first + 1] == b"q"
    assert_agreement(pickle[: first + 1] + b"\xfe" + pickle[first + 2 :])


def facts(file: bytes, fast: bool) -> Any:
    """Every tensor that the file is found to hold, and what is said of everything else."""
    with pytest.MonkeyPatch.context() as patched:
        if not fast:
            patched.setattr(torch_zip, "tensor_shortcut", lambda _: None)
        try:
            opened = open_checkpoint(file, "model.pth")
        except RefusedFile as error:
            return str(error)
    tensors = [
        (state_dict.path, key, info._replace(storage=(info.storage.name, info.storage.size), composed=None))  # type: ignore[arg-type]
        for state_dict in opened.state_dicts
        for key, info in state_dict.items()
    ]
    return tensors, opened.entries, opened.diagnoses


@pytest.mark.filterwarnings("ignore:.*quantize:UserWarning", "ignore:.*nested:UserWarning")
def test_tensors_that_are_facts_at_once_are_those_that_their_claims_would_become() -> None:
    raw = many()
    tied = {"state_dict": raw, "ema": dict(raw), "tied": raw, "one": raw["layer80.weight"]}
    jagged = torch.nested.nested_tensor([torch.ones(2, 3), torch.zeros(4, 3)], layout=torch.jagged)
    scales = {"scale": torch.rand(6, dtype=torch.float64), "zero": torch.zeros(6, dtype=torch.int64), **raw}
    quantised = torch.quantize_per_channel(torch.rand(6, 2), scales["scale"], scales["zero"], 0, torch.qint8)
    for value in (raw, tied, {**raw, "jagged": jagged}, {**scales, "quantised": quantised}):
        file = saved(value)
        assert facts(file, fast=True) == facts(file, fast=False)


def test_a_run_with_a_storage_that_is_too_short_is_refused_as_without_it() -> None:
    raw = {f"layer{index}.weight": torch.zeros(70000 if index == 50 else 9) for index in range(90)}
    with zipfile.ZipFile(io.BytesIO(saved(raw))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["archive/data.pkl"] = files["archive/data.pkl"].replace(b"J\x70\x11\x01\x00", b"J\x71\x11\x01\x00")
    said = facts(zipped(files), fast=True)
    assert "should have 280,004 bytes, and its record has 280,000" in said
    assert said == facts(zipped(files), fast=False)


keys = st.text(max_size=12) | st.from_regex(r"[a-z]{1,5}(\.[0-9]{1,2})?\.weight", fullmatch=True)
tensors = st.builds(
    lambda shape, dtype, base: torch.zeros(shape, dtype=dtype) if base is None else torch.zeros(40)[base::3],
    st.lists(st.integers(0, 4), max_size=5).map(tuple),
    st.sampled_from([torch.float32, torch.float16, torch.int64, torch.bool]),
    st.none() | st.integers(0, 20),
)
state_dicts = st.dictionaries(keys, tensors, max_size=60)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9) | tensors
nested = st.recursive(
    leaves | state_dicts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys | st.integers(), inner, max_size=5),
    max_leaves=12,
)


@given(nested, st.integers(0, 60), st.sampled_from([2, 3, 4]))
def test_with_and_without_the_shortcut_agree_on_whatever_torch_save_writes(
    value: Any, before: int, protocol: int
) -> None:
    assert_agreement(
        pickle_of({"memo": [str(index) * 2 for index in range(before)], "value": value}, pickle_protocol=protocol)
    )


@given(st.data())
def test_with_and_without_the_shortcut_agree_on_damaged_pickles(data: st.DataObject) -> None:
    pickle = bytearray(_LONG)
    for _ in range(data.draw(st.integers(1, 3))):
        pickle[data.draw(st.integers(2, len(pickle) - 1))] = data.draw(st.integers(0, 255))
    try:
        expected = comparable(walked(bytes(pickle), fast=False).root)
    except PickleError:
        expected = None
    try:
        given_back = comparable(walked(bytes(pickle), fast=True).root)
    except PickleError:
        given_back = None
    assert given_back == expected


_LONG = pickle_of(many(60))
