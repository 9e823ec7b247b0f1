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


def film(n_frames: int, format: str) -> bytes:
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


GREY_8_BY_8 = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
ONE_STRIP = [(273, 4, 1, 100), (278, 4, 1, 8), (279, 4, 1, 64)]


@pytest.mark.parametrize("format", sorted(UNTRUSTED.formats or ()))
def test_formats_that_people_post_are_read(format):
    Image.init()
    if format not in Image.SAVE:
        pytest.skip(f"this Pillow does not write {format}")
    assert decode(content(quarters(), format), UNTRUSTED).shape == (16, 16, 3)


@pytest.mark.parametrize("format", ["EPS", "ICNS", "ICO", "PCX", "PPM", "SGI", "TGA"])
def test_other_formats_are_none_in_untrusted_input(format):
    assert reason(content(quarters(), format)) == "not an image"


@pytest.mark.parametrize("format", ["ICO", "PCX", "PPM", "SGI", "TGA"])
def test_a_user_may_hand_over_any_format(format):
    assert decode(content(quarters(), format), TRUSTED).ndim == 3


def test_a_program_is_read_for_nobody():
    assert reason(content(quarters(), "EPS"), TRUSTED) == "not an image"


def test_a_file_of_too_many_bytes_is_refused():
    png = content(quarters(), "PNG")
    assert decode(png, Limits(bytes=len(png), pixels=256)).shape == (16, 16, 3)
    assert reason(png, Limits(bytes=len(png) - 1, pixels=256)).startswith("too large")


def test_an_image_of_too_many_pixels_is_refused_from_its_header():
    png = content(quarters(), "PNG")
    assert "16 x 16" in reason(png, Limits(bytes=1000, pixels=255))
    assert "9000 x 9000" in reason(png_header(9000, 9000))


@pytest.mark.parametrize("format", ["GIF", "PNG", "TIFF", "WEBP"])
def test_a_film_is_its_first_frame_until_it_is_too_long(format):
    limits = Limits(bytes=100_000, pixels=100, frames=5)
    assert decode(film(5, format), limits).shape == (2, 2, 3)
    assert reason(film(6, format), limits) == "over 5 frames"
    assert decode(film(6, format), TRUSTED).shape == (2, 2, 3)


def test_a_film_that_breaks_off_after_its_first_frame_is_an_image():
    gif = film(3, "GIF")
    assert decode(gif[:-20], UNTRUSTED).shape == (2, 2, 3)


def test_a_gif_of_a_million_frames_is_refused_at_once():
    gif = gif_of(1_000_000)
    assert len(gif) < UNTRUSTED.bytes
    assert reason(gif)


def test_a_tiff_of_many_pages_is_refused():
    directory = tiff_of(GREY_8_BY_8 + ONE_STRIP)[8:110]
    places = range(200, 200 + 1_001 * 102, 102)
    pages = b"".join(directory[:-4] + struct.pack("<L", place + 102) for place in places)
    assert reason(tiff_of(GREY_8_BY_8 + ONE_STRIP, 200, pages)) == "over 1,000 frames"


@pytest.mark.parametrize(
    "pages",
    [
        b"".join(struct.pack("<HL", 0, 206 + 6 * i) for i in range(1_000_000)),
        # Each page begins two bytes after the last, and reads the same 60,000 entries again.
        b"".join(struct.pack("<H", 60_000) for _ in range(400_000)),
    ],
    ids=["a million empty pages", "overlapping pages"],
)
def test_counting_the_pages_of_a_tiff_takes_no_time(pages):
    started = time.monotonic()
    image = tiff_of(GREY_8_BY_8 + ONE_STRIP, 200, pages)
    with suppress(ImageError):
        assert decode(image, UNTRUSTED).shape == (8, 8, 3)
    assert time.monotonic() - started < 5


def test_a_tiff_whose_pages_go_round_in_a_circle_is_one_page():
    circle = tiff_of(GREY_8_BY_8 + ONE_STRIP, 8)
    assert decode(circle, UNTRUSTED).shape == (8, 8, 3)


def test_a_tiff_of_a_million_strips_is_refused_before_it_is_opened():
    n = 1_000_000
    strips = [(273, 4, n, 200), (278, 4, 1, 1), (279, 4, 1, 8)]
    tiff = tiff_of(GREY_8_BY_8 + strips, rest=struct.pack("<L", 8) * n)
    assert reason(tiff) == "over 65,536 strips"


def test_a_tiff_with_a_strip_for_each_row_is_an_image():
    rows = Image.fromarray(noise(3000, 4))
    assert decode(content(rows, "TIFF", tiffinfo={278: 1}), UNTRUSTED).shape == (3000, 4, 3)


def progressive(extra_scans: int) -> bytes:
    jpeg = content(Image.new("L", (64, 64), 77), "JPEG", progressive=True)
    scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[:-2] + extra_scans * scan + jpeg[-2:]


def test_a_jpeg_of_endless_scans_is_refused_before_it_is_unpacked():
    assert decode(progressive(5), UNTRUSTED).shape == (64, 64, 3)
    assert reason(progressive(100_000)) == "over 32 scans"


def test_a_jpeg_of_endless_comments_between_its_scans_is_refused():
    jpeg = progressive(0)
    comments = b"\xff\xfe\x00\x02" * 1_000_000
    assert reason(jpeg[:-2] + comments + progressive(9)[-2:])


def test_what_follows_a_jpeg_does_not_count_as_its_scans():
    video = 1000 * (b"\xff\xda" + b"\0\x08" + b"x" * 40)
    assert decode(progressive(0) + video, UNTRUSTED).shape == (64, 64, 3)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
def test_an_honest_photo_is_within_all_limits(options):
    photo = Image.fromarray(noise(600, 800))
    assert decode(content(photo, "JPEG", quality=95, **options), UNTRUSTED).shape == (600, 800, 3)


def test_a_large_png_is_within_all_limits():
    png = content(Image.fromarray(noise(1000, 1500)), "PNG")
    assert np.array_equal(decode(png, UNTRUSTED), np.asarray(Image.open(io.BytesIO(png))))
