from __future__ import annotations

import io
import struct
import time
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from spacy_mner.errors import ImageError
from spacy_mner.images.decoding import decode
from spacy_mner.images.safety.limits import TRUSTED, UNTRUSTED, Limits

from ..samples import content, noise, png_header, quarters


def reason(image: bytes, limits: Limits = UNTRUSTED) -> str:
    started = time.monotonic()
    with pytest.raises(ImageError) as caught:
        decode(image, limits)
    assert time.monotonic() - started < 5
    return str(caught.value)


def animation(n_frames: int, format: str) -> bytes:
    first, *others = (Image.new("RGB", (2, 2), (40 * i, 255 - 40 * i, 0)) for i in range(n_frames))
    return content(first, format, save_all=True, append_images=others)


def gif_of(n_frames: int) -> bytes:
    """A GIF of one pixel, whose only frame is repeated."""
    gif = content(Image.new("P", (1, 1)), "GIF")
    frame = gif[gif.index(b",") : -1]
    return gif[:-1] + n_frames * frame + b";"


def tiff_of(tags: list[tuple[int, int, int, int]], next_page: int = 0, rest: bytes = b"") -> bytes:
    """A TIFF of one directory; `rest` begins at byte 200."""
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHLL", *t) for t in tags)
    head = b"II*\0" + struct.pack("<L", 8) + directory + struct.pack("<L", next_page)
    return head.ljust(200, b"\0") + rest


GRAY_8_BY_8 = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
ONE_STRIP = [(273, 4, 1, 100), (278, 4, 1, 8), (279, 4, 1, 64)]


@pytest.mark.parametrize("format", sorted(UNTRUSTED.formats or ()))
def test_common_formats_are_decoded_from_untrusted_input(format):
    Image.init()
    if format not in Image.SAVE:
        pytest.skip(f"this Pillow does not write {format}")
    assert decode(content(quarters(), format), UNTRUSTED).shape == (16, 16, 3)


@pytest.mark.parametrize("format", ["EPS", "ICNS", "ICO", "PCX", "PPM", "SGI", "TGA"])
def test_other_formats_are_rejected_in_untrusted_input(format):
    assert reason(content(quarters(), format)).startswith("not an image: expected AVIF, BMP, ")


@pytest.mark.parametrize("format", ["ICO", "PCX", "PPM", "SGI", "TGA"])
def test_other_formats_are_decoded_from_trusted_input(format):
    assert decode(content(quarters(), format), TRUSTED).ndim == 3


def test_eps_is_rejected_in_trusted_input_too():
    assert reason(content(quarters(), "EPS"), TRUSTED) == "not an image"


def test_a_file_over_the_size_limit_is_rejected():
    png = content(quarters(), "PNG")
    assert decode(png, Limits(bytes=len(png), pixels=256)).shape == (16, 16, 3)
    assert reason(png, Limits(bytes=len(png) - 1, pixels=256)).startswith("too large")


def test_too_many_pixels_are_rejected_from_the_header():
    png = content(quarters(), "PNG")
    assert "16 x 16" in reason(png, Limits(bytes=1000, pixels=255))
    assert "9000 x 9000" in reason(png_header(9000, 9000))


@pytest.mark.parametrize("format", ["GIF", "PNG", "TIFF", "WEBP"])
def test_an_animation_is_its_first_frame_unless_it_has_too_many(format):
    limits = Limits(bytes=100_000, pixels=100, frames=5)
    assert decode(animation(5, format), limits).shape == (2, 2, 3)
    assert reason(animation(6, format), limits) == "too many frames: over 5"
    assert decode(animation(6, format), TRUSTED).shape == (2, 2, 3)


def test_an_animation_truncated_after_its_first_frame_is_decoded():
    gif = animation(3, "GIF")
    assert decode(gif[:-20], UNTRUSTED).shape == (2, 2, 3)


def test_a_gif_of_a_million_frames_is_rejected_fast():
    gif = gif_of(1_000_000)
    assert len(gif) < UNTRUSTED.bytes
    assert reason(gif)


def test_a_tiff_of_many_pages_is_rejected():
    directory = tiff_of(GRAY_8_BY_8 + ONE_STRIP)[8:110]
    places = range(200, 200 + 1_001 * 102, 102)
    pages = b"".join(directory[:-4] + struct.pack("<L", place + 102) for place in places)
    assert reason(tiff_of(GRAY_8_BY_8 + ONE_STRIP, 200, pages)) == "too many frames: over 1,000"


@pytest.mark.parametrize(
    "pages",
    [
        b"".join(struct.pack("<HL", 0, 206 + 6 * i) for i in range(1_000_000)),
        # Each page begins two bytes after the last, with the same 60,000 entries.
        b"".join(struct.pack("<H", 60_000) for _ in range(400_000)),
    ],
    ids=["a million empty pages", "overlapping pages"],
)
def test_pages_of_a_tiff_are_counted_fast(pages):
    started = time.monotonic()
    image = tiff_of(GRAY_8_BY_8 + ONE_STRIP, 200, pages)
    with suppress(ImageError):
        assert decode(image, UNTRUSTED).shape == (8, 8, 3)
    assert time.monotonic() - started < 5


def test_a_tiff_with_cyclic_pages_is_one_page():
    cyclic = tiff_of(GRAY_8_BY_8 + ONE_STRIP, 8)
    assert decode(cyclic, UNTRUSTED).shape == (8, 8, 3)


def test_a_tiff_of_a_million_strips_is_rejected_before_it_is_opened():
    n = 1_000_000
    strips = [(273, 4, n, 200), (278, 4, 1, 1), (279, 4, 1, 8)]
    tiff = tiff_of(GRAY_8_BY_8 + strips, rest=struct.pack("<L", 8) * n)
    assert reason(tiff) == "too many strips: over 65,536"


def test_a_tiff_with_one_strip_per_row_is_decoded():
    rows = Image.fromarray(noise(3000, 4))
    assert decode(content(rows, "TIFF", tiffinfo={278: 1}), UNTRUSTED).shape == (3000, 4, 3)


def progressive(extra_scans: int) -> bytes:
    jpeg = content(Image.new("L", (64, 64), 77), "JPEG", progressive=True)
    scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[:-2] + extra_scans * scan + jpeg[-2:]


def test_a_jpeg_of_many_scans_is_rejected_before_it_is_decoded():
    assert decode(progressive(5), UNTRUSTED).shape == (64, 64, 3)
    assert reason(progressive(100_000)) == "too many scans: over 32"


def test_a_jpeg_of_many_comments_between_scans_is_rejected():
    jpeg = progressive(0)
    comments = b"\xff\xfe\x00\x02" * 1_000_000
    assert reason(jpeg[:-2] + comments + progressive(9)[-2:])


def test_data_after_the_end_of_a_jpeg_does_not_count_as_scans():
    video = 1000 * (b"\xff\xda" + b"\0\x08" + b"x" * 40)
    assert decode(progressive(0) + video, UNTRUSTED).shape == (64, 64, 3)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
def test_a_benign_photo_is_within_all_limits(options):
    photo = Image.fromarray(noise(600, 800))
    assert decode(content(photo, "JPEG", quality=95, **options), UNTRUSTED).shape == (600, 800, 3)


def test_a_large_png_is_within_all_limits():
    png = content(Image.fromarray(noise(1000, 1500)), "PNG")
    assert np.array_equal(decode(png, UNTRUSTED), np.asarray(Image.open(io.BytesIO(png))))
