"""Images: real files in every mode, written here, and files that only claim to be pictures."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from ckpt_explorer.errors import ImageError, PreprocessingError
from ckpt_explorer.inference.images import as_input, open_image
from ckpt_explorer.inference.preprocessing import preprocessing

RED, WHITE = (255, 0, 0), (255, 255, 255)


def written(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def pixels(data: bytes) -> Any:
    return np.asarray(open_image(data, "picture"))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_a_lossless_picture_comes_back_pixel_by_pixel(kind: str, tmp_path: Path) -> None:
    picture = noise(7, 5)
    file = tmp_path / "picture"
    file.write_bytes(written(picture, kind))
    assert np.array_equal(np.asarray(open_image(file, "picture")), np.asarray(picture))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_a_lossy_picture_comes_back_nearly(kind: str) -> None:
    flat = Image.new("RGB", (16, 16), (200, 60, 90))
    image = open_image(written(flat, kind), "picture")
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image).astype(int) - (200, 60, 90)).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG"])
def test_exif_orientation_is_applied_once(kind: str, orientation: int) -> None:
    from PIL import ImageOps

    picture = Image.new("RGB", (32, 16), "white")
    picture.paste((0, 0, 0), (0, 0, 16, 8))  # the dark corner tells all eight ways apart
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = written(picture, kind, exif=exif)
    image = open_image(data, "photo")
    with Image.open(io.BytesIO(data)) as raw:
        wanted = ImageOps.exif_transpose(raw).convert("RGB")
    assert image.size == ((32, 16) if orientation < 5 else (16, 32))
    assert np.array_equal(np.asarray(image), np.asarray(wanted))


def test_exif_orientation_6_puts_the_left_side_on_top() -> None:
    picture = Image.new("L", (16, 8), 255)
    picture.paste(0, (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = pixels(written(picture, "PNG", exif=exif))
    assert turned.shape == (16, 8)
    assert turned[0].max() == 0
    assert turned[-1].min() == 255


def test_a_broken_exif_block_leaves_the_picture_as_stored() -> None:
    data = written(noise(8, 4), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert open_image(data, "photo").size == (8, 4)


def test_what_is_transparent_lies_on_white() -> None:
    half = Image.new("RGBA", (2, 1), (*RED, 255))
    half.putpixel((1, 0), (0, 0, 0, 0))
    assert pixels(written(half, "PNG")).tolist() == [[[*RED], [*WHITE]]]
    gray = Image.new("LA", (2, 1), (10, 255))
    gray.putpixel((1, 0), (10, 0))
    assert pixels(written(gray, "PNG")).tolist() == [[10, 255]]
    middle = Image.new("RGBA", (1, 1), (0, 0, 0, 51))
    assert pixels(written(middle, "PNG")).tolist() == [[[204, 204, 204]]]


def test_a_palette_becomes_its_colours_and_its_transparent_entry_white() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, 0, 0, 255])
    picture.putpixel((1, 0), 1)
    assert pixels(written(picture, "PNG")).tolist() == [[[*RED], [0, 0, 255]]]
    assert pixels(written(picture, "PNG", transparency=1)).tolist() == [[[*RED], [*WHITE]]]
    assert pixels(written(picture, "PNG", transparency=b"\xff\x00")).tolist() == [[[*RED], [*WHITE]]]


def test_a_transparent_shade_of_gray_or_colour_is_white() -> None:
    gray = Image.new("L", (2, 1), 10)
    gray.putpixel((1, 0), 20)
    assert pixels(written(gray, "PNG", transparency=20)).tolist() == [[10, 255]]
    colour = Image.new("RGB", (2, 1), RED)
    colour.putpixel((1, 0), (1, 2, 3))
    assert pixels(written(colour, "PNG", transparency=(1, 2, 3))).tolist() == [[[*RED], [*WHITE]]]
    deep = Image.fromarray(np.array([[257, 514]], np.uint16))
    assert pixels(written(deep, "PNG", transparency=514)).tolist() == [[1, 255]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_gray_is_scaled_and_not_clipped(kind: str) -> None:
    deep = Image.fromarray(np.array([[0, 257, 32896, 65535, 300]], np.uint16))
    assert pixels(written(deep, kind)).tolist() == [[0, 1, 128, 255, 1]]


def test_big_endian_16_bit_gray_is_scaled_too() -> None:
    deep = Image.fromarray(np.array([[0, 32896, 65535]], ">u2"))
    assert pixels(written(deep, "TIFF")).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (np.array([[0, 128, 255]], np.int32), [0, 128, 255]),
        (np.array([[0, 32896, 65535]], np.int32), [0, 128, 255]),
        (np.array([[0, 2**30, 2**31 - 1]], np.int32), [0, 128, 255]),
        (np.array([[-100, 0, 100]], np.int32), [0, 128, 255]),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 127.6, 255]], np.float32), [0, 128, 255]),
        (np.array([[0, 32896, 65535]], np.float32), [0, 128, 255]),
        (np.array([[-1, 0, 1]], np.float32), [0, 128, 255]),
        (np.array([[7e5, 7e5, 7e5]], np.float32) * -1, [0, 0, 0]),
    ],
)
def test_integers_and_floats_are_scaled_by_the_white_that_holds_them(values: Any, wanted: list[int]) -> None:
    assert pixels(written(Image.fromarray(values), "TIFF"))[0].tolist() == wanted


def test_a_tall_float_picture_is_scaled_as_one() -> None:
    values = np.linspace(0, 1, 1000, dtype=np.float32).reshape(1000, 1)
    assert np.array_equal(pixels(written(Image.fromarray(values), "TIFF")), np.rint(values * 255))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_float_picture_with_nan_is_refused_by_name(wrong: float) -> None:
    data = written(Image.fromarray(np.array([[0, wrong]], np.float32)), "TIFF")
    with pytest.raises(ImageError, match=r"^depth\.tif has pixels that are NaN or infinite"):
        open_image(data, "depth.tif")


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_has_the_colours_it_is_printed_in(kind: str) -> None:
    """Pillow writes CMYK JPEGs inverted, with Adobe's marker, as Photoshop does."""
    data = written(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), kind)
    assert (b"Adobe" in data) == (kind == "JPEG")
    red = pixels(data)[8, 8].astype(int)
    assert np.abs(red - RED).max() <= 4


def test_bilevel_is_black_and_white_gray() -> None:
    picture = Image.new("1", (2, 1), 1)
    picture.putpixel((0, 0), 0)
    assert pixels(written(picture, "PNG")).tolist() == [[0, 255]]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    data = written(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.abs(pixels(data)[4, 4].astype(int) - RED).max() <= 4


def test_lab_is_turned_into_rgb_or_refused_by_name() -> None:
    data = written(Image.new("LAB", (4, 4)), "TIFF")
    try:
        assert open_image(data, "lab.tif").mode == "RGB"
    except ImageError as error:
        assert str(error) == "lab.tif has colours in LAB, which can't be turned into RGB: save it as RGB."


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "AVIF", "BMP", "PPM"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_picture_cut_short_is_refused_and_never_crashes(kind: str, share: float) -> None:
    data = written(noise(64, 64), kind)
    with pytest.raises(ImageError, match=r"^cut\.img is .*: "):
        open_image(data[: int(len(data) * share)], "cut.img")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "AVIF", "BMP", "PPM"])
def test_bytes_that_are_wrong_give_a_picture_or_one_sentence(kind: str) -> None:
    data = np.frombuffer(written(noise(24, 24), kind), np.uint8)
    random = np.random.default_rng(1)
    for _ in range(100):
        wrong = data.copy()
        wrong[random.integers(0, min(len(data), 200), 4)] = random.integers(0, 256, 4)
        try:
            assert open_image(wrong.tobytes(), "x.img").mode in ("L", "RGB")
        except ImageError as error:
            assert str(error).startswith("x.img ")
            assert "\n" not in str(error)


def test_a_jpeg_cut_short_is_named_and_said_to_be_so() -> None:
    data = written(noise(64, 64), "JPEG")
    with pytest.raises(ImageError, match=r"^photo\.jpg is cut short or damaged \(.+\): copy or download it again\.$"):
        open_image(data[: len(data) // 2], "photo.jpg")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"epoch,loss\n1,0.5\n", "x.png is a text file: choose a JPEG, PNG, WebP, AVIF, BMP, GIF, TIFF or PPM file."),
        (b"", "x.png is empty (0 bytes), not a picture: copy or download it again."),
        (bytes(range(256)), "x.png is no picture of a known format: choose a JPEG, "),
        (b"%PDF-1.7\n", "x.png is a PDF document: export the page as PNG."),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "x.png is a PostScript file: export it as PNG."),
        (b"\n<!doctype html><p>", "x.png is a web page: download the picture itself."),
        (b"PK\x03\x04" + bytes(30), "x.png is a ZIP archive: "),
        (b"\x00\x00\x00\x18ftypheic" + bytes(30), "x.png is a HEIC photo: save it as JPEG."),
        (b"version https://git-lfs.github.com/spec/v1\n", "x.png is a Git LFS pointer: run"),
        (b"\x89PNG\r\n\x1a\n", "x.png is a PNG that is damaged: copy or download it again."),
    ],
)
def test_what_is_no_picture_is_named_for_what_it_is(data: bytes, says: str) -> None:
    with pytest.raises(ImageError) as refused:
        open_image(data, "x.png")
    assert str(refused.value).startswith(says)


def test_a_name_that_would_repaint_the_terminal_is_written_out() -> None:
    with pytest.raises(ImageError) as refused:
        open_image(b"text", "\x1b[2J\u202egnp.exe")
    assert str(refused.value).startswith("\\x1b[2J\\u202egnp.exe is a text file")


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("width", "height"), [(10_001, 10_000), (12_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)]
)
def test_a_picture_that_claims_too_many_pixels_is_refused_before_decoding(width: int, height: int) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ImageError, match=r"^bomb\.png claims .*100,000,000.*: save it smaller\.$"):
        open_image(png_header(width, height), "bomb.png")
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    with file.open("wb") as sparse:
        sparse.truncate(256 * 2**20 + 1)
    with pytest.raises(ImageError, match=r"^large\.png has 256\.0 MiB, and pictures up to 256\.0 MiB are opened"):
        open_image(file, "large.png")


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="can't be opened"):
        open_image(tmp_path / "absent.png", "absent.png")
    with pytest.raises(ImageError, match="is a folder or a device"):
        open_image(tmp_path, "folder")
    with pytest.raises(ImageError, match="can't be opened"):
        open_image(Path("a\0b"), "nul")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="is a folder or a device"):
        open_image(tmp_path / "pipe.png", "pipe.png")


@pytest.mark.parametrize("size", [(320, 240), (241, 377), (256, 256), (100, 37), (257, 256), (224, 224), (999, 256)])
def test_imagenet_input_is_torchvisions_to_the_bit(size: tuple[int, int]) -> None:
    picture = noise(*size)
    theirs = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )(picture)
    ours = as_input(picture, preprocessing("imagenet"), 3)
    assert ours.dtype is torch.float32
    assert ours.is_contiguous()
    assert torch.equal(ours, theirs)


def test_a_picture_of_the_wanted_size_is_not_resampled() -> None:
    picture = noise(32, 32)
    ours = as_input(picture, preprocessing("none", size=32), 3)
    assert torch.equal(ours, transforms.ToTensor()(picture))


def test_gray_networks_see_luma_and_colour_networks_see_gray_three_times() -> None:
    picture = noise(32, 32)
    gray = as_input(picture, preprocessing("none", size=32, channels=1), 1)
    assert torch.equal(gray, transforms.ToTensor()(picture.convert("L")))
    three = as_input(picture.convert("L"), preprocessing("none", size=32), 3)
    assert torch.equal(three, gray.expand(3, -1, -1))


def test_caffe_input_is_blue_first_in_0_to_255_less_the_mean() -> None:
    x = as_input(Image.new("RGB", (224, 224), (10, 20, 30)), preprocessing("caffe"), 3)
    assert x[:, 0, 0].tolist() == pytest.approx([30 - 103.939, 20 - 116.779, 10 - 123.68], abs=1e-4)


def test_an_image_in_another_mode_is_flattened_first() -> None:
    clear = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    assert as_input(clear, preprocessing("none", size=32), 3).min() == 1


@pytest.mark.parametrize("channels", [2, 4, 12])
def test_other_channel_counts_are_refused(channels: int) -> None:
    row = preprocessing("none", channels=channels)
    with pytest.raises(
        PreprocessingError, match=rf"takes {channels} input channels, and pictures have 1 \(gray\) or 3"
    ):
        as_input(noise(8, 8), row, channels)


def test_a_preprocessing_for_other_channels_is_refused() -> None:
    with pytest.raises(PreprocessingError, match="make it with channels=1"):
        as_input(noise(8, 8), preprocessing("imagenet"), 1)


def test_a_thread_of_pixels_is_refused_and_not_blown_up() -> None:
    with pytest.raises(ImageError, match=r"has 1 × 2,000,000 pixels, too long and narrow"):
        as_input(Image.new("L", (1, 2_000_000)), preprocessing("imagenet"), 3)
