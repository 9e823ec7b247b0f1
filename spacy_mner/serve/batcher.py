"""Dynamic batching: requests that arrive together are computed together."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class QueueFullError(Exception):
    """Too many items wait."""


@dataclass(eq=False)
class _Waiting(Generic[Item, Result]):
    """Items of one request. arrived: time of the event loop."""

    items: Sequence[Item]
    arrived: float
    results: asyncio.Future[list[Result]] = field(default_factory=asyncio.Future)


class DynamicBatcher(Generic[Item, Result]):
    """Computes items in batches that begin in the order of their arrival.

    A batch begins when fewer than `n_concurrent` are computed, and `batch_size` items wait or the
    first of them has waited `max_wait` seconds. If more may begin, each gets an equal share of what
    waits. The items of one request are never divided.

    compute: returns a result for each item, in order.
    batch_size: items of a batch; a single request may have more.
    max_wait: in seconds.
    max_queue: items that wait, beside the batches that are computed.
    n_concurrent: batches that are computed at the same time.
    n_queued: number of items that wait now.
    """

    def __init__(
        self,
        compute: Callable[[list[Item]], Awaitable[list[Result]]],
        *,
        batch_size: int,
        max_wait: float,
        max_queue: int,
        n_concurrent: int,
    ) -> None:
        self._compute = compute
        self._batch_size = batch_size
        self._max_wait = max_wait
        self._max_queue = max_queue
        self._n_concurrent = n_concurrent
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self.n_queued = 0
        self._changed = asyncio.Event()
        self._collecting = asyncio.Lock()
        self._n_computed = 0

    async def submit(self, items: Sequence[Item]) -> list[Result]:
        """Return the results of the items. Raises QueueFullError at once if the queue is full.

        Raises what `compute` raises for the batch.
        """
        if self.n_queued + len(items) > self._max_queue:
            raise QueueFullError(f"{self.n_queued:,} posts wait, limit {self._max_queue:,}")
        waiting: _Waiting[Item, Result] = _Waiting(items, asyncio.get_running_loop().time())
        self._queue.append(waiting)
        self.n_queued += len(items)
        self._changed.set()
        try:
            return await waiting.results
        except asyncio.CancelledError:  # as when its client has disconnected
            if waiting in self._queue:
                self._queue.remove(waiting)
                self.n_queued -= len(items)
            raise

    async def run(self) -> None:
        """Compute batches until cancelled."""
        await asyncio.gather(*[self._compute_batches() for _ in range(self._n_concurrent)])

    async def _compute_batches(self) -> None:
        """Compute one batch at a time."""
        while True:
            async with self._collecting:
                await self._fill()
                # One that is being cancelled may still be in the queue.
                batch = [one for one in self._take() if not one.results.done()]
            if not batch:
                continue
            self._n_computed += 1
            try:
                results = await self._compute([item for one in batch for item in one.items])
            except Exception as error:
                for one in batch:
                    if not one.results.done():
                        one.results.set_exception(error)
                continue
            finally:
                self._n_computed -= 1
            position = 0
            for one in batch:
                if not one.results.done():
                    one.results.set_result(results[position : position + len(one.items)])
                position += len(one.items)

    async def _fill(self) -> None:
        """Wait until a batch is full, or its first request has waited long enough."""
        loop = asyncio.get_running_loop()
        while self.n_queued < self._batch_size:
            left = None
            if self._queue:
                left = self._queue[0].arrived + self._max_wait - loop.time()
                if left <= 0:
                    return
            self._changed.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)

    def _take(self) -> list[_Waiting[Item, Result]]:
        share = math.ceil(self.n_queued / (self._n_concurrent - self._n_computed))
        limit = min(self._batch_size, share)
        batch: list[_Waiting[Item, Result]] = []
        size = 0
        while self._queue and (not batch or size + len(self._queue[0].items) <= limit):
            batch.append(self._queue.popleft())
            size += len(batch[-1].items)
        self.n_queued -= size
        return batch
