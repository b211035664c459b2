"""fit(): whether a tensor of the file fits a place of the network, by shape and dtype."""

from __future__ import annotations

from ckpt_explorer.architectures.architecture import ModelTensor
from ckpt_explorer.key_pair import Status

_FLOAT_BITS: dict[str, tuple[int, int]] = {
    "float64": (11, 52),
    "float32": (8, 23),
    "bfloat16": (8, 7),
    "float16": (5, 10),
    "float8_e8m0fnu": (8, 0),
    "float8_e5m2": (5, 2),
    "float8_e5m2fnuz": (5, 2),
    "float8_e4m3fn": (4, 3),
    "float8_e4m3fnuz": (4, 3),
}
"""Bits of exponent and of fraction: a cast loses nothing where neither shrinks."""


def _rounds(ours: str, theirs: str) -> bool:
    """Whether a cast between two floating dtypes may change a value."""
    if ours not in _FLOAT_BITS or theirs not in _FLOAT_BITS:
        return False
    return any(a > b for a, b in zip(_FLOAT_BITS[ours], _FLOAT_BITS[theirs], strict=True))


def fit(shape: tuple[int, ...], dtype: str, wanted: ModelTensor) -> tuple[Status, str]:
    """The status of a tensor of this shape and dtype in a place of the network, and what is to be said of it."""
    if shape != wanted.shape:
        return Status.SHAPE_MISMATCH, ""
    if dtype == wanted.dtype:
        return Status.MATCHED, ""
    kinds = [_numeric_kind(name) for name in (dtype, wanted.dtype)]
    if kinds[0] != kinds[1]:
        return Status.SHAPE_MISMATCH, f"{dtype} can't stand for {wanted.dtype}"
    if _rounds(dtype, wanted.dtype):
        return Status.ADAPTED, f"{dtype} rounded to {wanted.dtype}"
    return Status.MATCHED, f"{dtype} cast to {wanted.dtype} without loss"


def _numeric_kind(dtype: str) -> str:
    return (
        "float"
        if "float" in dtype
        else "complex"
        if dtype.startswith("complex")
        else "quantised"
        if dtype.startswith("q")
        else "int"
    )
