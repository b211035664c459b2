"""The dtypes that a file may hold, by torch's names, and the bytes of their elements. Needs no torch."""

from __future__ import annotations

ITEM_BYTES: dict[str, int] = {
    **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 8),
    **dict.fromkeys(("float32", "int32", "uint32", "qint32", "complex32", "bcomplex32"), 4),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16", "bits16"), 2),
    **dict.fromkeys(("int8", "uint8", "bool", "qint8", "quint8", "bits8", "bits1x8", "bits2x4", "bits4x2"), 1),
    **dict.fromkeys(("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"), 1),
    **dict.fromkeys((f"{kind}{bits}" for kind in ("int", "uint") for bits in range(1, 8)), 1),
    **dict.fromkeys(("float4_e2m1fn_x2", "quint4x2", "quint2x4"), 1),
    "complex128": 16,
}
"""Bytes of one element, by torch's name of the dtype without `torch.`."""

PACKED: dict[str, int] = {"quint4x2": 2, "quint2x4": 4}
"""Elements in a byte, where a quantised tensor packs several into one."""

QUANTISED = frozenset({"qint8", "quint8", "qint32", "quint4x2", "quint2x4"})
"""Integers that mean nothing without the scale beside them."""
