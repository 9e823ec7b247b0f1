"""Limits on untrusted images: file size, pixels, frames, formats (decompression bombs)."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import ImageError

# The largest float16 number, the type of cached features; larger values would overflow a network.
LARGEST = 65504.0

# Formats that Pillow identifies and are never decoded: an EPS or WMF file would be executed, by
# Ghostscript or by Windows; for the others, Pillow has no decoder.
EXCLUDED_FORMATS = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})


@dataclass(frozen=True)
class Limits:
    """Upper limits on an image file; the checks raise ImageError. None means no limit.

    bytes: of the file.
    pixels: of the image, from its header: a decompression bomb is rejected before decoding.
    frames: of an animation, or pages of a document, of which only the first is used.
    scans, strips: of a JPEG or a TIFF; the time to decode grows with them.
    reads: read calls by Pillow; chains of blocks in a file can be cyclic.
    formats: Pillow's names of the formats that are read, except EXCLUDED_FORMATS.
    """

    bytes: int
    pixels: int
    frames: int | None = None
    scans: int | None = None
    strips: int | None = None
    reads: int | None = None
    formats: frozenset[str] | None = None

    def allows(self, format: str) -> bool:
        """Return whether files of this format are read."""
        return format not in EXCLUDED_FORMATS and (self.formats is None or format in self.formats)

    def check_bytes(self, n_bytes: int) -> None:
        if n_bytes > self.bytes:
            raise ImageError(f"too large: {n_bytes:,} bytes, limit {self.bytes:,}")

    def check_size(self, width: int, height: int) -> None:
        if width * height == 0:
            raise ImageError(f"empty image: {width} x {height} pixels")
        if width * height > self.pixels:
            raise ImageError(f"too large: {width} x {height}, over {self.pixels:,} pixels")


# For images from the user. 1 GiB is far above any photograph, but prevents a video with an image's
# file name from filling the memory; 64 megapixels are 192 MB as RGB.
TRUSTED = Limits(bytes=1 << 30, pixels=64_000_000)

# For untrusted images: the formats that people post, and bounds that benign files do not exceed.
# 32 megapixels take a second or two to decode. Each scan of a JPEG decodes all its pixels
# (encoders write about 10 scans); a TIFF has at most as many strips as rows.
UNTRUSTED = Limits(
    bytes=20_000_000,
    pixels=32_000_000,
    frames=1_000,
    scans=32,
    strips=65_536,
    reads=400_000,
    formats=frozenset({"AVIF", "BMP", "GIF", "HEIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP"}),
)
