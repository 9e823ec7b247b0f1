"""One chunk after the other in this process, opening the images of the next one in a thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from ..chunks import Chunk
from ..image_opener import OpenedImages
from .worker import Job, Part


def inline(job: Job, chunks: Iterable[Chunk]) -> Iterator[Part]:
    """Annotate chunks in this process, in order."""
    n_threads = torch.get_num_threads()
    worker = job.worker()
    pending: tuple[Chunk, Future[OpenedImages]] | None = None
    try:
        with ThreadPoolExecutor(1, "open") as thread:
            for chunk in chunks:
                following = chunk, thread.submit(worker.open_images, chunk)
                if pending is not None:
                    yield worker.annotate(pending[0], pending[1].result())
                pending = following
            if pending is not None:
                yield worker.annotate(pending[0], pending[1].result())
    finally:
        torch.set_num_threads(n_threads)
