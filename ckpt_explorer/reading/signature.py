"""What is this file? Told by its bytes, never by its name; in the order of the catalogue of what people really hold."""

from __future__ import annotations

import json
import re
import struct
from typing import Literal

from ckpt_explorer.errors import Diagnosis, NotACheckpoint
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.text import bytes_as_text, visible

Format = Literal["torch zip", "torch legacy", "safetensors", "pickle", "maybe a pickle"]

LEGACY_MAGIC = bytes.fromhex("8a0a6cfc9c46f9206aa85019")
"""LONG1 of 0x1950a86a20f9469cfc6c, the first object of a legacy file. Source: `torch/serialization.py` MAGIC_NUMBER."""

_OTHER_FORMATS: tuple[tuple[int, bytes, str, str], ...] = (
    (
        0,
        b"\x89HDF\r\n\x1a\n",
        "an HDF5 file, as Keras saves models",
        "open it with h5py or Keras, and save its weights for PyTorch",
    ),
    (0, b"GGUF", "a GGUF file for llama.cpp", "open it with a GGUF tool; there is no ResNet in it"),
    (4, b"TFL3", "a TensorFlow Lite model", "open it with TensorFlow Lite"),
    (0, b"\x93NUMPY", "a single NumPy array (.npy)", "load it with numpy.load; a state dict needs one array a key"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture", "give the checkpoint here, and pictures on the Predict page"),
    (0, b"\xff\xd8\xff", "a JPEG picture", "give the checkpoint here, and pictures on the Predict page"),
    (0, b"GIF8", "a GIF picture", "give the checkpoint here, and pictures on the Predict page"),
    (8, b"WEBP", "a WebP picture", "give the checkpoint here, and pictures on the Predict page"),
    (0, b"BM", "a BMP picture", "give the checkpoint here, and pictures on the Predict page"),
    (0, b"%PDF-", "a PDF document", "give the checkpoint file"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it with gunzip, and give the file inside"),
    (0, b"BZh", "a bzip2 archive", "unpack it with bunzip2, and give the file inside"),
    (0, b"\xfd7zXZ\x00", "an xz archive", "unpack it with unxz, and give the file inside"),
    (0, b"(\xb5/\xfd", "a Zstandard archive", "unpack it with unzstd, and give the file inside"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it, and give the file inside"),
    (0, b"Rar!\x1a\x07", "a RAR archive", "unpack it, and give the file inside"),
    (257, b"ustar", "a tar archive", "unpack it with tar -xf, and give the checkpoint inside"),
    (0, b"\x7fELF", "a Linux program", "give the checkpoint file"),
    (0, b"MZ", "a Windows program", "give the checkpoint file"),
    (0, b"SQLite format 3\x00", "an SQLite database", "give the checkpoint file"),
    (0, b"Obj\x01", "an Avro file", "give the checkpoint file"),
    (0, b"PAR1", "a Parquet table", "give the checkpoint file"),
    (0, b"ARROW1", "an Arrow file", "give the checkpoint file"),
)

_TENSORFLOW_NAME = re.compile(r"(\.data-\d{5}-of-\d{5}|\.ckpt(-\d+)?\.(index|meta))$|^(saved_model\.pb)$")
_LFS = re.compile(rb"\Aversion https://git-lfs[^\n]*\n(?:.*\n)*?oid sha256:([0-9a-f]{8})[0-9a-f]*\nsize (\d{1,18})\n?")
_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,200})", re.IGNORECASE)
_QUOTA = re.compile(
    rb"quota exceeded|can't scan this file for viruses|virus scan|access denied|not found", re.IGNORECASE
)


def recognise(source: Source) -> Format:
    """The format of a checkpoint, from its first bytes.

    Raises:
        NotACheckpoint: it is something else; the sentence says what, and what to do.
    """
    start = bytes(source.view(0, 4096))
    other = _empty(source) or _git_lfs_pointer(source, start) or _web_page(source, start)
    if other:
        raise NotACheckpoint(other)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "torch zip"
    if _looks_like_safetensors(source, start):
        return "safetensors"
    if start[:1] == b"\x80" and start[2:].startswith(LEGACY_MAGIC):
        return "torch legacy"
    other = _known_format(source, start) or _tensorflow(source, start)
    if other:
        raise NotACheckpoint(other)
    if start[:1] == b"\x80" and len(start) > 2 and start[1] <= 5:
        return "pickle"
    if start[:1] in (b"(", b"]", b"}", b"c") and source.view(source.size - 1)[0] == ord("."):
        return "maybe a pickle"  # of protocol 0 or 1, which has no signature: walking it will tell
    raise NotACheckpoint(unrecognised(source))


def unrecognised(source: Source) -> Diagnosis:
    """What to say of a file without a signature that is known here."""
    start = bytes(source.view(0, 4096))
    return _zeros(source) or _text(source, start) or _unknown(source, start)


def _says(source: Source, is_what: str) -> str:
    return f"{visible(source.name)} is {is_what}"


def _empty(source: Source) -> Diagnosis | None:
    if source.size:
        return None
    return Diagnosis(
        "F1",
        _says(source, "empty (0 bytes)"),
        "the save or the download was cut off; use the previous checkpoint or fetch it again.",
    )


def _git_lfs_pointer(source: Source, start: bytes) -> Diagnosis | None:
    if not start.startswith(b"version https://git-lfs"):
        return None
    found = _LFS.match(start)
    real = f"; the real file has {bytes_as_text(int(found[2]))} and sha256 {found[1].decode()}…" if found else ""
    return Diagnosis(
        "F2",
        _says(source, f"a Git LFS pointer ({bytes_as_text(source.size)}), not the weights"),
        f'run "git lfs install" and "git lfs pull" where it was cloned{real}.',
    )


def _web_page(source: Source, start: bytes) -> Diagnosis | None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    markup = re.match(rb"<(!doctype|html|head|body|\?xml|!--|script|meta|title|error)\b", text, re.IGNORECASE)
    notice = source.size < 4096 and _is_text(start) and _QUOTA.search(start)
    if not markup and not notice:
        return None
    title = _TITLE.search(bytes(source.view(0, 65536)))
    named = f' titled "{visible(title[1].decode("utf-8", "replace").strip(), 80)}"' if title else ""
    return Diagnosis(
        "F3",
        _says(source, f"a web page{named}, saved instead of the weights"),
        "open the link in a browser and take the download itself (the raw or resolve link, or gdown for Google Drive).",
    )


def _looks_like_safetensors(source: Source, start: bytes) -> bool:
    if source.size < 10 or start[8:9] not in (b"{", b" "):
        return False
    length = int(struct.unpack_from("<Q", start)[0])
    return 2 <= length <= 100_000_000 and bytes(start[8:]).lstrip()[:1] == b"{"


def _known_format(source: Source, start: bytes) -> Diagnosis | None:
    for offset, magic, what, step in _OTHER_FORMATS:
        if start[offset : offset + len(magic)] == magic:
            return Diagnosis("F17", _says(source, f"{what}, no PyTorch checkpoint"), f"{step}.")
    if b"onnx" in start[:64].lower() or (start[:1] == b"\x08" and b"pytorch" in start[:64] and b"\x12" in start[:4]):
        return Diagnosis(
            "F17",
            _says(source, "an ONNX model, no PyTorch checkpoint"),
            "open it with onnxruntime, or export the state dict again.",
        )
    return None


def _tensorflow(source: Source, start: bytes) -> Diagnosis | None:
    pointer = start.startswith(b"model_checkpoint_path:")
    if not pointer and not _TENSORFLOW_NAME.search(source.name):
        return None
    return Diagnosis(
        "F8",
        _says(source, "part of a TensorFlow checkpoint"),
        "read its variables with TensorFlow by the common prefix of its files, transpose the kernels (HWIO to OIHW), and save them with PyTorch.",
    )


def _zeros(source: Source) -> Diagnosis | None:
    sample = min(source.size, 1 << 20)
    if any(source.view(0, sample)):
        return None
    return Diagnosis(
        "F7",
        _says(source, f"nothing but zero bytes at its start ({bytes_as_text(source.size)})"),
        "the download was only reserved on disk; fetch it again.",
    )


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:
            return False
        text = start[: error.start].decode("utf-8")
    return all(char.isprintable() or char in "\t\r\n\f" for char in text)


def _text(source: Source, start: bytes) -> Diagnosis | None:
    if not _is_text(start):
        return None
    try:
        kind = (
            "a JSON file"
            if source.size < 1 << 20 and isinstance(json.loads(bytes(source.view())), dict | list)
            else "a text file"
        )
    except (ValueError, RecursionError):
        kind = "a text file"
    first_line = visible(start.decode("utf-8", "replace").strip().split("\n", 1)[0], 60)
    return Diagnosis(
        "F17",
        _says(source, f'{kind} that begins "{first_line}"'),
        "give the file that torch.save or safetensors wrote.",
    )


def _unknown(source: Source, start: bytes) -> Diagnosis:
    return Diagnosis(
        "F19",
        _says(
            source, f"of no kind that is known here ({bytes_as_text(source.size)}, first bytes {start[:8].hex(' ')})"
        ),
        "give a file that torch.save or safetensors wrote, or ask whoever made it how it was saved.",
    )
