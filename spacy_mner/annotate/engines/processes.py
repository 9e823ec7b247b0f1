"""Several processes on one machine, each with a pipeline of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from ...errors import CorpusError
from ..chunks import Chunk
from ..signals import end_with
from .worker import Engine, Part, Work, Worker

# The worker of this process, where it is one of the pool.
_worker: Worker | None = None


def processes(n: int) -> Engine:
    """An engine of n processes. Parts come in order."""

    def engine(work: Work, chunks: Iterable[Chunk]) -> Iterator[Part]:
        # Forked, a process would inherit torch's threads half dead, and a GPU not at all.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(n, context, initializer=_start, initargs=(work, os.getpid()))
        waiting: deque[tuple[Chunk, Future[Part]]] = deque()
        try:
            for chunk in chunks:
                waiting.append((chunk, pool.submit(_part, chunk)))
                # One more than are at work, so that none waits; more would only fill the memory.
                if len(waiting) > n + 1:
                    yield _result(*waiting.popleft())
            while waiting:
                yield _result(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    return engine


def _start(work: Work, parent: int) -> None:
    global _worker
    end_with(parent)
    # An interrupt goes to all processes of a terminal; the parent is the one to end the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker = work.worker()


def _part(chunk: Chunk) -> Part:
    assert _worker is not None
    return _worker.part(chunk, _worker.open(chunk))


def _result(chunk: Chunk, future: Future[Part]) -> Part:
    try:
        return future.result()
    except BrokenProcessPool as error:
        last = chunk.first + len(chunk.rows) - 1
        raise CorpusError(
            f"A process ended while posts from {chunk.first:,} on were annotated (those up to "
            f"{last:,}, or later ones): killed, out of memory, or the pipeline does not load "
            "there. The same command goes on; fewer processes need less memory."
        ) from error
