"""Opening the images of requests: at once, under one deadline, and within the memory of bodies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import anyio
from fastapi import Request

from ..annotate.image_opener import Images
from ..errors import ImageError
from ..images.reference import BytesImage, LazyImage
from .request_bodies import TOO_MANY, BodyReader

# Images of all requests to an endpoint that are opened at the same time.
THREADS = 16


class RequestImages:
    """Opens the images of the requests to an endpoint; one that cannot be opened is masked.

    open_image: called in a thread, with a reference and the seconds that are left for it.
    seconds: for all images of a request together.
    bodies: counts the bytes of the images, as it counts those of the request.
    """

    def __init__(
        self, open_image: Callable[[Any, float], LazyImage], seconds: float, bodies: BodyReader
    ) -> None:
        self._open_image = open_image
        self._seconds = seconds
        self._bodies = bodies
        self._threads = anyio.CapacityLimiter(THREADS)

    async def open(self, request: Request, references: Sequence[Sequence[Any]]) -> list[Images]:
        """Open the images of each post of a request; those that were opened before are returned."""
        end = time.monotonic() + self._seconds
        opened: list[Images] = [[ImageError("not opened")] * len(images) for images in references]

        async def open_one(post: int, number: int) -> None:
            opened[post][number] = await self._open(references[post][number], end, request)

        async with anyio.create_task_group() as tasks:
            for post, images in enumerate(references):
                for number in range(len(images)):
                    tasks.start_soon(open_one, post, number)
        return opened

    async def _open(self, reference: Any, end: float, request: Request) -> LazyImage | ImageError:
        if isinstance(reference, LazyImage):
            return reference
        try:
            image = await anyio.to_thread.run_sync(
                self._open_until, reference, end, limiter=self._threads
            )
        except Exception as error:  # none may end the request
            # A new one, as the traceback of the original keeps the content of the image in memory;
            # without the message of one that is not ours, which can quote a post.
            return ImageError(str(error) if isinstance(error, ImageError) else type(error).__name__)
        if isinstance(image, BytesImage) and not self._bodies.hold(request, len(image.content)):
            return ImageError(f"not opened: {TOO_MANY}")
        return image

    def _open_until(self, reference: Any, end: float) -> LazyImage:
        left = end - time.monotonic()
        if left <= 0:
            raise ImageError(
                f"timeout: the images of the request took over {self._seconds:g} seconds"
            )
        return self._open_image(reference, left)
