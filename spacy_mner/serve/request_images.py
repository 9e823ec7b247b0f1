"""What all endpoints have in common that open the images of requests."""

from __future__ import annotations

from ..errors import ImageError

# Images of all requests to an endpoint that are fetched at the same time.
FETCH_THREADS = 16


def masked(error: Exception) -> ImageError:
    """Return why an image is masked: no exception that it raises may end the request.

    A new exception, as the traceback of the original keeps the content of the image in memory;
    without the message of one that is not ours, which can quote a post.
    """
    return ImageError(str(error) if isinstance(error, ImageError) else type(error).__name__)
