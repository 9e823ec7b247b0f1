"""Telling files that are made to keep a decoder busy for hours, before it is.

A header says how many pixels an image unpacks to, but not how often a decoder will pass over
them, nor how long its chains of frames and blocks are.
"""

from __future__ import annotations

import io
import re
from typing import IO

from PIL import Image, TiffImagePlugin

from ...errors import ImageError
from .limits import Limits

# Of the size of the file; honest files are read once, and some of their beginning again.
READINGS = 8

# In a JPEG, what follows FF in the data of a scan is 00 or a restart marker (D0 to D7).
MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
SCAN, END = 0xDA, 0xD9
# Honest files have some per scan, and one for each 64 KB of color profile or preview.
MAX_MARKERS = 100_000


class MeteredContent(io.BytesIO):
    """The content of an image file that can be read only so often; then raises ImageError."""

    def __init__(self, content: bytes, reads: int) -> None:
        super().__init__(content)
        self._reads_left = reads
        self._bytes_left = READINGS * len(content)

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._reads_left -= 1
        self._bytes_left -= len(data)
        if self._reads_left < 0 or self._bytes_left < 0:
            raise ImageError("broken file: it would be read over and over")
        return data


def open_content(content: bytes, limits: Limits) -> IO[bytes]:
    """The content as a file for Pillow."""
    if limits.reads is None:
        return io.BytesIO(content)
    return MeteredContent(content, limits.reads)


def check_strips(content: bytes, limits: Limits) -> None:
    """Refuse a TIFF of too many strips or tiles, of which Pillow lists each when it opens it."""
    if limits.strips is None or not content.startswith(tuple(TiffImagePlugin.PREFIXES)):
        return
    big = content[2:4] in (b"+\0", b"\0+")
    directory = TiffImagePlugin.ImageFileDirectory_v2(content[: 16 if big else 8])
    file = open_content(content, limits)
    file.seek(directory.next)
    directory.load(file)
    for tag in (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.TILEOFFSETS):
        if len(directory.get(tag, ())) > limits.strips:
            raise ImageError(f"over {limits.strips:,} strips")


def check_scans(content: bytes, limits: Limits) -> None:
    """Refuse a JPEG of too many scans, each of which passes over all pixels."""
    if limits.scans is None:
        return
    scans, place = 0, 2
    for _ in range(MAX_MARKERS):
        marker = MARKER.search(content, place)
        if marker is None or content[marker.end() - 1] == END:
            return
        scans += content[marker.end() - 1] == SCAN
        if scans > limits.scans:
            break
        place = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], "big")
    raise ImageError(f"over {limits.scans:,} scans")


def check_frames(content: bytes, formats: list[str], limits: Limits) -> None:
    """Refuse a film: what has more frames or pages than the limits allow."""
    if limits.frames is None:
        return
    try:
        with Image.open(open_content(content, limits), formats=formats) as film:
            too_many = _has_more(film, limits.frames)
    except ImageError:
        raise
    # A film that breaks off still has the first frame, which is judged where it is decoded.
    except Exception:
        return
    if too_many:
        raise ImageError(f"over {limits.frames:,} frames")


def _has_more(film: Image.Image, frames: int) -> bool:
    if film.format != "TIFF":
        return getattr(film, "n_frames", 1) > frames
    # Counting its pages compares each with all before it; going to one of them decodes nothing.
    try:
        film.seek(frames)
    except EOFError:
        return False
    return True
