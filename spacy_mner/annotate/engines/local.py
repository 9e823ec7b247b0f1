"""One or several processes on this machine."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch

from ...errors import MNERError
from ...utils.child_process import end_with_parent
from ..chunks import Chunk
from .worker import AnnotatedChunk, Engine, Job, Worker

T = TypeVar("T")

# The worker of this process if it belongs to a pool.
_worker: Worker | None = None


def inline(job: Job, chunks: Iterable[Chunk]) -> Iterator[AnnotatedChunk]:
    """Annotate in this process, and open the images of the next chunk in a thread meanwhile."""
    n_threads = torch.get_num_threads()
    worker = Worker(job)
    try:
        with ThreadPoolExecutor(1, "open") as thread:
            yield from _submit_ahead(
                chunks,
                lambda chunk: thread.submit(worker.annotator.images.open, chunk),
                lambda chunk, images: worker.annotate(chunk, images.result()),
                n_ahead=1,
            )
    finally:
        torch.set_num_threads(n_threads)


def processes(n: int) -> Engine:
    """An engine of n processes, each with its own pipeline.

    Raises MNERError if a process dies.
    """

    def engine(job: Job, chunks: Iterable[Chunk]) -> Iterator[AnnotatedChunk]:
        # A forked process cannot use a GPU or the thread pool of torch. A spawned one inherits no
        # file descriptors, so the lock of the run folder is released if the parent is killed.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(n, context, initializer=_start, initargs=(job,))
        try:
            # One chunk more than processes keeps all of them busy; more would only use memory.
            yield from _submit_ahead(
                chunks, lambda chunk: pool.submit(_annotate, chunk), _result, n_ahead=n + 1
            )
        finally:
            pool.shutdown(cancel_futures=True)

    return engine


def _submit_ahead(
    chunks: Iterable[Chunk],
    submit: Callable[[Chunk], Future[T]],
    finish: Callable[[Chunk, Future[T]], AnnotatedChunk],
    n_ahead: int,
) -> Iterator[AnnotatedChunk]:
    """Submit chunks, at most `n_ahead` of them before the oldest one is finished."""
    pending: deque[tuple[Chunk, Future[T]]] = deque()
    for chunk in chunks:
        pending.append((chunk, submit(chunk)))
        if len(pending) > n_ahead:
            yield finish(*pending.popleft())
    while pending:
        yield finish(*pending.popleft())


def _start(job: Job) -> None:
    global _worker
    end_with_parent()
    _worker = Worker(job)


def _annotate(chunk: Chunk) -> AnnotatedChunk:
    assert _worker is not None
    return _worker.annotate(chunk)


def _result(chunk: Chunk, future: Future[AnnotatedChunk]) -> AnnotatedChunk:
    try:
        return future.result()
    except BrokenProcessPool as error:
        last = chunk.first_row + len(chunk.rows) - 1
        raise MNERError(
            f"A worker process ended while it annotated rows {chunk.first_row:,} to {last:,} or "
            "later ones: it was killed, ran out of memory, or failed to load the pipeline. "
            "Run the same command again to continue; fewer processes need less memory."
        ) from error
