"""Decoding images in threads, ahead of whoever encodes them."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future

import numpy as np

from ..errors import ImageError
from .reference import LazyImage

Decoded = np.ndarray | ImageError

# Bounds the pixels that wait to be encoded, or are being encoded. Those that are being decoded
# come on top: what an image takes is known afterwards only.
AHEAD_BYTES = 128 << 20

# More would mainly add to the images that are being decoded at the same time.
N_THREADS = min(4, os.cpu_count() or 1)


def decode_ahead(
    images: Sequence[LazyImage], n_together: int
) -> Generator[list[Decoded], None, None]:
    """Decode images, in order: pixels uint8 [h, w, 3], or why an image cannot be used.

    Gives them in groups of `n_together`, or of fewer where their pixels take too much memory; how
    they are grouped depends on nothing else. A group is emptied when the next one is asked for.
    The threads end with the iterator: close it.
    """
    ahead = _Ahead(images)
    threads = [
        threading.Thread(target=ahead.work, daemon=True) for _ in range(min(N_THREADS, len(images)))
    ]
    for thread in threads:
        thread.start()
    try:
        yield from ahead.groups(n_together)
    finally:
        ahead.stop()
        for thread in threads:
            thread.join()


class _Ahead:
    """What the threads share: which image is next, and how much memory is taken."""

    def __init__(self, images: Sequence[LazyImage]) -> None:
        self._images = images
        self._decoded: list[Future[np.ndarray]] = [Future() for _ in images]
        self._next = 0
        self._held = 0
        self._room = threading.Condition()

    def work(self) -> None:
        """Decode one image after the other, while there are any."""
        while (index := self._claim()) is not None:
            try:
                pixels = self._images[index].pixels()
            except BaseException as error:
                self._decoded[index].set_exception(error)
            else:
                self._hold(pixels.nbytes)
                self._decoded[index].set_result(pixels)
                del pixels

    def groups(self, n_together: int) -> Iterator[list[Decoded]]:
        """The decoded images in groups; a group's memory is free again when the next is due."""
        group: list[Decoded] = []
        n_bytes = 0
        for index in range(len(self._images)):
            group.append(self._take(index))
            n_bytes += _size(group[-1])
            # Half of the room, so that the other half can fill while this group is encoded.
            if len(group) == n_together or n_bytes >= AHEAD_BYTES // 2:
                yield group
                group.clear()
                self._hold(-n_bytes)
                n_bytes = 0
        if group:
            yield group

    def stop(self) -> None:
        """Begin no further image."""
        with self._room:
            self._next = len(self._images)
            self._room.notify_all()

    def _claim(self) -> int | None:
        """The next image, once there is room for it; None after the last."""
        with self._room:
            # Claimed in order and only with room: what fills the room is always due before what
            # waits for it.
            self._room.wait_for(lambda: self._held < AHEAD_BYTES or self._is_over())
            if self._is_over():
                return None
            self._next += 1
            return self._next - 1

    def _is_over(self) -> bool:
        return self._next == len(self._images)

    def _hold(self, n_bytes: int) -> None:
        with self._room:
            self._held += n_bytes
            self._room.notify_all()

    def _take(self, index: int) -> Decoded:
        try:
            return self._decoded[index].result()
        except ImageError as error:
            # Not the error itself: its traceback would keep the content of the file in memory.
            return ImageError(str(error))
        finally:
            self._decoded[index] = Future()


def _size(decoded: Decoded) -> int:
    return 0 if isinstance(decoded, ImageError) else decoded.nbytes
