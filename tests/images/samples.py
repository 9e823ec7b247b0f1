"""Images made for the tests: as PIL images, and as the content of files."""

from __future__ import annotations

import io
import math
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageDraw


def content(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


# The content of a file that is an image.
SMALLEST = content(Image.new("L", (1, 1)), "PNG")


def noise(height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def quarters() -> Image.Image:
    """Red and green above blue and white: different in each of the eight orientations."""
    corners = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    return Image.fromarray(np.ascontiguousarray(corners.repeat(8, 0).repeat(8, 1)))


def clock() -> np.ndarray:
    image = Image.new("RGB", (300, 300), "tan")
    draw = ImageDraw.Draw(image)
    draw.ellipse((30, 30, 270, 270), fill="white", outline="black", width=8)
    for hour in range(12):
        x, y = math.sin(math.pi * hour / 6), -math.cos(math.pi * hour / 6)
        ends = [(150 + 95 * x, 150 + 95 * y), (150 + 110 * x, 150 + 110 * y)]
        draw.line(ends, fill="black", width=6)
    draw.line([(150, 150), (150, 70)], fill="black", width=6)
    draw.line([(150, 150), (205, 180)], fill="black", width=9)
    return np.asarray(image)


def png_header(width: int, height: int) -> bytes:
    """A PNG of 70 bytes that promises width x height pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
