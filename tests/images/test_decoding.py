from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFile

from spacy_mner.errors import ImageError
from spacy_mner.images.decoding import (
    check_format,
    decode,
    decode_array,
    decode_image,
    image_suffixes,
)
from spacy_mner.images.safety.limits import TRUSTED, UNTRUSTED

from .samples import content, noise, png_header, quarters

RED, GREEN, BLUE, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]


def corners(pixels: np.ndarray) -> list[list[int]]:
    """Colors of the corners: above left, above right, below left, below right."""
    return [pixels[y, x].tolist() for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1))]


def reason(value: bytes | Image.Image | np.ndarray) -> str:
    read = {bytes: decode, np.ndarray: decode_array}.get(type(value), decode_image)
    with pytest.raises(ImageError) as caught:
        read(value)
    return str(caught.value)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_are_decoded_exactly(format):
    pixels = decode(content(Image.fromarray(noise()), format))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, noise())


def heic_of(image: Image.Image) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    return content(image, "HEIF", quality=100)


def test_heif_is_decoded_with_its_extra():
    heic = heic_of(quarters().resize((64, 64), 0))
    found = np.array(corners(decode(heic, UNTRUSTED)), int)
    assert np.abs(found - [RED, GREEN, BLUE, WHITE]).max() < 8
    with pytest.raises(ImageError, match="too large: 64 x 64"):
        decode(heic, replace(UNTRUSTED, pixels=4095))
    # The size in the header is checked; the decoder checks that of the content.
    size = b"ispe" + struct.pack(">III", 0, 64, 64)
    with pytest.raises(ImageError):
        decode(heic.replace(size, b"ispe" + struct.pack(">III", 0, 4, 4)), UNTRUSTED)


@pytest.mark.parametrize("brands", [b"heic\0\0\0\0mif1heic", b"mif1\0\0\0\0mif1miafheix"])
def test_the_reason_names_the_extra_for_heif(monkeypatch, brands):
    monkeypatch.setattr("spacy_mner.images.decoding._formats", lambda: ["AVIF", "PNG"])
    assert "spacy-mner[heif]" in reason(b"\0\0\0\x1cftyp" + brands)


def test_the_reason_lists_the_formats_that_are_decoded_here(monkeypatch):
    monkeypatch.setattr("spacy_mner.images.decoding._formats", lambda: ["EPS", "PNG", "WEBP"])
    with pytest.raises(ImageError, match=r"^not an image: expected PNG, WEBP$"):
        decode(b"a text", UNTRUSTED)


def test_suffixes_are_those_of_formats_that_are_decoded():
    posted = {".jpg", ".jpe", ".jfif", ".mpo", ".png", ".avif", ".webp", ".tif", ".jp2", ".heic"}
    assert posted < image_suffixes()
    assert not image_suffixes() & {".eps", ".ps", ".wmf", ".h5", ".mpg", ".pdf"}


def test_an_image_of_one_pixel_is_decoded():
    assert decode(content(Image.new("RGB", (1, 1), "red"), "PNG")).tolist() == [[RED]]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize(
    "orientation, upright",
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ],
)
def test_exif_orientation_is_applied(format, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert corners(decode(content(quarters(), format, exif=exif))) == upright


def test_exif_orientation_can_swap_width_and_height():
    exif = Image.Exif()
    exif[0x0112] = 6
    jpeg = content(Image.new("RGB", (30, 20)), "JPEG", exif=exif)
    assert decode(jpeg).shape == (30, 20, 3)


def test_corrupt_exif_is_ignored():
    jpeg = content(quarters(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert decode(jpeg).shape == (16, 16, 3)


@pytest.mark.parametrize("format, order", [("PNG", "<u2"), ("TIFF", "<u2"), ("TIFF", ">u2")])
def test_16_bit_values_are_scaled_and_not_clipped(format, order):
    values = np.array([[0, 257, 0x7FFF, 0xFEFE, 0xFFFF]], dtype=order)
    pixels = decode(content(Image.fromarray(values), format))
    assert pixels[0, :, 0].tolist() == [0, 1, 127, 254, 255]
    assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize(
    "values, gray",
    [
        ([0.0, 0.2, 1.0], [0, 51, 255]),
        ([-100.0, 0.0, 100.0], [0, 128, 255]),
        ([np.nan, 0.2, 1.0], [0, 51, 255]),
        ([5.0, 5.0, 5.0], [0, 0, 0]),
    ],
)
def test_floats_outside_the_unit_range_are_scaled_by_their_own_range(values, gray):
    image = Image.fromarray(np.array([values], dtype=np.float32))
    assert decode_image(image)[0, :, 0].tolist() == gray


def test_cmyk_is_converted_to_rgb():
    magenta_and_yellow = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert corners(decode(content(magenta_and_yellow, "JPEG"))) == [RED] * 4


@pytest.mark.parametrize(
    "image, options, color",
    [
        (Image.new("RGBA", (2, 2), (0, 0, 0, 0)), {}, 255),
        (Image.new("RGBA", (2, 2), (0, 0, 0, 128)), {}, 127),
        (Image.new("LA", (2, 2), (0, 0)), {}, 255),
        (Image.new("L", (2, 2), 7), {"transparency": 7}, 255),
        (Image.new("P", (2, 2), 0), {"transparency": 0}, 255),
        (Image.new("P", (2, 2), 0), {}, 0),
        (Image.new("1", (2, 2), 1), {}, 255),
    ],
)
def test_transparency_is_composed_onto_white(image, options, color):
    assert (decode(content(image, "PNG", **options)) == color).all()


@pytest.mark.parametrize("format", ["GIF", "PNG", "TIFF"])
def test_an_animation_is_its_first_frame(format):
    first, second = Image.new("RGB", (6, 6), "red"), Image.new("RGB", (6, 6), "blue")
    animation = content(first, format, save_all=True, append_images=[second])
    assert corners(decode(animation)) == [RED] * 4


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_jpeg_is_rejected(options, share):
    jpeg = content(Image.fromarray(noise(200, 200)), "JPEG", **options)
    assert reason(jpeg[: int(share * len(jpeg))]) == "truncated file"


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_truncated_files_of_other_formats_are_rejected(format):
    whole = content(Image.fromarray(noise(200, 200)), format)
    assert reason(whole[: len(whole) // 2])


def test_an_image_truncated_at_any_byte_is_decoded_or_rejected():
    png = content(Image.fromarray(noise(9, 9)), "PNG")
    for end in range(len(png)):
        try:
            assert decode(png[:end]).shape == (9, 9, 3)
        except ImageError as error:
            assert str(error)


@pytest.mark.parametrize("side", [8_001, 20_000, 100_000])
def test_a_decompression_bomb_is_rejected_without_changing_settings_of_pillow(side, recwarn):
    settings = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    assert reason(png_header(side, side)).startswith("too large")
    assert settings == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


def test_limits_apply_when_those_of_pillow_are_disabled(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert "20000 x 20000" in reason(png_header(20_000, 20_000))
    assert TRUSTED.pixels < 20_000**2


def test_an_image_at_the_limit_is_not_too_large():
    assert "too large" not in reason(png_header(8_000, 8_000))


@pytest.mark.parametrize(
    "value, words",
    [
        (b"", "empty file"),
        (b"hello, this is a text", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (content(quarters(), "EPS"), "not an image"),
        (png_header(0, 5), "not an image"),
        (Image.new("RGB", (0, 3)), "empty image"),
        (np.zeros((0, 3, 3), np.uint8), "empty image"),
        (np.zeros((3, 3, 3), np.float32), "float32"),
        (np.zeros((3, 3, 2), np.uint8), "[3, 3, 2]"),
        (np.zeros((2, 3, 3, 3), np.uint8), "[2, 3, 3, 3]"),
        (np.zeros(3, np.uint8), "[3]"),
        (np.zeros((), np.uint8), "[]"),
    ],
)
def test_invalid_images_are_rejected_with_the_reason(value, words):
    assert words in reason(value)


@pytest.mark.parametrize(
    "error", [OSError("disk"), SyntaxError("x"), MemoryError(), IndexError("y"), KeyError(3)]
)
def test_any_exception_of_pillow_becomes_an_image_error(monkeypatch, error):
    def fail(image):
        raise error

    monkeypatch.setattr(Image.Image, "load", fail)
    assert reason(quarters())


def test_gray_arrays_and_arrays_with_alpha_are_converted():
    gray = noise()[..., 0]
    assert np.array_equal(decode_array(gray), gray[..., None].repeat(3, 2))
    assert (decode_array(np.zeros((2, 3, 4), np.uint8)) == 255).all()
    assert np.array_equal(decode_array(noise()[:, ::-1]), noise()[:, ::-1])


def test_a_pil_image_is_not_modified():
    image = Image.fromarray(noise()).convert("P")
    before = image.tobytes(), image.mode, image.size
    decode_image(image)
    assert (image.tobytes(), image.mode, image.size) == before


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_the_format_of_a_file_is_checked_by_its_header_alone(format, tmp_path):
    whole = content(quarters(), format)
    (tmp_path / "whole.txt").write_bytes(whole)
    check_format(tmp_path / "whole.txt")
    (tmp_path / "shifted.txt").write_bytes(b"x" + whole)
    with pytest.raises(ImageError):
        check_format(tmp_path / "shifted.txt")


def test_pixels_are_not_decoded_to_check_a_format(tmp_path):
    (tmp_path / "1.png").write_bytes(png_header(100, 100))
    check_format(tmp_path / "1.png")
