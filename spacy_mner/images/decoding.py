"""Decoding image files, PIL images and arrays into upright RGB pixels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import ImageError
from .safety.decompression_bombs import check_frames, check_scans, check_strips, open_content
from .safety.limits import TRUSTED, Limits

# Values of more than 8 bits that are scaled at a time: bounds the memory of their 64-bit copies.
BLOCK = 1 << 20

# HEIF (HEIC on phones) is decoded by pillow-heif, which is optional.
HEIF_SUFFIXES = frozenset({".heic", ".heics", ".heif", ".heifs", ".hif"})
# The first box of a HEIF file, with the brand of one of its codecs (HEVC).
HEIF = re.compile(rb".{4}ftyp.{0,60}?he[iv][cxms]", re.DOTALL)
HEIF_LENGTH = 72

EXIF_ORIENTATION = 0x0112
TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(content: bytes, limits: Limits = TRUSTED) -> np.ndarray:
    """Decode the content of an image file: uint8 [h, w, 3].

    The format is detected from the content, never from a file name. Raises ImageError for any
    defect, and for content over the limits (decompression bombs).
    """
    if not content:
        raise ImageError("empty file")
    limits.check_bytes(len(content))
    formats = [name for name in _formats() if limits.allows(name)]
    with _image_errors(limits):
        _check_heif(content, limits)
        check_strips(content, limits)
        with Image.open(open_content(content, limits), formats=formats) as image:
            limits.check_size(*image.size)
            check_frames(content, formats, limits)
            if image.format in ("JPEG", "MPO"):
                check_scans(content, limits)
            return _rgb(image)


def check_format(path: Path) -> None:
    """Raise ImageError for a file whose header is not that of an image that `decode` supports.

    Its pixels are not decoded.
    """
    with _image_errors(TRUSTED), path.open("rb") as file:
        start = file.read(HEIF_LENGTH)
        if not start:
            raise ImageError("empty file")
        _check_heif(start, TRUSTED)
        file.seek(0)
        Image.open(file, formats=[name for name in _formats() if TRUSTED.allows(name)]).close()


def decode_image(image: Image.Image) -> np.ndarray:
    """Convert the current frame of a PIL image to RGB: uint8 [h, w, 3].

    Raises ImageError if it cannot be loaded.
    """
    with _image_errors(TRUSTED):
        TRUSTED.check_size(*image.size)
        return _rgb(image)


def decode_array(array: np.ndarray) -> np.ndarray:
    """Convert uint8 [h, w], [h, w, 3] or [h, w, 4] (with alpha) to RGB: uint8 [h, w, 3].

    Raises ImageError for any other shape or type.
    """
    if array.dtype != np.uint8 or not (array.ndim == 2 or array.shape[2:] in {(3,), (4,)}):
        raise ImageError(
            f"not an image: array of {array.dtype} with shape {list(array.shape)}, "
            "expected uint8 [height, width, 3]"
        )
    TRUSTED.check_size(array.shape[1], array.shape[0])
    return decode_image(Image.fromarray(np.ascontiguousarray(array)))


@cache
def image_suffixes() -> frozenset[str]:
    """Return the suffixes of the images that `decode` supports, such as ".jpg", in lower case."""
    # Pillow opens MPO as JPEG.
    formats = {name for name in (*_formats(), "MPO") if TRUSTED.allows(name)}
    found = {suffix for suffix, name in Image.registered_extensions().items() if name in formats}
    return HEIF_SUFFIXES | found


@cache
def _formats() -> list[str]:
    """Return Pillow's names of the formats that can be opened, in the order in which it tries."""
    Image.init()
    with suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    return list(Image.ID)


def _check_heif(content: bytes, limits: Limits) -> None:
    """Raise ImageError for a HEIF file if its optional decoder is missing."""
    if "HEIF" not in _formats() and limits.allows("HEIF") and HEIF.match(content):
        raise ImageError("a HEIF (HEIC) image: pip install 'spacy-mner[heif]'")


@contextmanager
def _image_errors(limits: Limits) -> Iterator[None]:
    """Convert Pillow's exceptions to ImageError."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        known = sorted(limits.formats.intersection(_formats())) if limits.formats else []
        expected = f": expected {', '.join(known)}" if known else ""
        raise ImageError(f"not an image{expected}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"too large: over {limits.pixels:,} pixels") from error
    except MemoryError as error:
        raise ImageError("too large: out of memory") from error
    # On corrupt files, Pillow's plugins raise SyntaxError, struct.error, KeyError and many more.
    except Exception as error:
        if "truncated" in str(error).lower():
            raise ImageError("truncated file") from error
        raise ImageError(f"broken file: {str(error) or type(error).__name__}"[:120]) from error


def _rgb(image: Image.Image) -> np.ndarray:
    # Orientation is read after loading: Pillow transposes a TIFF itself and removes the tag.
    image.load()
    transpose = TRANSPOSES.get(_orientation(image))
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    elif image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    if image.mode != "RGB":
        image = image.convert("RGB")
    return np.array(image if transpose is None else image.transpose(transpose))


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, or 1 (upright) if the EXIF data is corrupt."""
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:
        return 1


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Scale gray values of more than 8 bits to uint8, without clipping.

    White is 65535 for integers and 1 for floats; an image with values outside [0, white] is
    scaled by its own minimum and maximum.
    """
    flat = values.reshape(-1)
    blocks = [slice(start, start + BLOCK) for start in range(0, flat.size, BLOCK)]
    low, high = 0.0, 1.0 if values.dtype.kind == "f" else 65535.0
    lowest = min(_finite(flat[block]).min() for block in blocks)
    highest = max(_finite(flat[block]).max() for block in blocks)
    if lowest < low or highest > high:
        low, high = lowest, highest
    gray = np.empty(flat.shape, dtype=np.uint8)
    for block in blocks:
        gray[block] = np.rint((_finite(flat[block]) - low) / ((high - low) or 1.0) * 255)
    return gray.reshape(values.shape)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.nan_to_num(values.astype(np.float64))
