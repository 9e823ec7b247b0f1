"""Decoding images in background threads, ahead of the network that consumes them."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future

import numpy as np

from ..errors import ImageError
from .reference import LazyImage

Decoded = np.ndarray | ImageError

# Bounds the pixels that are waiting or being consumed. Images that are being decoded are not
# counted: their size is known only afterwards.
PREFETCH_BYTES = 128 << 20

# More threads mainly add to the images that are decoded at the same time.
N_THREADS = min(4, os.cpu_count() or 1)


def decoded_batches(
    images: Sequence[LazyImage], batch_size: int
) -> Generator[list[Decoded], None, None]:
    """Yield the images in order, decoded: uint8 [h, w, 3], or why an image cannot be used.

    A batch has `batch_size` images, or fewer if their pixels exceed a bound; batches depend on
    nothing else. Each list is cleared when the next one is requested. Close the generator to end
    its threads.
    """
    prefetcher = _Prefetcher(images)
    n_threads = min(N_THREADS, len(images))
    threads = [threading.Thread(target=prefetcher.run, daemon=True) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    try:
        yield from prefetcher.batches(batch_size)
    finally:
        prefetcher.stop()
        for thread in threads:
            thread.join()


class _Prefetcher:
    """State shared by the decoding threads: the next image and the memory in use."""

    def __init__(self, images: Sequence[LazyImage]) -> None:
        self._images = images
        self._decoded: list[Future[np.ndarray]] = [Future() for _ in images]
        self._next = 0
        self._held_bytes = 0
        self._changed = threading.Condition()

    def run(self) -> None:
        """Decode images until all are claimed (the loop of one thread)."""
        while (index := self._claim()) is not None:
            try:
                pixels = self._images[index].pixels()
            except BaseException as error:
                self._decoded[index].set_exception(error)
            else:
                self._add_held(pixels.nbytes)
                self._decoded[index].set_result(pixels)
                del pixels

    def batches(self, batch_size: int) -> Iterator[list[Decoded]]:
        """Yield the decoded images; the memory of a batch is released with the next request."""
        batch: list[Decoded] = []
        n_bytes = 0
        for index in range(len(self._images)):
            decoded = self._take(index)
            batch.append(decoded)
            n_bytes += 0 if isinstance(decoded, ImageError) else decoded.nbytes
            del decoded
            # Half of the bound, so that the other half can fill while this batch is consumed.
            if len(batch) == batch_size or n_bytes >= PREFETCH_BYTES // 2:
                yield batch
                batch.clear()
                self._add_held(-n_bytes)
                n_bytes = 0
        if batch:
            yield batch

    def stop(self) -> None:
        """Make the threads end after their current image."""
        with self._changed:
            self._next = len(self._images)
            self._changed.notify_all()

    def _claim(self) -> int | None:
        """Return the next index once there is memory for it; None after the last."""
        with self._changed:
            # Images are claimed in order and only below the bound, so that the consumer never
            # waits for an image that waits for memory.
            self._changed.wait_for(lambda: self._held_bytes < PREFETCH_BYTES or self._is_done())
            if self._is_done():
                return None
            self._next += 1
            return self._next - 1

    def _is_done(self) -> bool:
        return self._next == len(self._images)

    def _add_held(self, n_bytes: int) -> None:
        with self._changed:
            self._held_bytes += n_bytes
            self._changed.notify_all()

    def _take(self, index: int) -> Decoded:
        try:
            return self._decoded[index].result()
        except ImageError as error:
            # A copy: the traceback of the original would keep the content of the file in memory.
            return ImageError(str(error))
        finally:
            self._decoded[index] = Future()
