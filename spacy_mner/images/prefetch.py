"""Decoding images in background threads, ahead of the network that consumes them."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

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
    prefetcher = _Prefetcher()
    batch: list[Decoded] = []
    n_bytes = 0
    with ThreadPoolExecutor(N_THREADS) as pool:
        try:
            futures = deque(pool.submit(prefetcher.decode, *one) for one in enumerate(images))
            for index in range(len(images)):
                prefetcher.request(index)
                batch.append(futures.popleft().result())
                n_bytes += _nbytes(batch[-1])
                # Half of the bound: the other half is filled while this batch is consumed.
                if len(batch) == batch_size or n_bytes >= PREFETCH_BYTES // 2:
                    yield batch
                    batch.clear()
                    prefetcher.add_bytes(-n_bytes)
                    n_bytes = 0
            if batch:
                yield batch
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            prefetcher.request(len(images))  # the threads wait for no memory any more


class _Prefetcher:
    """State shared by the decoding threads: the memory in use, and the last requested image."""

    def __init__(self) -> None:
        self._n_bytes = 0
        self._requested = 0
        self._changed = threading.Condition()

    def decode(self, index: int, image: LazyImage) -> Decoded:
        """Decode an image, once there is memory for it or the consumer waits for it."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._n_bytes < PREFETCH_BYTES or index <= self._requested
            )
        try:
            pixels = image.pixels()
        except ImageError as error:
            # A copy: the traceback of the original would keep the content of the file in memory.
            return ImageError(str(error))
        self.add_bytes(pixels.nbytes)
        return pixels

    def add_bytes(self, n_bytes: int) -> None:
        with self._changed:
            self._n_bytes += n_bytes
            self._changed.notify_all()

    def request(self, index: int) -> None:
        with self._changed:
            self._requested = index
            self._changed.notify_all()


def _nbytes(decoded: Decoded) -> int:
    return 0 if isinstance(decoded, ImageError) else decoded.nbytes
