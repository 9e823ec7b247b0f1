"""Detection of decompression bombs: files crafted to make decoding take hours or exhaust memory.

The header has the number of pixels (checked by `Limits.check_size`), but not how often the
decoder processes them, nor the length of chains of frames and blocks. These checks run before
decoding.
"""

from __future__ import annotations

import io
import re
from typing import IO

from PIL import Image, TiffImagePlugin

from ...errors import ImageError
from .limits import Limits

# Bytes that may be read, as a multiple of the file size; benign files are read about once.
READ_FACTOR = 8

# In the data of a JPEG scan, FF is followed by 00 or a restart marker (D0 to D7).
MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
SCAN, END = 0xDA, 0xD9
# Benign files have a few per scan, and one per 64 KB of color profile or preview.
MAX_MARKERS = 100_000


class MeteredContent(io.BytesIO):
    """A file object that raises ImageError after too many read calls or bytes.

    reads: maximum number of read calls.
    """

    def __init__(self, content: bytes, reads: int) -> None:
        super().__init__(content)
        self._reads_left = reads
        self._bytes_left = READ_FACTOR * len(content)

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._reads_left -= 1
        self._bytes_left -= len(data)
        if self._reads_left < 0 or self._bytes_left < 0:
            raise ImageError("broken file: read too many times (cyclic structure)")
        return data


def open_content(content: bytes, limits: Limits) -> IO[bytes]:
    """Return the content as a file object for Pillow, metered by the limits."""
    if limits.reads is None:
        return io.BytesIO(content)
    return MeteredContent(content, limits.reads)


def check_strips(content: bytes, limits: Limits) -> None:
    """Raise ImageError for a TIFF with too many strips or tiles, all of which Pillow lists."""
    if limits.strips is None or not content.startswith(tuple(TiffImagePlugin.PREFIXES)):
        return
    big = content[2:4] in (b"+\0", b"\0+")
    directory = TiffImagePlugin.ImageFileDirectory_v2(content[: 16 if big else 8])
    file = open_content(content, limits)
    file.seek(directory.next)
    directory.load(file)
    for tag in (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.TILEOFFSETS):
        if len(directory.get(tag, ())) > limits.strips:
            raise ImageError(f"too many strips: over {limits.strips:,}")


def check_scans(content: bytes, limits: Limits) -> None:
    """Raise ImageError for a JPEG with too many scans, each of which decodes all pixels."""
    if limits.scans is None:
        return
    scans, position = 0, 2
    for _ in range(MAX_MARKERS):
        marker = MARKER.search(content, position)
        if marker is None or content[marker.end() - 1] == END:
            return
        scans += content[marker.end() - 1] == SCAN
        if scans > limits.scans:
            break
        position = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], "big")
    raise ImageError(f"too many scans: over {limits.scans:,}")


def check_frames(content: bytes, formats: list[str], limits: Limits) -> None:
    """Raise ImageError for an animation or document with too many frames or pages."""
    if limits.frames is None:
        return
    try:
        with Image.open(open_content(content, limits), formats=formats) as image:
            too_many = _has_more(image, limits.frames)
    except ImageError:
        raise
    # The first frame of a truncated file may be intact; decoding it raises the error, if any.
    except Exception:
        return
    if too_many:
        raise ImageError(f"too many frames: over {limits.frames:,}")


def _has_more(image: Image.Image, frames: int) -> bool:
    if image.format != "TIFF":
        return getattr(image, "n_frames", 1) > frames
    # n_frames takes quadratic time for a TIFF, and seeking decodes nothing.
    try:
        image.seek(frames)
    except EOFError:
        return False
    return True
