"""Processes that annotate the posts of a server."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import torch

from ..annotate.annotator import Annotation
from ..annotate.task import Task
from ..errors import UsageError
from ..utils.child_process import end_with_parent
from ..utils.garbage import freeze_objects
from .post_annotator import OpenedPost, PostAnnotator

# The annotator of this process if it belongs to a pool, or the reason why it has none.
_annotator: PostAnnotator | Exception | None = None


class WorkerDiedError(Exception):
    """A process ended while it annotated: it was killed, or ran out of memory."""


class WorkerPool:
    """Annotates batches of posts in processes, each with its own pipeline.

    Not in threads: those that compute and the one that reads requests would wait for each other,
    as only one of them at a time executes Python. The processes share the threads of torch.

    Raises LoadingError or UsageError if the pipeline cannot be loaded.

    model: name and version of the pipeline. labels: of its entities.
    """

    def __init__(self, task: Task, n_process: int) -> None:
        self._task = task
        self._n_process = n_process
        self._pool = self._start()
        # A process starts when there is a call for it.
        calls = [self._pool.submit(_describe) for _ in range(n_process)]
        try:
            [(self.model, self.labels), *_] = [call.result() for call in calls]
        except BrokenProcessPool:
            raise UsageError(
                f"A process ended while it loaded {task.model}: it was killed, or out of memory. "
                "Give the server more memory, or fewer processes with --n-process."
            ) from None

    def _start(self) -> ProcessPoolExecutor:
        n_threads = max(torch.get_num_threads() // self._n_process, 1)
        # A forked process cannot use a GPU or the thread pool of torch.
        return ProcessPoolExecutor(
            self._n_process,
            multiprocessing.get_context("spawn"),
            initializer=_load,
            initargs=(self._task, n_threads),
        )

    async def annotate(self, posts: list[OpenedPost]) -> list[Annotation]:
        """Return the annotation of each post.

        Raises WorkerDiedError if a process dies. New ones annotate the posts that follow.
        """
        pool = self._pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, _annotate, posts)
        except BrokenProcessPool:
            # All batches that were computed fail, and the first of them replaces the pool.
            if pool is self._pool:
                self._pool = self._start()
            raise WorkerDiedError from None

    def shutdown(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)


def _load(task: Task, n_threads: int) -> None:
    global _annotator
    end_with_parent()
    torch.set_num_threads(n_threads)
    try:
        _annotator = PostAnnotator(task)
        freeze_objects()
    except Exception as error:  # raised by the first call, with its type
        _annotator = error


def _loaded() -> PostAnnotator:
    if isinstance(_annotator, Exception):
        raise _annotator
    assert _annotator is not None
    return _annotator


def _describe() -> tuple[str, list[str]]:
    return _loaded().name, _loaded().labels


def _annotate(posts: Sequence[OpenedPost]) -> list[Annotation]:
    return _loaded().annotate(posts)
