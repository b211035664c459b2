"""Files that are no PyTorch checkpoint, by their first bytes: what each is, and the one next step.

Sources: the formats' own descriptions; `file`'s magic database for the everyday ones; torch7's `File.lua` (type tags),
MXNet's `ndarray.cc` (list magic 0x112), darknet's `parser.c` (three int32 and a counter), TensorFlow's `table/format.h`
(the footer of an .index file), caffe's `caffe.proto`.
"""

from __future__ import annotations

import re
import struct

_PICTURE = "give the checkpoint here, and pictures on the Predict page"
_FILE = "give the checkpoint file"
_UNPACK = "unpack it, and give the file inside"
_PLAYED = "give the checkpoint file; this one is to be seen or heard"
_CONVERT = "read its arrays with {tool}, give them PyTorch's names and layout, and torch.save them"

FOREIGN: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras and MATLAB save models", "open it with h5py or Keras, and save its weights for PyTorch"),
    (512, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras and MATLAB save models", "open it with h5py or Keras, and save its weights for PyTorch"),
    (0, b"MATLAB ", "a MATLAB file", _CONVERT.format(tool="scipy.io.loadmat")),
    (0, b"GGUF", "a GGUF file for llama.cpp", "open it with a GGUF tool; there is no ResNet in it"),
    (0, b"lmgg", "a GGML file for llama.cpp", "open it with a GGML tool; there is no ResNet in it"),
    (0, b"tjgg", "a GGML file for llama.cpp", "open it with a GGML tool; there is no ResNet in it"),
    (4, b"TFL3", "a TensorFlow Lite model", "open it with TensorFlow Lite, or take the checkpoint it was made of"),
    (4, b"PTMF", "a PyTorch Mobile model (flatbuffer)", "take the checkpoint or the TorchScript file it was made of"),
    (4, b"ET12", "an ExecuTorch program (.pte)", "take the checkpoint it was made of"),
    (0, b"\x12\x01\x00\x00\x00\x00\x00\x00", "an MXNet file of parameters", _CONVERT.format(tool="mxnet.nd.load")),
    (0, b"ftrt", "a TensorRT engine", "take the checkpoint it was made of: an engine fits one GPU and can't be read back"),
    (0, b"RKNN", "a Rockchip model (RKNN)", "take the checkpoint it was made of"),
    (0, b"7767517\n", "an ncnn model's description", "take the checkpoint it was made of"),
    (0, b"brain.Event:", "a TensorBoard log", _FILE),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture", _PICTURE),
    (0, b"\xff\xd8\xff", "a JPEG picture", _PICTURE),
    (0, b"GIF8", "a GIF picture", _PICTURE),
    (8, b"WEBP", "a WebP picture", _PICTURE),
    (0, b"II*\x00", "a TIFF picture", _PICTURE),
    (0, b"MM\x00*", "a TIFF picture", _PICTURE),
    (0, b"8BPS", "a Photoshop picture", _PICTURE),
    (0, b"\x00\x00\x01\x00", "an icon", _PICTURE),
    (4, b"ftypheic", "a HEIC picture", _PICTURE),
    (4, b"ftypavif", "an AVIF picture", _PICTURE),
    (4, b"ftyp", "a video", _PLAYED),
    (0, b"\x1a\x45\xdf\xa3", "a video (Matroska)", _PLAYED),
    (0, b"RIFF", "a sound or a video", _PLAYED),
    (0, b"ID3", "a sound", _PLAYED),
    (0, b"fLaC", "a sound", _PLAYED),
    (0, b"OggS", "a sound or a video", _PLAYED),
    (0, b"%PDF-", "a PDF document", _FILE),
    (0, b"%!PS", "a PostScript document", _FILE),
    (0, b"{\\rtf", "a text document (RTF)", _FILE),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office document", _FILE),
    (0, b"(\xb5/\xfd", "a Zstandard archive", "unpack it with unzstd, and give the file inside"),
    (0, b"\x04\x22\x4d\x18", "an LZ4 archive", "unpack it with unlz4, and give the file inside"),
    (0, b"\x5d\x00\x00", "an LZMA archive", "unpack it with unlzma, and give the file inside"),
    (0, b"\x1f\x9d", "a compress archive (.Z)", "unpack it with uncompress, and give the file inside"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (0, b"MSCF", "a Windows cabinet archive", _UNPACK),
    (0, b"!<arch>\n", "a library or a Debian package (ar archive)", _UNPACK),
    (0, b"070701", "a cpio archive", _UNPACK),
    (32769, b"CD001", "an image of a disc (ISO)", _UNPACK),
    (0, b"\x7fELF", "a Linux program", _FILE),
    (0, b"MZ", "a Windows program", _FILE),
    (0, b"\xca\xfe\xba\xbe", "a Java class or a macOS program", _FILE),
    (0, b"\xcf\xfa\xed\xfe", "a macOS program", _FILE),
    (0, b"\xce\xfa\xed\xfe", "a macOS program", _FILE),
    (0, b"\x00asm", "a WebAssembly program", _FILE),
    (0, b"\x55\x0d\x0d\x0a", "compiled Python", _FILE),
    (0, b"\xa7\x0d\x0d\x0a", "compiled Python", _FILE),
    (0, b"\xcb\x0d\x0d\x0a", "compiled Python", _FILE),
    (0, b"SQLite format 3\x00", "an SQLite database", _FILE),
    (0, b"Obj\x01", "an Avro file", _FILE),
    (0, b"PAR1", "a Parquet table", _FILE),
    (0, b"ARROW1", "an Arrow file", _FILE),
    (0, b"FEA1", "a Feather table", _FILE),
    (0, b"ORC", "an ORC table", _FILE),
    (0, b"CDF\x01", "a NetCDF file", _FILE),
    (0, b"RDX", "an R data file", _FILE),
    (0, b"$FL2", "an SPSS file", _FILE),
    (0, b"wOFF", "a font", _FILE),
    (0, b"BM", "a BMP picture", _PICTURE),
)  # fmt: skip
"""Where the magic stands, the magic, what the file is, what to do. The first row that fits is said."""

_LUA_BINARY = re.compile(rb"\x04\0\0\0.{4}\x03\0\0\0V [12]|\x03\0\0\0\x01\0\0\0.{4}[\1-\5]\0\0\0", re.DOTALL)
_LUA_TEXT = re.compile(rb"[34]\n\d{1,9}\n(\d{1,9}\n)?(V \d\n|\d)")
_CAFFE_LAYERS = (b"Convolution", b"InnerProduct", b"BatchNorm", b"Pooling", b"ReLU", b"Data")
_ONNX_PRODUCER = re.compile(rb"\x08[\x01-\x10](\x12.)", re.DOTALL)
_TENSORFLOW_INDEX = bytes.fromhex("57fb808b247547db")
"""The last eight bytes of LevelDB's tables, which TensorFlow's .index files are."""

_TENSORFLOW_NAME = re.compile(r"(\.data-\d{5}-of-\d{5}|\.ckpt(-\d+)?\.(index|meta))$|^(saved_model\.pb)$")


def foreign_format(start: bytes) -> tuple[str, str] | None:
    """What a file with these first bytes is, and what to do; None where they say nothing."""
    for offset, magic, what, step in FOREIGN:
        if start[offset : offset + len(magic)] == magic:
            return what, step
    if _is_onnx(start):
        return "an ONNX model", "open it with onnxruntime, or export the state dict again"
    if _is_torch7(start):
        return "a Torch7 file (Lua)", _CONVERT.format(
            tool="torchfile, or torch.utils.serialization.load_lua of PyTorch 0.4"
        )
    if _is_caffe(start):
        return "a Caffe model", _CONVERT.format(tool="Caffe or its protobuf; a BGR input and v1 strides are likely")
    if _is_darknet(start):
        return "Darknet weights", _CONVERT.format(tool="a converter that knows its .cfg file")
    if _is_msgpack_of_flax(start):
        return (
            "a Flax checkpoint (msgpack)",
            "read it with flax.serialization.msgpack_restore, transpose the kernels (HWIO to OIHW), and torch.save them",
        )
    return None


def is_tensorflow(name: str, start: bytes, end: bytes) -> bool:
    """Whether it is a part of a TensorFlow checkpoint: by its own text or footer, or by a name that nothing else has."""
    return (
        start.startswith(b"model_checkpoint_path:")
        or end.endswith(_TENSORFLOW_INDEX)
        or _TENSORFLOW_NAME.search(name) is not None
    )


def _is_onnx(start: bytes) -> bool:
    """A protobuf ModelProto: its version, then the producer's name, or an operator set."""
    producer = _ONNX_PRODUCER.match(start)
    if producer is None:
        return b"onnx" in start[:64].lower() and start[:1] in (b"\x08", b"\x0a")
    length = start[3]
    return (
        start[4 : 4 + length].isascii()
        and length < 64
        and start[4 : 4 + length].decode("ascii", "replace").isprintable()
    ) or b"onnx" in start[:64].lower()


def _is_torch7(start: bytes) -> bool:
    """A Lua object: its type tag (3: table, 4: torch object), an index, then a version `V 1` or the first key."""
    return _LUA_BINARY.match(start) is not None or _LUA_TEXT.match(start) is not None


def _is_caffe(start: bytes) -> bool:
    """A protobuf NetParameter: its name first, then layers whose types are words."""
    length = start[1] if len(start) > 1 else 0
    return (
        start[:1] == b"\x0a"
        and 0 < length < 100
        and start[2 : 2 + length].isascii()
        and sum(word in start for word in _CAFFE_LAYERS) >= 2
    )


def _is_darknet(start: bytes) -> bool:
    """Version 0.1 or 0.2 as three int32, then a count of pictures seen."""
    if len(start) < 20:
        return False
    major, minor, revision = struct.unpack_from("<3i", start)
    return major == 0 and minor in (1, 2) and 0 <= revision <= 5 and any(start[12:64])


def _is_msgpack_of_flax(start: bytes) -> bool:
    """A map of a few texts, one of them `params`."""
    return (
        start[:1] in b"\x81\x82\x83\x84\x85\x86"
        and bool(start)
        and any(word in start[:64] for word in (b"\xa6params", b"\xabbatch_stats"))
    )
