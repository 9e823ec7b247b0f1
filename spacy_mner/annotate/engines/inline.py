"""One chunk after the other, the images of the next one being opened meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from ..chunks import Chunk
from .worker import Part, Work


def inline(work: Work, chunks: Iterable[Chunk]) -> Iterator[Part]:
    """Do the chunks in this process, in order."""
    threads = torch.get_num_threads()
    worker = work.worker()
    waiting: tuple[Chunk, Future] | None = None
    try:
        with ThreadPoolExecutor(1, "open") as thread:
            for chunk in chunks:
                following = chunk, thread.submit(worker.open, chunk)
                if waiting is not None:
                    yield worker.part(waiting[0], waiting[1].result())
                waiting = following
            if waiting is not None:
                yield worker.part(waiting[0], waiting[1].result())
    finally:
        torch.set_num_threads(threads)
