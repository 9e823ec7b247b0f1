"""What an image may be, and how one that may not is refused."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import ImageError

# The largest number of float16, in which features are kept; a larger one would overflow a network.
LARGEST = 65504.0

# Reading an EPS file runs it as a program in Ghostscript.
UNSAFE_FORMATS = frozenset({"EPS"})


@dataclass(frozen=True)
class Limits:
    """What an image may be; the checks raise ImageError.

    bytes: of the file.
    pixels: of the image, told from its header: a larger one is refused before it is unpacked.
    frames: of an animation, or pages of a document, of which only the first is ever shown.
    scans, strips: that a JPEG or a TIFF is put together from; the time to decode grows with them.
    reads: how often Pillow may read in the file, whose chains of blocks can be made endless.
    formats: Pillow's names of the formats that are read. EPS, which is a program, is never read.

    None stands for no limit.
    """

    bytes: int
    pixels: int
    frames: int | None = None
    scans: int | None = None
    strips: int | None = None
    reads: int | None = None
    formats: frozenset[str] | None = None

    def allows(self, format: str) -> bool:
        """Whether a file of this format is an image at all."""
        return format not in UNSAFE_FORMATS and (self.formats is None or format in self.formats)

    def check_bytes(self, n_bytes: int) -> None:
        if n_bytes > self.bytes:
            raise ImageError(f"too large: {n_bytes:,} bytes, limit {self.bytes:,}")

    def check_size(self, width: int, height: int) -> None:
        if width * height == 0:
            raise ImageError(f"empty image: {width} x {height} pixels")
        if width * height > self.pixels:
            raise ImageError(f"too large: {width} x {height}, over {self.pixels:,} pixels")


# For images that a user hands over himself. A GiB is far above any photograph and keeps a video
# under an image's name from filling the memory; 64 megapixels are 192 MB as RGB.
TRUSTED = Limits(bytes=1 << 30, pixels=64_000_000)

# For images that come from anywhere: the formats that people post, and what an honest file of
# those formats never needs. 32 megapixels take a second or two to decode. Each scan of a JPEG
# passes over all its pixels (encoders write about 10); a TIFF has no more strips than rows.
UNTRUSTED = Limits(
    bytes=20_000_000,
    pixels=32_000_000,
    frames=1_000,
    scans=32,
    strips=65_536,
    reads=400_000,
    formats=frozenset({"AVIF", "BMP", "GIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP"}),
)
