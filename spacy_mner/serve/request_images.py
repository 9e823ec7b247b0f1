"""The images of requests: fetched at once, under one deadline, and within the memory of bodies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import anyio
from fastapi import Request

from ..annotate.image_opener import Images
from ..errors import ImageError
from ..images.reference import BytesImage, LazyImage
from .request_bodies import TOO_MANY, BodyReader

# Images that are fetched at the same time, of all requests and of one: a request with many of a
# slow host must leave threads to the others.
THREADS, REQUEST_THREADS = 16, 4

# Fetches an image in at most so many seconds. Raises ImageError if it fails.
Fetch = Callable[[float], LazyImage]


class RequestImages:
    """Fetches the images of requests; one that cannot be fetched is masked.

    seconds: for all images of a request together.
    bodies: counts the bytes of the images, as it counts those of the request.
    """

    def __init__(self, seconds: float, bodies: BodyReader) -> None:
        self._seconds = seconds
        self._bodies = bodies
        self._threads = anyio.CapacityLimiter(THREADS)

    async def fetch(
        self, request: Request, sources: Sequence[Sequence[LazyImage | ImageError | Fetch]]
    ) -> list[Images]:
        """Return the images of each post of a request, of which some may be there already."""
        end = time.monotonic() + self._seconds
        share = anyio.Semaphore(REQUEST_THREADS)
        fetched: list[Images] = [[ImageError("not fetched")] * len(images) for images in sources]

        async def fetch_one(post: int, number: int) -> None:
            source = sources[post][number]
            if callable(source):
                async with share:
                    source = await self._fetch(request, source, end)
            fetched[post][number] = source

        async with anyio.create_task_group() as tasks:
            for post, images in enumerate(sources):
                for number in range(len(images)):
                    tasks.start_soon(fetch_one, post, number)
        return fetched

    async def _fetch(self, request: Request, source: Fetch, end: float) -> LazyImage | ImageError:
        try:
            image = await anyio.to_thread.run_sync(
                self._fetch_until, source, end, limiter=self._threads
            )
        except Exception as error:
            return masked(error)
        if isinstance(image, BytesImage) and not self._bodies.hold(request, len(image.content)):
            return ImageError(f"not fetched: {TOO_MANY}")
        return image

    def _fetch_until(self, source: Fetch, end: float) -> LazyImage:
        left = end - time.monotonic()
        if left <= 0:
            raise ImageError(
                f"timeout: the images of the request took over {self._seconds:g} seconds"
            )
        return source(left)


def masked(error: Exception) -> ImageError:
    """Return why an image is masked: no exception that it raises may end the request.

    A new exception, as the traceback of the original keeps the content of the image in memory;
    without the message of one that is not ours, which can quote a post.
    """
    return ImageError(str(error) if isinstance(error, ImageError) else type(error).__name__)
