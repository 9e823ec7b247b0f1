"""Files as `data:` URIs in base64, as JSON and CSV represent bytes."""

from __future__ import annotations

import base64

from ..errors import ImageError
from .safety.limits import TRUSTED, Limits

DATA_URI = "data:"
# The first bytes of the image formats that every browser displays.
MEDIA_TYPES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
}


def encode_data_uri(content: bytes) -> str:
    """Return a data URI, with the media type of a JPEG, PNG or GIF file."""
    matching = (name for start, name in MEDIA_TYPES.items() if content.startswith(start))
    return f"{DATA_URI}{next(matching, '')};base64,{base64.b64encode(content).decode('ascii')}"


def is_data_uri(reference: str) -> bool:
    """Return whether a reference begins with "data:", in any case."""
    return reference[: len(DATA_URI)].lower() == DATA_URI


def decode_data_uri(uri: str, limits: Limits = TRUSTED) -> bytes:
    """Return the content of a data URI.

    Raises ImageError if it is not base64, or larger than the limit.
    """
    header, comma, data = uri.partition(",")
    if not comma or not header.lower().endswith(";base64"):
        raise ImageError("a data URI without base64 data")
    limits.check_bytes(3 * (len(data) // 4) - data[-2:].count("="))
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:  # also for non-ASCII characters
        raise ImageError(f"a damaged data URI ({error})") from error
