"""Small valid images in all formats that Pillow writes, and more that it reads."""

from __future__ import annotations

import io
import time
import warnings
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image

from .rare_images import rare_images

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F")
# Formats that store the time of writing unless it is an option.
TIMED = ("PDF",)
# Options of formats that are decoded by other code.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "JPEG": [{"progressive": True}, {"restart_marker_blocks": 1, "subsampling": 0}],
    "TIFF": [{"compression": name} for name in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg")]
    + [{"tiffinfo": {278: 1}}, {"big_tiff": True}],
    "PNG": [{"bits": 2}, {"compress_level": 0}],
    "WEBP": [{"lossless": True}],
    "AVIF": [{"quality": 100, "subsampling": "4:4:4", "speed": 10}],
    "JPEG2000": [{"irreversible": True}, {"tile_size": (16, 16)}, {"no_jp2": True}],
    "TGA": [{"compression": "tga_rle"}],
    "DDS": [{"pixel_format": name} for name in ("DXT1", "DXT5", "BC5")],
    "BLP": [{"blp_version": "BLP1"}],
    "ICO": [{"bitmap_format": "bmp", "sizes": [(16, 16)]}],
    "SGI": [{"bpc": 2}],
    "PDF": [{"creationDate": time.gmtime(0), "modDate": time.gmtime(0)}],
}


def image_seeds() -> dict[str, list[bytes]]:
    """Return images by format, only a header of some; they depend on the version of Pillow."""
    Image.init()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return dict(sorted(_seeds().items()))


def _seeds() -> dict[str, list[bytes]]:
    seeds = {format: [content] for format, content in rare_images().items()}
    for format in Image.SAVE:
        if format not in seeds:
            seeds[format] = list(dict.fromkeys(_single_frames(format)))
    for format in ("AVIF", "GIF", "MPO", "PNG", "TIFF", "WEBP"):
        seeds[format].append(_animation(format))
    for format in ("AVIF", "JPEG", "PNG", "TIFF", "WEBP"):
        seeds[format].append(_rotated(format))
    return seeds


def _single_frames(format: str) -> list[bytes]:
    plain: list[dict[str, Any]] = [] if format in TIMED else [{}]
    written = []
    for mode in MODES:
        for options in plain + VARIANTS.get(format, []):
            if options.get("compression") == "jpeg" and mode not in ("L", "RGB", "CMYK"):
                continue  # libtiff would print errors
            # Most formats support some modes and options only.
            with suppress(OSError, ValueError, KeyError, TypeError, RuntimeError):
                written.append(_content(_image(mode), format, **options))
    return written


def _image(mode: str) -> Image.Image:
    """24 x 16 pixels, half a gradient and half noise."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 4), dtype=np.uint8)
    noise[:8] = np.linspace(0, 255, 24, dtype=np.uint8)[None, :, None]
    if mode == "I;16":
        return Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    image = Image.fromarray(noise, "RGBA")
    if mode != "P":
        return image.convert(mode)
    palette = image.convert("RGB").quantize(16)
    palette.info["transparency"] = 3
    return palette


def _content(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _animation(format: str) -> bytes:
    frames = [Image.new("RGB", (12, 12), (60 * i, 255 - 60 * i, 20)) for i in range(4)]
    animation = _content(frames[0], format, save_all=True, append_images=frames[1:])
    return _without_time(animation) if format == "AVIF" else animation


def _without_time(animation: bytes) -> bytes:
    """Clear the times of an AVIF, which follow name, version and flags of three boxes."""
    timeless = bytearray(animation)
    for box in (b"mvhd", b"tkhd", b"mdhd"):
        position = animation.index(box) + 8
        timeless[position : position + 16] = bytes(16)
    return bytes(timeless)


def _rotated(format: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x0132] = 6, "an image", "2020:01:01 00:00:00"
    exif.get_ifd(0x8769)[0x9286] = b"a comment"
    return _content(_image("RGB"), format, exif=exif)
