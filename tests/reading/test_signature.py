"""What a file is, told by its bytes, in one sentence with one next step."""

from __future__ import annotations

import gzip
import json
import struct

import pytest

from ckpt_explorer.errors import RefusedFile
from ckpt_explorer.reading import open_checkpoint

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:11ad3fa6" + b"0" * 56 + b"\nsize 102530333\n"
PAGE = b"\n<!DOCTYPE html><html><head><title>model.pth at main</title></head></html>"


@pytest.mark.parametrize(
    ("name", "data", "id_", "words"),
    [
        ("a.pth", b"", "F1", "is empty (0 bytes)"),
        ("a.pth", POINTER, "F2", 'run "git lfs install" and "git lfs pull"'),
        ("a.pth", POINTER, "F2", "the real file has 97.8 MiB and a sha256 that begins with 11ad3fa6"),
        ("a.pth", PAGE, "F3", 'a web page titled "model.pth at main"'),
        ("a.pth", b"\xef\xbb\xbf<html>", "F3", "raw or resolve link"),
        ("a.pth", b"Google Drive - Quota exceeded", "F3", "web page"),
        ("a.pth", b"<html><title>" + b"\x1b[31m\xe2\x80\xae</title>", "F3", r"\x1b[31m\u202e"),
        ("a.pth", bytes(5000), "F7", "zero bytes"),
        ("model.ckpt-1.data-00000-of-00001", b"\x01\x02\x03\x04" * 9, "F8", "TensorFlow"),
        ("model.ckpt.index", b"\x01\x02\x03\x04" * 9, "F8", "HWIO to OIHW"),
        ("checkpoint", b'model_checkpoint_path: "model.ckpt-1"', "F8", "TensorFlow"),
        ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(9), "F17", "HDF5"),
        ("a.gguf", b"GGUF" + bytes(9), "F17", "llama.cpp"),
        ("a.pth", b"\x89PNG\r\n\x1a\n" + bytes(9), "F17", "pictures on the Predict page"),
        ("a.pth", b"\xff\xd8\xff\xe0" + bytes(9), "F17", "JPEG"),
        ("a.pdf", b"%PDF-1.7", "F17", "PDF"),
        (
            "a.gz",
            gzip.compress(b"x", mtime=0),
            "F17",
            "a.gz is a gzip archive, and what is in it is refused: a is a text file",
        ),
        ("a.gz", gzip.compress(PAGE, mtime=0), "F3", 'a web page titled "model.pth at main"'),
        ("a.onnx", b"\x08\x07\x12\x07pytorch\x1a\x01", "F17", "ONNX"),
        ("a.json", json.dumps({"error": 404}).encode(), "F17", "a JSON file"),
        ("a.txt", b"hello there\nand more", "F17", 'a text file that begins "hello there"'),
        ("a.txt", b"(these are words, and no pickle.", "F17", "a text file"),
        ("a.bin", bytes(range(128, 250)), "F19", "first bytes 80 81"),
        ("\u202egpj.pth", b"", "F1", r"\u202egpj.pth"),
    ],
)
def test_a_file_that_is_something_else_is_named(name: str, data: bytes, id_: str, words: str) -> None:
    with pytest.raises(RefusedFile) as refused:
        open_checkpoint(data, name)
    assert refused.value.diagnosis.id == id_
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_safetensors_file_is_known_by_its_header_and_not_by_its_name() -> None:
    raw = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    assert open_checkpoint(struct.pack("<Q", len(raw)) + raw + bytes(4), "weights.bin").format == "safetensors"
